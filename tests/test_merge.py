"""Several frames into one: what is found, what is left out, what comes of it."""
import math

import numpy as np
import pytest
import torch
from PIL import Image

from srfast.cli import run
from srfast.core import ImageError, PixelLimitError
from srfast.images.resize import imresize
from srfast.inference.multiframe import merge
from srfast.inference.upscaler import upscale

SIDE = 144


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A photograph with a margin, float."""
    from skimage import data

    return data.astronaut()[20:20 + SIDE + 32, 140:140 + SIDE + 32] / 255


def frame(scene: np.ndarray, x: float, y: float, angle: float = 0, scale: int = 2, zoom: float = 1, noise: float = 0) -> np.ndarray:
    """What a frame shows that is shifted by (x, y) of its pixels, turned by `angle` degrees and zoomed, (72, 72, 3) uint8."""
    from scipy.ndimage import affine_transform

    turn = complex(math.cos(math.radians(angle)), math.sin(math.radians(angle))) * zoom
    back, middle = 1 / turn, (np.array(scene.shape[:2]) - 1) / 2
    matrix = np.array([[back.real, back.imag], [-back.imag, back.real]])  # rows, columns
    shift = -complex(x, y) * scale / turn
    offset = middle - matrix @ middle + np.array([shift.imag, shift.real])
    moved = np.stack([affine_transform(scene[..., c], matrix, offset, order=3, mode="mirror") for c in range(3)], -1)
    small = imresize(moved[16:-16, 16:-16].clip(0, 1).astype(np.float32), 1 / scale)
    small += np.random.default_rng(int(1000 * abs(x + 7 * y))).normal(0, noise / 255, small.shape)
    return np.rint(small.clip(0, 1) * 255).astype(np.uint8)


SHIFTS = [(0, 0), (0.5, 0.1), (-0.4, 0.55), (1.3, -0.7), (0.2, -1.4)]


@pytest.fixture(scope="module")
def burst(scene) -> list:
    return [frame(scene, x, y, angle=0.4 * i) for i, (x, y) in enumerate(SHIFTS)]


def psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    error = (sr.astype(float) - hr.astype(float))[10:-10, 10:-10]
    return 10 * math.log10(255**2 / (error**2).mean())


def original(scene: np.ndarray) -> np.ndarray:
    return np.rint(scene[16:-16, 16:-16] * 255).astype(np.uint8)


def test_more_frames_are_better_and_shifts_are_found(scene, burst):
    hr = original(scene)
    single, few, many = psnr(upscale(burst[0], 2), hr), psnr(merge(burst[:3], 2), hr), merge(burst, 2, return_fits=True)
    assert single + 0.5 < few < psnr(many[0], hr) and psnr(many[0], hr) > single + 1
    for fit, (x, y), i in zip(many[1], SHIFTS, range(5)):
        assert not fit.reason and math.dist(fit.shift, (x, y)) < 0.05 and abs(fit.rotation - 0.4 * i) < 0.1 and fit.used > 0.8


@pytest.mark.parametrize("scale", [2, 2.5])
def test_one_frame_gives_what_upscale_gives(burst, scale):
    assert (merge([burst[0]], scale) == upscale(burst[0], scale)).all()
    assert (merge([burst[0], burst[0].copy()], scale) == upscale(burst[0], scale)).all()  # a copy adds nothing
    assert merge(burst[:2], scale).shape == upscale(burst[0], scale).shape


def test_frames_that_do_not_fit_are_left_out_with_the_reason(scene, burst):
    rng = np.random.default_rng(0)
    wrong = [frame(scene, 0.3, 0.2, zoom=1.1), burst[1][:-2], rng.integers(0, 256, burst[0].shape, dtype=np.uint8), burst[0][::-1].copy(),
             np.full_like(burst[0], 90), burst[0].copy()]
    result, fits = merge([burst[0], *wrong], 2, return_fits=True)
    assert all(fit.reason for fit in fits[1:]) and (result == upscale(burst[0], 2)).all()
    assert "72 x 70 pixels, the first frame 72 x 72" in fits[2].reason and "repeats frame 0" in fits[6].reason
    assert "scaled by 1.1" in fits[1].reason or "correlation" in fits[1].reason
    assert all("left out, it" in str(fit) for fit in fits[1:])
    good = merge(burst[:3], 2)
    assert (merge([*burst[:3], wrong[2]], 2) == good).all()


def test_brightness_may_differ(scene, burst):
    hr = original(scene)
    darker = [burst[0]] + [np.rint(img * 0.7 + 12).astype(np.uint8) for img in burst[1:]]
    result, fits = merge(darker, 2, return_fits=True)
    assert all(abs(fit.gain - 1 / 0.7) < 0.03 for fit in fits[1:])
    assert psnr(result, hr) > psnr(upscale(burst[0], 2), hr) + 0.8


def test_a_moving_square_leaves_no_ghosts(scene, burst):
    moving = [img.copy() for img in burst]
    for i, img in enumerate(moving): img[24:36, 6 + 11 * i:18 + 11 * i] = (230, 30, 30)
    result, alone = merge(moving, 2).astype(float), upscale(moving[0], 2).astype(float)
    still = merge(burst, 2).astype(float)
    for i in range(1, 5):  # where the square is in the other frames, the result is that of the scene without it
        place = (slice(2 * 24, 2 * 36), slice(2 * (6 + 11 * i) + 8, 2 * (18 + 11 * i)))
        assert np.abs(result[place] - still[place]).mean() < 4, i
        assert np.abs(result[place] - still[place]).max() < 60, i
    assert np.abs(result - alone)[2 * 26:2 * 34, 2 * 8:2 * 16].mean() < 2  # and where it is in the first one, it stays


def test_noise_goes_down(scene):
    noisy = [frame(scene, x, y, noise=8) for x, y in SHIFTS]
    hr = original(scene)
    assert psnr(merge(noisy, 2), hr) > max(psnr(upscale(noisy[0], 2, model=m), hr) for m in ("photo", "photo_real")) + 0.8


def test_images_keep_their_kind(burst, tmp_path):
    tensor = torch.from_numpy(np.stack(burst[:3])).permute(0, 3, 1, 2).float() / 255
    assert merge(tensor, 2).shape == (3, 144, 144)
    deep = merge([img.astype(np.uint16) * 257 for img in burst[:3]], 2)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - merge(burst[:3], 2)).max() < 1.5
    grey = [Image.fromarray(img).convert("L") for img in burst[:3]]
    for number, img in enumerate(grey): img.save(tmp_path / f"{number}.png", dpi=(300, 300))
    made = merge(tmp_path, 2)
    assert made.mode == "L" and made.size == (144, 144) and made.info["dpi"][0] == pytest.approx(300 * 2, abs=301)
    grey[0].save(tmp_path / "all.gif", save_all=True, append_images=grey[1:])
    assert merge(tmp_path / "all.gif", 2, return_fits=True)[1][2].reason == ""


def test_a_video_is_a_burst_as_it_is_shown(burst, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "burst.mp4"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=5, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 72, 48, "yuv420p"
        stream.set_display_rotation(90)
        for img in burst: target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(img[:48]))))
        target.mux(stream.encode(None))
    result, fits = merge(path, 2, start=0.2, return_fits=True)
    assert result.shape == (144, 96, 3) and len(fits) == 4 and not any(fit.reason for fit in fits)
    assert np.abs(imresize(result, 1 / 2).astype(float) - np.rot90(burst[1][:48])).mean() < 6


def test_command_line(burst, tmp_path, capfd):
    for number, img in enumerate(burst[:3]): Image.fromarray(img).save(tmp_path / f"{number}.png")
    args = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert run(["merge", *args, "-o", str(tmp_path / "out.png"), "--scale", "2"]) == 0
    said = capfd.readouterr().out
    assert "frame 1: shift (+0." in said and "144 x 144  3 of 3 frames" in said
    assert run(["merge", *args, "-o", str(tmp_path / "out.png")]) == 2 and "already exists" in capfd.readouterr().err
    assert run(["merge", *args, "-o", args[1], "--force"]) == 2 and "would overwrite" in capfd.readouterr().err
    assert run(["merge", str(tmp_path / "none.png"), "-o", str(tmp_path / "x.png")]) == 2 and "no such file" in capfd.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="at least one frame"): merge(tmp_path / "empty")
    with pytest.raises(PixelLimitError, match="15,552"): merge(burst, 2, max_pixels_in=12_000)
