"""Against pictures and figures of others, which only some machines have: SRFAST_DATA says where."""
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import srfast

DATA = Path(os.environ.get("SRFAST_DATA", "missing"))


@pytest.fixture(params=[2, 3, 4], ids="x{}".format)
def matlab(request):
    """A scale, and from MATLAB: the original (uint8), shrunk and cut to 0..255 (float64), enlarged and cut again (float32)."""
    file = DATA / "fixtures" / f"bird_GT_x{request.param}.npz"
    if not file.is_file(): pytest.skip(f"no MATLAB fixtures ({file}): set SRFAST_DATA to the folder that has them")
    with np.load(file) as arrays:
        return request.param, arrays["im_gt"], arrays["im_l"], arrays["im_b"]


def test_shrinking_is_that_of_matlab(matlab):
    scale, original, shrunk, _ = matlab
    ours = srfast.imresize(original / 255, 1 / scale) * 255
    assert np.abs(ours.clip(0, 255) - shrunk).max() < 1e-9


def test_shrinking_and_enlarging_is_that_of_matlab(matlab):
    scale, original, _, enlarged = matlab
    ours = srfast.imresize(srfast.imresize(original / 255, 1 / scale), scale) * 255
    assert enlarged.dtype == np.float32
    assert np.abs(ours.clip(0, 255) - enlarged).max() <= np.spacing(np.float32(255))


def test_tensors_give_the_same(matlab):
    scale, original, shrunk, _ = matlab
    imgs = torch.from_numpy(original / 255).permute(2, 0, 1)[None]
    ours = srfast.imresize(imgs, 1 / scale)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours.clip(0, 255) - shrunk).max() < 1e-9


def test_bytes_are_rounded_after_each_side_as_in_matlab(matlab):
    scale, original, shrunk, _ = matlab
    assert np.abs(srfast.imresize(original, 1 / scale) - shrunk).max() < 1.2


def test_the_comparison_sees_another_kernel(matlab):
    scale, original, shrunk, _ = matlab
    for method in ("bilinear", "lanczos3"):
        assert np.abs(srfast.imresize(original / 255, 1 / scale, method=method).clip(0, 1) * 255 - shrunk).max() > 1


@pytest.mark.parametrize("scale, mark", [(2, 37.0), (3, 33.1), (4, 31.1)], ids=["x2", "x3", "x4"])
def test_bundled_weights_reach_their_marks_on_set5(scale, mark):
    if not (DATA / "benchmark" / "Set5").is_dir(): pytest.skip("no Set5: set SRFAST_DATA to the folder that has benchmark/Set5")
    table = srfast.benchmark("photo", "Set5", scale).means.set_index("model")
    assert table.psnr_y["photo"] >= mark
    assert table.psnr_y["photo"] > table.psnr_y["bicubic"] + 2


def test_figures_written_down_twice_agree():
    import pandas as pd
    from srfast.evaluation.benchmark import published
    reported = pd.read_csv(Path(__file__).parents[1] / "data/results/tables/reported.csv")
    reported = reported.query("metric == 'psnr_y' and set == 'Set5' and picture != picture")
    both = reported.merge(published(), on=["model", "scale", "set"])
    assert len(both) >= 10
    assert (both.value == both.psnr_y).all()


def test_a_table_names_papers_and_what_they_report():
    if not (DATA / "benchmark" / "Set5").is_dir(): pytest.skip("no Set5: set SRFAST_DATA to the folder that has benchmark/Set5")
    results = srfast.benchmark(sets="Set5", scale=3, baselines=["bicubic"])
    assert results.means.published.tolist() == [30.39]
    shown = results.to_markdown()
    for name in ("A+", "SRCNN", "FSRCNN", "ESPCN", "VDSR", "DRCN", "CARN", "IMDN", "EDSR", "SwinIR"): assert f"| {name} |" in shown
    assert "| Set5 | 5 |" in shown and "| Set5 | 5.0 |" not in shown
    assert "SRGAN" not in shown  # reported for x4 only
