"""The tile engine where it is pressed: threads that share an Upscaler, memory that runs out, and colour that must not drift."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import srfast
from srfast.inference.tiles import upscale_tiled

DATA = Path(os.environ.get("SRFAST_DATA", "missing"))


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def misses(sr, lr_img): return np.abs(srfast.imresize(sr, size=lr_img.shape[:2]).astype(int) - lr_img)


def test_eight_threads_and_200_pictures_give_what_one_thread_gives():
    shared = srfast.Upscaler(tile=24, consistent=True)
    pictures = [noise(12 + i % 17, 30 - i % 13, (1, 3, 4)[i % 3], seed=i) for i in range(200)]
    scales = [(2, 3, 2.5, 1, 4)[i % 5] for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(shared, pictures, scales))
    alone = srfast.Upscaler(tile=24, consistent=True)
    for img, scale, result in zip(pictures, scales, together):
        assert result.tobytes() == alone(img, scale).tobytes()


REFUSED = """
import resource, sys
import numpy as np, torch, srfast
from srfast.inference import tiles

torch.set_num_threads(1)
upscaler, img = srfast.Upscaler(tile=None, precision="float32"), np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
upscaler(img[:64, :64], 2)
pieces, smaller = [], tiles._smaller
tiles._smaller = lambda job, boxes: pieces.append(boxes) or smaller(job, boxes)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
result = upscaler(img, 2)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2) if sys.platform != "linux" else None
np.save(sys.argv[1], result)
print(len(pieces))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory can only be refused where there is RLIMIT_AS")
def test_refused_memory_makes_smaller_tiles_and_the_same_picture(tmp_path):
    done = subprocess.run([sys.executable, "-c", REFUSED, tmp_path / "result.npy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0, "nothing was refused"
    wanted = srfast.Upscaler(tile=128, precision="float32")(noise(600, 600), 2)
    differs = np.abs(np.load(tmp_path / "result.npy").astype(int) - wanted)
    assert differs.max() <= 1 and (differs > 0).any(-1).mean() <= 1e-4


class Small(torch.nn.Module):
    """A network on a machine whose memory ends at `pixels`; counts what it computes."""
    def __init__(self, net, pixels):
        super().__init__()
        self.net, self.pixels, self.spec, self.scale, self.done = net, pixels, net.spec, net.scale, []

    def forward(self, lr_imgs):
        if lr_imgs[:, 0].numel() > self.pixels: raise torch.OutOfMemoryError("refused")
        self.done.append(lr_imgs[:, 0].numel())
        return self.net(lr_imgs)


@pytest.mark.parametrize("batch", [1, 4])
def test_only_the_tile_that_did_not_fit_is_redone(batch):
    net = Small(srfast.load_generator("photo", 2), 90 * 90)
    img, told = noise(160, 160), []
    result = upscale_tiled(net, img, 80, batch=batch, on_tile=lambda: told.append(1))
    np.testing.assert_array_equal(result, upscale_tiled(net.net, img))
    assert len(told) == 4 and max(net.done) <= 90 * 90
    assert len(net.done) == 16  # four tiles, each of 98 x 98 with what is around it, in quarters


def test_other_errors_are_not_taken_for_memory():
    class Broken(Small):
        def forward(self, lr_imgs): raise RuntimeError("a fault of its own")
    with pytest.raises(RuntimeError, match="a fault of its own"):
        upscale_tiled(Broken(srfast.load_generator("photo", 2), 0), noise(40, 40), 16)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("consistent", [False, True])
def test_flat_pictures_are_exact_with_every_bundled_model(precision, consistent):
    for model, scales in srfast.list_weights().items():
        upscaler = srfast.Upscaler(model, precision=precision, consistent=consistent)
        for scale in scales:
            net = upscaler.network(scale)
            for value in (0, 1, 77, 128, 254, 255):
                flat = np.full((18, 21, 3), value, np.uint8)
                np.testing.assert_array_equal(np.unique(upscaler(flat, scale)), [value])
                if net.spec.name in ("house", "house_small"):  # by construction; of other networks `upscale` keeps flat areas
                    np.testing.assert_array_equal(np.unique(upscale_tiled(net, flat, bf16=precision == "bf16")), [value])


@pytest.mark.parametrize("scale", [1.5, 2, 2.7, 3, 4, 6])
@pytest.mark.parametrize("kind", ["photograph", "soft noise", "uint16", "grey"])
def test_consistent_results_shrink_to_the_picture(kind, scale):
    from skimage import data
    img = data.astronaut()[20:100, 150:250]
    img = {"soft noise": np.random.default_rng(0).integers(64, 192, (70, 80, 3), np.uint8), "uint16": img.astype(np.uint16) * 257,
           "grey": img[..., 1]}.get(kind, img)
    plain, consistent = srfast.Upscaler()(img, scale), srfast.Upscaler(consistent=True)(img, scale)
    level = 257 if img.dtype == np.uint16 else 1
    assert misses(consistent, img).max() <= level < misses(plain, img).max()


@pytest.mark.parametrize("scale", [2, 4])
def test_what_cannot_be_had_is_shared(scale):
    """Noise from black to white, wider than a window: no value stays far off, and none is worse for lying where windows meet."""
    from srfast.images.backproject import backproject
    img = np.random.default_rng(0).integers(0, 256, (150, 90, 1), np.uint8)
    plain = srfast.imresize(img, scale)
    off = misses(backproject(plain, img), img)
    assert off.max() < 50 and misses(plain, img).max() > 80
    assert off[56:72].mean() < 1.2 * off.mean()


def test_consistent_floats_and_alpha():
    img = np.dstack([noise(30, 40) // 2 + 60, np.repeat(np.linspace(0, 255, 40)[None], 30, 0).astype(np.uint8)])
    result = srfast.upscale(img, 3, consistent=True)
    assert misses(result[:, 30:, :3], img[:, 10:, :3])[:, 2:].max() <= 1
    floats = (noise(30, 40) // 2 + 60) / np.float32(255)
    back = srfast.imresize(srfast.upscale(floats, 3, consistent=True), size=(30, 40))
    assert np.abs(back - floats).max() < 1 / 255


@pytest.mark.parametrize("set_name", ["Set5", "Set14"])
def test_consistent_on_test_pictures(set_name):
    if not (DATA / "benchmark" / set_name).is_dir(): pytest.skip(f"no {set_name}: set SRFAST_DATA to a folder with benchmark/{set_name}")
    from srfast.evaluation.measure import evaluate_pair
    from srfast.evaluation.benchmark import find_benchmark, load_set
    for scale in (2, 4):
        for pair in list(load_set(find_benchmark(set_name), scale).values())[:4]:
            plain, consistent = srfast.Upscaler()(pair.lr_img, scale), srfast.Upscaler(consistent=True)(pair.lr_img, scale)
            assert misses(consistent, pair.lr_img).max() <= 1
            assert evaluate_pair(consistent, pair.hr, scale)["psnr_y"] >= evaluate_pair(plain, pair.hr, scale)["psnr_y"] - 0.005


def test_trust_comes_beside_the_picture():
    from PIL import Image
    img = noise(20, 24)
    sr, trust = srfast.upscale(img, 3, return_trust=True)
    np.testing.assert_array_equal(sr, srfast.upscale(img, 3))
    assert trust.shape == (60, 72) and trust.dtype == np.float32 and 0 <= trust.min() <= trust.max() <= 1
    assert srfast.upscale(np.full((9, 9), 5, np.uint8), return_trust=True)[1].min() == 1
    for kind in (Image.fromarray(img), torch.from_numpy(img).permute(2, 0, 1)):
        np.testing.assert_array_equal(srfast.upscale(kind, 3, return_trust=True)[1], trust)
    batch = srfast.upscale(torch.from_numpy(img).permute(2, 0, 1)[None].repeat(2, 1, 1, 1), 3, return_trust=True)
    assert batch[0].shape == (2, 3, 60, 72) and len(batch[1]) == 2
    (pair,) = srfast.upscale([img], 3, return_trust=True)
    np.testing.assert_array_equal(pair[1], trust)
    assert srfast.upscale(img, 2.5, ensemble=True, return_trust=True)[1].shape == (50, 60)
    assert srfast.upscale(img, size=(12, 10), return_trust=True)[1].shape == (10, 12)


def test_an_ensemble_does_not_care_how_the_picture_lies():
    img, upscaler = noise(20, 24) // 2, srfast.Upscaler(ensemble=True, precision="float32")
    upright, turned = upscaler(img, 2), upscaler(np.rot90(img).copy(), 2)
    assert np.abs(np.rot90(upright).astype(int) - turned).max() <= 1
