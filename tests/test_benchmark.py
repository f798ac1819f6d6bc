"""Against pictures and figures of others, which only some machines have: SRFAST_DATA says where."""
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import srfast

DATA = Path(os.environ.get("SRFAST_DATA", ""))
needs_fixtures = pytest.mark.skipif(
    not os.environ.get("SRFAST_DATA") or not (DATA / "fixtures").is_dir(), reason="no MATLAB fixtures: set SRFAST_DATA to a folder that has `fixtures`")


@pytest.fixture(params=[2, 3, 4], ids="x{}".format)
def matlab(request):
    """A scale, and MATLAB's original, shrunk and enlarged pictures, values 0 to 255."""
    with np.load(DATA / "fixtures" / f"bird_GT_x{request.param}.npz") as arrays:
        return request.param, *(arrays[name].astype(np.float64) for name in ("im_gt", "im_l", "im_b"))


@needs_fixtures
def test_shrinking_is_that_of_matlab(matlab):
    scale, original, shrunk, _ = matlab
    assert np.ptp(shrunk) > 100
    assert np.abs(srfast.imresize(original / 255, 1 / scale) * 255 - shrunk).max() < 1e-9


@needs_fixtures
def test_enlarging_is_that_of_matlab(matlab):
    scale, _, shrunk, enlarged = matlab
    assert np.abs(srfast.imresize(shrunk / 255, scale) * 255 - enlarged).max() < 1e-9


@needs_fixtures
def test_tensors_and_arrays_agree_on_them(matlab):
    scale, original, shrunk, _ = matlab
    ours = srfast.imresize(torch.from_numpy(original / 255), 1 / scale).numpy() * 255
    assert np.abs(ours - shrunk).max() < 1e-9


@needs_fixtures
def test_other_kernels_are_not_matlabs_bicubic(matlab):
    scale, _, shrunk, enlarged = matlab
    for method in ("bilinear", "lanczos3"):
        assert np.abs(srfast.imresize(shrunk / 255, scale, method=method) * 255 - enlarged).max() > 1


# The marks of the benchmark (Set5, Set14 through `srfast.benchmark`) go below.
