"""The metrics against independent implementations, on fifty pairs."""
import numpy as np
import pytest
import torch
from skimage import data
from skimage import metrics as sk

from srfast.networks.backbones import import_torchvision
from srfast.core import to_tensor
from srfast.images.degrade import degrade
from srfast.images.metrics import ms_ssim, mse, psnr, ssim
from srfast.images.resize import imresize

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "page", "immunohistochemistry", "retina")


def random_pair(rng):
    """Noise beside noise, or beside itself a little changed; grey or colour, any size."""
    shape = (1, rng.choice([1, 3]), *rng.integers(176, 200, 2))
    hr = rng.random(shape)
    sr = rng.random(shape) if rng.random() < .3 else np.clip(hr + rng.normal(0, rng.uniform(.001, .3), shape), 0, 1)
    return torch.from_numpy(sr), torch.from_numpy(hr)


def real_pair(rng):
    """A piece of a photograph, shrunk, perhaps saved as JPEG, and enlarged."""
    photo = getattr(data, rng.choice(PHOTOS))()
    side, scale = int(rng.integers(176, 191)), int(rng.integers(2, 5))
    y, x = (rng.integers(n - side + 1) for n in photo.shape[:2])
    hr = to_tensor(photo[y:y + side, x:x + side]).double()
    small = degrade(hr, scale=scale, jpeg=int(rng.integers(20, 95))) if rng.random() < .7 else imresize(hr, 1 / scale)
    return imresize(small.double(), size=(side, side)).clamp(0, 1), hr


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    return [random_pair(rng) for _ in range(25)] + [real_pair(rng) for _ in range(25)]


def furthest(ours, theirs, pairs):
    """The largest difference of two metrics; of our float32 too, which pictures mostly come in."""
    wanted = np.array([float(theirs(sr, hr)) for sr, hr in pairs])
    found = [[ours(*(t.to(dtype) for t in pair)).item() for pair in pairs] for dtype in (torch.float64, torch.float32)]
    return [np.abs(np.array(values) - wanted).max() for values in found]


def planes(*imgs):
    return (img[0].numpy() for img in imgs)


def test_mse_and_psnr(pairs):
    exact, _ = furthest(mse, lambda sr, hr: sk.mean_squared_error(*planes(hr * 255, sr * 255)), pairs)
    assert exact < 1e-9
    exact, single = furthest(psnr, lambda sr, hr: sk.peak_signal_noise_ratio(*planes(hr, sr), data_range=1), pairs)
    assert exact < 1e-9 and single < 1e-4


def test_ssim(pairs):
    window = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0)
    exact, single = furthest(ssim, lambda sr, hr: sk.structural_similarity(*planes(hr, sr), **window), pairs)
    assert exact < 1e-12 and single < 1e-6


def test_ms_ssim(pairs):
    import_torchvision()
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as oracle
    grey = [(sr[:, :1], hr[:, :1]) for sr, hr in pairs]  # the oracle takes its time; the lesson has colour
    exact, single = furthest(ms_ssim, lambda sr, hr: oracle(sr, hr, data_range=1.), grey)
    assert exact < 1e-6 and single < 1e-5


def test_a_batch_is_its_pictures():
    rng = np.random.default_rng(1)
    sr, hr = (torch.from_numpy(rng.random((4, 3, 180, 200))) for _ in range(2))
    for metric in (mse, psnr, ssim, ms_ssim):
        alone = torch.stack([metric(s[None], h[None]) for s, h in zip(sr, hr)])
        assert (metric(sr, hr, reduction="none") - alone).abs().max() < 1e-9
        assert abs(metric(sr, hr) - alone.mean()) < 1e-9
