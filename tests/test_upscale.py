"""`srfast.upscale`: every kind, mode and size of picture, and what must never change."""
import copy
import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

import srfast
from files import encoded, written
from srfast.core import to_tensor
from srfast.images.sixteen import deep_values
from srfast.inference.upscaler import choose_model
from srfast.networks.weights import list_weights

UPSCALER = srfast.Upscaler()


def waves(height=20, width=24, channels=3):
    """A smooth picture without any symmetry, (H, W, C) uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([127 + 60 * np.sin(x / 5 + k) + 60 * np.cos(y / 7 - x / 9 + k) for k in range(channels)], -1).astype(np.uint8)


def noise(height=70, width=93, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def with_info(img, **info):
    """A copy that carries `info`."""
    img = img.copy()
    img.info.update(info)
    return img


def sixteen_bits():
    """The bytes of a PNG of sixteen-bit colour."""
    file = io.BytesIO()
    png.from_array(((waves().astype(np.uint16) + 1) * 200).reshape(20, -1), "RGB;16").write(file)
    return file.getvalue()


RGB = Image.fromarray(waves())
RGBA = Image.fromarray(np.dstack([waves(), waves()[..., 2:]]))
DEEP = Image.fromarray(waves(channels=1)[..., 0].astype(np.uint16) * 257)


SUFFIX = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "WEBP": "webp", "AVIF": "avif"}
TURNS = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
         5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
UNTURNS = TURNS | {6: Image.ROTATE_270, 8: Image.ROTATE_90}


# Kinds

def test_each_kind_comes_back_as_its_own(tmp_path):
    path = tmp_path / "picture.png"
    RGB.save(path)
    wanted = UPSCALER(waves(), 2)
    assert wanted.shape == (40, 48, 3) and wanted.dtype == np.uint8
    with open(path, "rb") as file:
        given = [str(path), path, path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes()), file, RGB]
        for img in given:
            result = UPSCALER(img, 2)
            assert isinstance(result, Image.Image)
            np.testing.assert_array_equal(np.asarray(result), wanted)
        assert not file.closed


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "uint8", "uint16"])
@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 8, 9), (4, 8, 9), (2, 1, 8, 9), (2, 3, 8, 9), (2, 4, 8, 9)], ids=str)
@pytest.mark.parametrize("scale, h, w", [(2, 16, 18), (2.5, 20, 22)])
def test_tensors_keep_shape_and_type(dtype, shape, scale, h, w):
    dtype = getattr(torch, dtype)
    imgs = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    imgs = imgs.to(dtype) if dtype.is_floating_point else (imgs * 255).to(torch.int32).to(dtype)
    result = UPSCALER(imgs, scale)
    assert (result.shape, result.dtype, result.device) == ((*shape[:-2], h, w), dtype, imgs.device)


def test_a_batch_is_its_pictures():
    imgs = torch.rand(3, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(UPSCALER(imgs, 2), torch.stack([UPSCALER(img, 2) for img in imgs]))
    assert UPSCALER(imgs[:0], 2).shape == (0, 3, 16, 18)


def test_gradients_stay_outside():
    imgs = torch.rand(3, 8, 9).requires_grad_(True)
    assert not UPSCALER(imgs, 2).requires_grad


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "uint16", ">u2"])
def test_arrays_keep_their_values_in_every_type(dtype):
    dtype = np.dtype(dtype)
    top = 1 if dtype.kind == "f" else 65535
    array = (waves() / 255 * top).astype(dtype)
    result = UPSCALER(array, 2)
    assert result.dtype.kind == dtype.kind and result.dtype.itemsize == dtype.itemsize
    np.testing.assert_allclose(result.astype(float) / top, UPSCALER(waves(), 2) / 255, atol=1.1 / 255)


@pytest.mark.parametrize("view", [
    np.asfortranarray, lambda a: a[::-1], lambda a: a[:, ::2], lambda a: a.transpose(1, 0, 2), lambda a: a[..., ::-1],
], ids=["fortran", "upside down", "every other column", "transposed", "BGR"])
def test_memory_layout_does_not_matter(view):
    array = view(waves())
    np.testing.assert_array_equal(UPSCALER(array, 2), UPSCALER(array.copy(order="C"), 2))


def test_read_only_arrays_are_read():
    array = waves()
    array.flags.writeable = False
    np.testing.assert_array_equal(UPSCALER(array, 2), UPSCALER(waves(), 2))


@pytest.mark.parametrize("scale", [1, 2, 2.5])
def test_the_input_stays_as_it_was_and_the_result_is_independent_of_it(scale):
    array = np.dstack([waves(), waves()[..., 0]])
    array[:5, :, 3] = 0
    before = array.copy()
    result = UPSCALER(array, scale)
    result[...] = 7
    np.testing.assert_array_equal(array, before)


def test_lists_keep_their_order_and_kinds():
    array, img = UPSCALER([waves(), RGB], 2)
    assert isinstance(array, np.ndarray) and isinstance(img, Image.Image)
    np.testing.assert_array_equal(array, np.asarray(img))
    assert UPSCALER([]) == []


@pytest.mark.parametrize("img", [None, 5, {}, (x for x in [RGB]), torch.rand(8, 9), waves() * 1j, waves().astype(np.int64)],
                         ids=["None", "number", "dict", "generator", "tensor (H,W)", "complex array", "int64 array"])
def test_what_is_no_picture_is_a_type_error(img):
    with pytest.raises(TypeError, match="expected .*, got "):
        UPSCALER(img)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, -0.5])
def test_values_outside_0_to_1_are_refused(value):
    array = waves() / 255
    array[3, 4, 1] = value
    with pytest.raises(ValueError, match=r"\[0,1\]"):
        UPSCALER(array)


@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (5, 0, 3), (4, 4, 5), (1, 3, 8, 8)], ids=str)
def test_arrays_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="got"):
        UPSCALER(np.zeros(shape, np.uint8))


# Modes

@pytest.mark.parametrize("mode, wanted", [
    ("1", "L"), ("L", "L"), ("LA", "LA"), ("La", "La"), ("P", "RGB"), ("PA", "RGBA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("RGBa", "RGBa"),
    ("RGBX", "RGBX"), ("CMYK", "CMYK"), ("YCbCr", "YCbCr"), ("HSV", "HSV"), ("LAB", "LAB"), ("I", "I"), ("F", "F")])
def test_mode_stays_or_becomes_the_nearest_one(mode, wanted):
    img = RGB.quantize(128) if mode == "P" else RGB.convert(mode) if mode in ("LAB", "I", "F") else RGBA.convert(mode)
    result = UPSCALER(img, 2)
    assert (result.mode, result.size) == (wanted, (48, 40))
    if mode not in ("1", "La", "PA"):
        seen, plain = (x.convert("RGB" if mode in ("LAB", "CMYK") else "RGBA") for x in (result, img))
        difference = np.abs(np.asarray(seen).astype(int) - np.asarray(plain.resize((48, 40), Image.BICUBIC))).mean()
        assert difference < (4 if mode in ("P", "RGBa") else 3)


@pytest.mark.parametrize("mode, top", [("I", 255), ("I", 65535), ("F", 1), ("F", 255), ("F", 65535)])
def test_modes_without_a_range_keep_the_one_they_use(mode, top):
    values = waves(channels=1)[..., 0] / waves(channels=1).max() * top
    result = np.asarray(UPSCALER(Image.fromarray(values.round().astype(np.int32) if mode == "I" else values.astype(np.float32)), 2))
    assert result.dtype == (np.int32 if mode == "I" else np.float32)
    wanted = UPSCALER(values.astype(np.float64)[..., None] / top, 2)[..., 0] * top
    np.testing.assert_allclose(result, wanted, atol=top / 200 + .51 * (mode == "I"))


@pytest.mark.parametrize("img", [Image.fromarray(np.float32([[0, np.nan]])), Image.fromarray(np.float32([[0, 1e9]])),
                                 Image.fromarray(np.float32([[-1, 1]]))], ids=["nan", "large", "negative"])
def test_floating_values_without_a_range_are_refused(img):
    with pytest.raises(srfast.ImageError, match="from 0 to 65535 in mode F"): UPSCALER(img)


def test_inks_stay_and_the_profile_says_what_they_mean(tmp_path):
    cmyk = Image.merge("CMYK", [Image.fromarray(waves()[..., k % 3]) for k in range(4)])
    cmyk.info["icc_profile"] = b"as it was"
    result = UPSCALER(encoded(cmyk, "TIFF", icc_profile=b"as it was"), 2)
    for k in range(3):
        np.testing.assert_allclose(np.asarray(result)[..., k].mean(), np.asarray(cmyk)[..., k].mean(), atol=1)
    for suffix in ("tif", "jpg"):
        found = written(result, tmp_path / f"inks.{suffix}")
        assert (found.mode, found.info["icc_profile"]) == ("CMYK", b"as it was")
        assert np.abs(np.asarray(found).astype(int) - np.asarray(result)).mean() < 3
    assert written(result, tmp_path / "inks.png").mode == "RGB"
    assert "icc_profile" not in written(result, tmp_path / "inks.png").info


@pytest.mark.parametrize("img", [DEEP, Image.fromarray(np.asarray(DEEP).astype(np.int32)),
                                 Image.frombytes("I;16B", DEEP.size, np.asarray(DEEP).astype(">u2").tobytes())], ids=["I;16", "I", "I;16B"])
def test_sixteen_bits_stay(img, tmp_path):
    result = UPSCALER(img, 2)
    assert result.mode == ("I" if img.mode == "I" else "I;16")
    values = np.asarray(result).astype(np.uint16)
    assert len(np.unique(values % 257)) > 100
    np.testing.assert_allclose(values / 257, UPSCALER(waves(channels=1), 2)[..., 0], atol=1.1)
    for suffix in ("png", "tif"):
        np.testing.assert_array_equal(np.asarray(written(result, tmp_path / f"deep.{suffix}")), values)


@pytest.mark.parametrize("value", [-1, 70000])
def test_more_than_sixteen_bits_are_refused(value):
    with pytest.raises(srfast.ImageError, match=str(value)):
        UPSCALER(Image.fromarray(np.full((4, 4), value, np.int32)))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "ppm"])
def test_sixteen_bits_are_never_cut_off_silently(suffix, tmp_path):
    path = tmp_path / f"deep.{suffix}"
    try:
        found = np.asarray(written(DEEP, path)).astype(float)
    except srfast.ImageError:
        assert list(tmp_path.iterdir()) == []
        return
    found = found[..., 0] if found.ndim == 3 else found
    assert np.abs(found / (257 if found.max() > 255 else 1) - waves(channels=1)[..., 0]).mean() < 4


@pytest.mark.parametrize("kind", ["palette, one colour", "palette, table", "grey", "RGB"])
def test_transparency_kept_in_a_chunk_becomes_alpha(kind):
    img = {"p": RGB.quantize(8), "g": RGB.convert("L"), "R": RGB.copy()}[kind[0]]
    img.info["transparency"] = {"palette, one colour": 3, "palette, table": bytes([255] * 4 + [0] * 4)}.get(kind, img.getpixel((0, 0)))
    alpha = np.asarray(img.convert("RGBA"))[..., 3]
    assert set(np.unique(alpha)) == {0, 255}
    result = UPSCALER(encoded(img), 2)
    assert result.mode == ("LA" if kind == "grey" else "RGBA")
    result = np.asarray(result)[..., -1]
    assert abs(result.mean() - alpha.mean()) < 8


def test_colour_under_transparency_does_not_show():
    array = np.zeros((30, 30, 4), np.uint8)
    array[..., 1] = 255
    array[8:22, 8:22] = (200, 0, 0, 255)
    result = UPSCALER(array, 4)
    seen = result[result[..., 3] > 0]
    assert seen[:, 1].max() <= 8 and abs(int(seen[:, 0].min()) - 200) <= 8


@pytest.mark.parametrize("dtype, top", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("scale", [2, 3.3, 4, 8])
def test_clear_stays_clear_and_opaque_stays_opaque(scale, dtype, top):
    distance = np.hypot(*np.mgrid[-15:15, -15:15])
    soft = (((12 - distance) / 6).clip(0, 1) * top).astype(dtype)
    array = np.dstack([(waves(30, 30) / 255 * top).astype(dtype), soft])
    result = UPSCALER(array, scale)[..., 3]
    n = len(result)
    y, x = (((np.mgrid[:n, :n] + .5) / scale) - 15)
    far = np.hypot(y, x)
    assert (result[far > 15] == 0).all() and (result[far < 3] == top).all()
    assert result.dtype == dtype and len(np.unique(result)) > 20


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_hard_transparency_comes_out_smooth_and_sharp(kind):
    mask = np.hypot(*np.mgrid[-16:16, -16:16]) < 11
    img = Image.fromarray(np.where(mask, 0, 1).astype(np.uint8)).convert("P")
    img.putpalette([200, 30, 10, 0, 255, 0])
    alpha = np.asarray(UPSCALER(encoded(img, kind, transparency=1), 4).convert("RGBA"))[..., 3].astype(float) / 255
    y, x = (np.mgrid[:128, :128] + .5) / 4 - 16
    truth = ((11 - np.hypot(y - .5, x - .5)) * 4 + .5).clip(0, 1)
    stairs = mask.repeat(4, 0).repeat(4, 1)
    assert ((alpha - truth) ** 2).mean() < .52 * ((stairs - truth) ** 2).mean()
    assert ((alpha > .05) & (alpha < .95)).mean() < 2.5 * ((truth > .05) & (truth < .95)).mean()


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_even_transparency_stays_even(alpha):
    img = RGB.copy()
    img.putalpha(alpha)
    assert set(np.unique(np.asarray(UPSCALER(img, 2.5))[..., 3])) == {alpha}


# More than PIL can hold

@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bit_colour_stays(kind, channels, tmp_path):
    """Written by another library, enlarged, read by another library."""
    if (kind, channels) == ("tif", 2): pytest.skip("Pillow reads no TIFF of grey and alpha with sixteen bits")
    values = (waves(channels=channels).astype(np.uint16) + 1) * 200
    path = tmp_path / f"deep.{kind}"
    if kind == "png":
        with open(path, "wb") as file: png.from_array(values.reshape(20, -1), {2: "LA", 3: "RGB", 4: "RGBA"}[channels] + ";16").write(file)
    else:
        tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"] * (channels - 3))
    wanted = UPSCALER(values, 2)
    srfast.write_img(UPSCALER(path, 2), tmp_path / f"big.{kind}")
    if kind == "png":
        width, height, rows, info = png.Reader(str(tmp_path / "big.png")).read()
        found = np.array([list(row) for row in rows], np.uint16).reshape(height, width, -1)
        assert info["bitdepth"] == 16
    else:
        found = tifffile.imread(tmp_path / "big.tif")
    np.testing.assert_array_equal(found, wanted)


def test_sixteen_bit_cmyk_stays(tmp_path):
    values = (waves(channels=4).astype(np.uint16) + 1) * 200
    tifffile.imwrite(tmp_path / "inks.tif", values, photometric="separated")
    result = UPSCALER(tmp_path / "inks.tif", 1)
    srfast.write_img(result, tmp_path / "same.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "same.tif"), values)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_colour_is_turned_too(orientation, tmp_path):
    values = (waves().astype(np.uint16) + 1) * 200
    tifffile.imwrite(tmp_path / "deep.tif", values, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    turned = Image.fromarray(waves()) if orientation == 1 else Image.fromarray(waves()).transpose(UNTURNS[orientation])
    np.testing.assert_array_equal(deep_values(srfast.read_img(tmp_path / "deep.tif")), (np.asarray(turned).astype(np.uint16) + 1) * 200)


def test_sixteen_bit_planes_apart_are_read_or_refused_and_not_misread(tmp_path, monkeypatch):
    values = waves().transpose(2, 0, 1).astype(np.uint16)
    tifffile.imwrite(tmp_path / "planar.tif", values, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(UPSCALER(tmp_path / "planar.tif", 1).deep, values.transpose(1, 2, 0))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(srfast.ImageError, match="planar.tif"): UPSCALER(tmp_path / "planar.tif")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_grey_that_means_clear_becomes_alpha(bits):
    rows, file = np.arange(256).reshape(16, 16) % 2**bits // max(1, 2**bits // 4), io.BytesIO()
    png.Writer(16, 16, greyscale=True, bitdepth=bits, transparent=1).write(file, rows.tolist())
    alpha = np.asarray(UPSCALER(file.getvalue(), 1).convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, rows == 1)


def test_sixteen_bits_of_ink_on_paper_are_not_turned_round(tmp_path):
    values = np.asarray(DEEP)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - values, photometric="miniswhite")
    np.testing.assert_array_equal(np.asarray(UPSCALER(tmp_path / "a.tif", 1)), values)


def test_a_page_of_sixteen_bits_among_others_is_not_cut_off_silently(tmp_path):
    film = srfast.images.read.gather([RGB, UPSCALER(sixteen_bits(), 1)])
    with pytest.warns(UserWarning, match="written with eight bits"): srfast.write_img(film, tmp_path / "a.tif")


def test_a_colour_that_means_clear_becomes_alpha_in_sixteen_bits(tmp_path):
    values = np.full((8, 9, 3), 30000, np.uint16)
    values[2:5, 2:5] = 256 * 200 + 7
    values[6, 6] = 256 * 200 + 8
    with open(tmp_path / "key.png", "wb") as file:
        png.Writer(9, 8, bitdepth=16, greyscale=False, transparent=(256 * 200 + 7,) * 3).write(file, values.reshape(8, -1).tolist())
    alpha = deep_values(srfast.read_img(tmp_path / "key.png"))[..., 3]
    assert (alpha[2:5, 2:5] == 0).all() and alpha[6, 6] == 65535 and (alpha == 0).sum() == 9


MOVING = {"gif": {}, "webp": {"lossless": True}, "png": {}}


def movie(kind, times=(100, 50, 70, 300), **options):
    """A file of a ball that jumps, on clear ground."""
    frames = []
    for i in range(len(times)):
        frame = np.zeros((24, 32, 4), np.uint8)
        frame[4 + 3 * i : 12 + 3 * i, 6 * i : 6 * i + 9] = (250, 60 * i, 20, 255)
        frames.append(Image.fromarray(frame))
    options = ({"disposal": 2} if kind == "gif" else {}) | MOVING[kind] | options
    return encoded(frames[0], kind.upper(), save_all=True, append_images=frames[1:], duration=list(times), **options), frames


@pytest.mark.parametrize("kind", MOVING)
@pytest.mark.parametrize("loop", [0, 3])
def test_animations_keep_frames_times_and_loop(kind, loop, tmp_path):
    data, frames = movie(kind, loop=loop)
    result = UPSCALER(data, 2)
    assert (result.n_frames, result.size, result.info["loop"]) == (4, (64, 48), loop)
    with Image.open(srfast.write_img(result, tmp_path / f"big.{kind}")) as found:
        assert (found.n_frames, found.info["loop"]) == (4, loop)
        for i, ms in enumerate((100, 50, 70, 300)):
            found.seek(i)
            found.load()
            assert found.info["duration"] == ms
            big = np.asarray(found.convert("RGBA")).astype(int)
            assert (big[8 + 6 * i + 2 : 24 + 6 * i - 2, 12 * i + 2 : 12 * i + 16, 3] == 255).all()
            assert big[..., 3].mean() == pytest.approx(np.asarray(frames[i])[..., 3].mean(), rel=.15)


@pytest.mark.parametrize("kind", MOVING)
def test_every_disposal_is_understood(kind, tmp_path):
    for disposal in (0, 1, 2) if kind != "webp" else (0,):
        data, frames = movie(kind, **({"disposal": disposal} if kind != "webp" else {}))
        with Image.open(io.BytesIO(data)) as source:
            result = UPSCALER(data, 1)
            for i in range(source.n_frames):
                source.seek(i)
                result.seek(i)
                seen, wanted = (np.asarray(x.convert("RGBA")) for x in (result, source))
                np.testing.assert_array_equal(seen[..., 3], wanted[..., 3])
                np.testing.assert_array_equal(seen[wanted[..., 3] > 0], wanted[wanted[..., 3] > 0])


def test_an_avif_keeps_frames_and_times(tmp_path):
    frames = [Image.fromarray(np.roll(waves(32, 48), 12 * i, 1)) for i in range(3)]
    result = UPSCALER(encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=[100, 50, 70]), 2)
    with Image.open(srfast.write_img(result, tmp_path / "big.avif")) as found:
        times = [(found.seek(i), found.load(), found.info["duration"])[2] for i in range(found.n_frames)]
    assert (result.size, times) == ((96, 64), [100, 50, 70])


def test_an_animation_that_plays_once_plays_once(tmp_path):
    result = UPSCALER(movie("gif")[0], 2)
    assert "loop" not in written(result, tmp_path / "once.gif").info
    assert written(result, tmp_path / "once.webp").info["loop"] == 1


def test_an_opened_animation_is_a_picture_too_and_a_result_can_be_given_back():
    data, _ = movie("webp")
    with Image.open(io.BytesIO(data)) as source:
        source.seek(2)
        result = UPSCALER(source, 2)
        assert (source.tell(), source.n_frames) == (2, 4)
    again = UPSCALER(result, 2)
    assert (result.n_frames, again.n_frames, again.size) == (4, 4, (128, 96))


def test_pages_keep_their_sizes(tmp_path):
    pages = [RGB, RGB.resize((30, 10)).convert("L"), RGBA]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:], dpi=(100, 100))
    result = UPSCALER(tmp_path / "scan.tif", 2)
    with Image.open(srfast.write_img(result, tmp_path / "big.tif")) as found:
        sizes = [(found.seek(i), found.size)[1] for i in range(found.n_frames)]
    assert sizes == [(48, 40), (60, 20), (48, 40)]
    with pytest.raises(srfast.ImageError, match="holds no pages, expected .tif"): srfast.write_img(result, tmp_path / "big.png")


def test_small_copies_of_a_page_are_no_pages(tmp_path):
    for pages in ((RGB, RGB.resize((6, 5))), (RGB.resize((6, 5)), RGB)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for page in pages:
                file.write(np.asarray(page), photometric="rgb", subfiletype=int(page is not RGB), metadata=None)
        assert UPSCALER(tmp_path / "a.tif", width=48).size == (48, 40)
        assert UPSCALER(Image.open(tmp_path / "a.tif"), 2).size == (48, 40)
        assert srfast.upscale(tmp_path / "a.tif", 2, max_pixels_in=20 * 24).size == (48, 40)
        with pytest.raises(srfast.PixelLimitError, match="got 480"): srfast.upscale(tmp_path / "a.tif", 2, max_pixels_in=479)


def test_results_go_whole_from_process_to_process():
    film, deep = UPSCALER(movie("gif")[0], 2), UPSCALER(sixteen_bits(), 2)
    film.seek(2)
    for send in (copy.deepcopy, lambda img: pickle.loads(pickle.dumps(img))):
        again = send(film)
        assert (again.n_frames, again.tell(), again.info) == (4, 2, film.info)
        assert [np.asarray(frame).tolist() for frame in again.frames] == [np.asarray(frame).tolist() for frame in film.frames]
        np.testing.assert_array_equal(deep_values(send(deep)), deep_values(deep))


def test_results_that_were_edited_go_as_they_are():
    for edit in (lambda img: img.thumbnail((20, 15)), lambda img: img.putalpha(7), lambda img: setattr(img, "info", {"dpi": (11, 11)})):
        for img in (UPSCALER(sixteen_bits(), 2), UPSCALER(movie("gif")[0], 2)):
            edit(img)
            again = pickle.loads(pickle.dumps(img))
            assert (again.mode, again.size, again.info.get("dpi")) == (img.mode, img.size, img.info.get("dpi"))
            np.testing.assert_array_equal(np.asarray(again), np.asarray(img))


def test_an_opened_tiff_is_written_without_its_small_copy(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(waves(5, 6), photometric="rgb", subfiletype=1, metadata=None)
        file.write(waves(), photometric="rgb", metadata=None)
    for suffix in ("png", "tif"):
        assert written(Image.open(tmp_path / "a.tif"), tmp_path / f"b.{suffix}").size == RGB.size


def test_what_cannot_move_is_told(tmp_path):
    with pytest.raises(srfast.ImageError, match="holds no animation"): srfast.write_img(UPSCALER(movie("gif")[0], 2), tmp_path / "film.jpg")
    assert list(tmp_path.iterdir()) == []


def test_heic_is_read(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="reading HEIC needs srfast[formats]")
    heif.from_pillow(RGB.resize((64, 48))).save(tmp_path / "phone.heic", quality=95)
    result = UPSCALER(tmp_path / "phone.heic", 2)
    assert (result.mode, result.size) == ("RGB", (128, 96))
    assert np.abs(np.asarray(result).astype(int) - UPSCALER(np.asarray(RGB.resize((64, 48))), 2)).mean() < 4
    (tmp_path / "half.heic").write_bytes((tmp_path / "phone.heic").read_bytes()[:500])
    with pytest.raises(srfast.ImageError, match="half.heic"): UPSCALER(tmp_path / "half.heic")
    with pytest.raises(srfast.ImageError, match="at most 3,000 pixels"): srfast.read_img(tmp_path / "phone.heic", max_pixels=3000)


# Limits

@pytest.mark.parametrize("kind", MOVING)
def test_limits_count_all_frames_and_are_known_before_decoding(kind, monkeypatch):
    data, _ = movie(kind)
    decoded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self) or 1 / 0)
    with pytest.raises(srfast.ImageError, match="at most 3,000 pixels, got 3,072 in 4 frames"):
        srfast.Upscaler(max_pixels_in=3000)(data)
    with pytest.raises(srfast.ImageError, match="at most 49,000 pixels, got 128 x 96 in 4 frames"):
        srfast.Upscaler(max_pixels_out=49000)(data)
    assert decoded == []


@pytest.mark.parametrize("wish", [dict(scale=3), dict(size=(60, 72)), dict(width=60), dict(height=72), dict(longest=72)], ids=str)
def test_results_that_are_too_large_are_refused_before_decoding_even_when_lying(wish, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(RGB, "JPEG", exif=exif)
    assert srfast.Upscaler(max_pixels_out=4320)(data, **wish).size == (60, 72)
    decoded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self) or 1 / 0)
    with pytest.raises(srfast.ImageError, match="at most 4,319 pixels, got 60 x 72"): srfast.Upscaler(max_pixels_out=4319)(data, **wish)
    assert decoded == []


def test_limits_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SRFAST_MAX_PIXELS_IN", "479")
    with pytest.raises(srfast.ImageError, match="at most 479 pixels"): srfast.upscale(encoded(RGB))
    monkeypatch.setenv("SRFAST_MAX_PIXELS_IN", "480")
    monkeypatch.setenv("SRFAST_MAX_PIXELS_OUT", "1919")
    with pytest.raises(srfast.ImageError, match="at most 1,919 pixels"): srfast.upscale(encoded(RGB), 2)
    monkeypatch.setenv("SRFAST_MAX_PIXELS_OUT", "1920")
    assert srfast.upscale(encoded(RGB), 2).size == (48, 40)
    monkeypatch.setenv("SRFAST_MAX_PIXELS_OUT", "lots")
    with pytest.raises(ValueError, match="SRFAST_MAX_PIXELS_OUT .* got 'lots'"): srfast.upscale(encoded(RGB), 2)


def test_a_crowd_of_tiny_frames_counts():
    frame = b"!\xf9\x04\x04\x05\0\0\0," + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    data = b"GIF89a" + struct.pack("<HH3B", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 5000 + b";"
    assert srfast.read_img(data, max_pixels=1_280_000).n_frames == 5000
    with pytest.raises(srfast.ImageError, match="got 1,280,000 in 5000 frames"): srfast.read_img(data, max_pixels=1_279_999)


def gif_with_a_hidden_giant(first):
    """Header 8 x 8, and a frame of 60000 x 60000 that is to be cleared."""
    small = encoded(Image.new("P", (8, 8), 1), "GIF")
    frame = b"!\xf9\x04" + bytes([2 << 2, 5, 0, 0, 0]) + b"," + struct.pack("<4HB", 0, 0, 60000, 60000, 0) + b"\x02\x02\x4c\x01\0"
    at = small.index(b",") if first else -1
    return small[:at] + frame + small[at:]


@pytest.mark.parametrize("first", [True, False])
def test_a_giant_hidden_in_a_gif_is_never_allocated(first):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(srfast.ImageError, match="3,600,000,000"): UPSCALER(gif_with_a_hidden_giant(first))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_text_that_unpacks_to_gigabytes_does_not(name):
    packed = zlib.compressobj(9)
    body = b"".join(packed.compress(bytes(1 << 20)) for _ in range(300)) + packed.flush()
    head = {b"iCCP": b"icc\0\0", b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0"}[name]
    data, at = encoded(RGB), 33
    chunk = struct.pack(">I", len(head + body)) + name + head + body + struct.pack(">I", zlib.crc32(name + head + body))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try: assert UPSCALER(data[:at] + chunk + data[at:], 2).size == (48, 40)
    except srfast.ImageError: pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


# What a file carries

@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_pictures_come_out_upright_once(orientation, kind, tmp_path):
    lying = RGB if orientation == 1 else RGB.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(lying, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    upright = np.asarray(UPSCALER(RGB, 2))
    np.testing.assert_array_equal(np.asarray(UPSCALER(data, 2)), upright)
    result = UPSCALER(Image.open(io.BytesIO(data)), 2)
    np.testing.assert_array_equal(np.asarray(result), upright)
    for suffix in ("png", "jpg", "tif", "webp"):
        found = written(result, tmp_path / f"upright.{suffix}")
        assert found.size == (48, 40) and found.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", [6, 7])
def test_a_plain_tiff_on_its_side_is_turned_with_its_resolution(mode, orientation, tmp_path):
    deep = noise(10, 14, 1)[..., 0].astype(np.uint16) * 257
    img = Image.fromarray(deep) if mode == "I;16" else Image.fromarray(noise(10, 14)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    img.save(tmp_path / "a.tif", exif=exif, dpi=(100, 50))
    found = srfast.read_img(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(img.transpose(UNTURNS[orientation])))
    assert [round(float(x)) for x in found.info["dpi"]] == [50, 100]
    assert UPSCALER(tmp_path / "a.tif", height=28).size == (20, 28)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("number", [72, 0])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_resolution_that_is_no_number_loses_nothing_else(kind, number, suffix, tmp_path):
    exif = Image.Exif()
    exif.update({271: "Maker", 282: TiffImagePlugin.IFDRational(number, 0), 283: 72.0})
    for scale in (1, 2):
        found = written(UPSCALER(encoded(RGB, kind, exif=exif), scale), tmp_path / f"a.{suffix}").getexif()
        assert found[271] == "Maker" and found[283] == 72 * scale


ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_profile_and_resolution_travel(kind, suffix, tmp_path):
    result = UPSCALER(encoded(RGB, kind, icc_profile=ICC, dpi=(300, 150)), 2)
    found = written(result, tmp_path / f"result.{suffix}")
    assert found.info["icc_profile"] == ICC
    assert [round(float(x)) for x in found.info["dpi"]] == [600, 300]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_camera_data_travel(orientation, kind, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    found = written(UPSCALER(encoded(RGB, kind, exif=exif.tobytes()), 2), tmp_path / f"result.{suffix}").getexif()
    assert found[0x010F] == "maker" and found.get(0x0112, 1) == 1
    assert found.get_ifd(0x8769)[0x9003] == "2026:01:01 00:00:00"
    assert found.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_xmp_travels(kind, suffix, tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">five stars</x:xmpmeta>'
    found = written(UPSCALER(srfast.write_img(with_info(RGB, xmp=xmp), tmp_path / f"a.{SUFFIX[kind]}"), 2), tmp_path / f"b.{suffix}")
    assert (found.info.get("xmp") or found.info["XML:com.adobe.xmp"].encode()) == xmp


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
def test_xmp_tells_of_no_turn_and_of_the_new_size_and_exif_goes_with_it(suffix, tmp_path):
    xmp = b'<x tiff:Orientation="6" exif:PixelXDimension="24"><exif:PixelYDimension>20</exif:PixelYDimension></x>'
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 1, "artist"
    found = written(UPSCALER(encoded(RGB, "WEBP", xmp=xmp, exif=exif), 2), tmp_path / f"a.{suffix}")
    told = found.info.get("xmp") or found.info["XML:com.adobe.xmp"].encode()
    assert told == b'<x  exif:PixelXDimension="48"><exif:PixelYDimension>40</exif:PixelYDimension></x>'
    assert found.size == (48, 40) and found.getexif()[0x013B] == "artist"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_a_tiff_says_stays_byte_by_byte(order, big, suffix, tmp_path):
    if (order, big) == (">", True): pytest.skip("Pillow reads no big-endian BigTIFF")
    artist = "Müller".encode()
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big, byteorder=order) as file:
        tag = (315, 2, len(artist) + 1, artist + b"\0", True)
        file.write(waves(), photometric="rgb", software="scanner", metadata=None, extratags=[tag])
    found = written(UPSCALER(tmp_path / "a.tif", 2), tmp_path / f"b.{suffix}").getexif()
    assert found[305] == "scanner" and found[315].encode("latin-1") == artist
    assert 0x8769 not in found and not {256, 257, 273, 279} & set(found) or suffix == "tif"
    if suffix == "tif":
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.pages[0].compression.name == "ADOBE_DEFLATE" and 34665 not in file.pages[0].tags
            np.testing.assert_array_equal(file.asarray(), UPSCALER(waves(), 2))


def profile_of(space):
    return ICC[:16] + space + ICC[20:]


@pytest.mark.parametrize("suffix", ["png", "tif", "avif", "jpg", "webp"])
def test_profiles_of_another_kind_of_colour_stay_behind(suffix, tmp_path):
    assert "icc_profile" not in written(with_info(RGB, icc_profile=profile_of(b"CMYK")), tmp_path / f"a.{suffix}").info
    grey = written(with_info(RGB.convert("L"), icc_profile=profile_of(b"GRAY")), tmp_path / f"b.{suffix}")
    assert ("icc_profile" in grey.info) == (grey.mode == "L")


def test_each_page_has_its_own_profile_and_resolution(tmp_path):
    pages = [RGB, RGB.convert("CMYK"), RGB.convert("L"), RGB]
    own = [dict(icc_profile=ICC, dpi=(300, 300)), dict(icc_profile=profile_of(b"CMYK")), dict(dpi=(72, 72)), {}]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page, info in zip(pages, own):
            kind = {"L": "minisblack", "RGB": "rgb", "CMYK": "separated"}[page.mode]
            resolution = dict(resolution=info["dpi"], resolutionunit=2) if "dpi" in info else {}
            file.write(np.asarray(page), photometric=kind, iccprofile=info.get("icc_profile"), metadata=None, **resolution)
    result = UPSCALER(tmp_path / "a.tif", 2)
    wanted = [(info.get("icc_profile"), 2 * info["dpi"][0] if "dpi" in info else None) for info in own]
    assert [(page.info.get("icc_profile"), page.info.get("dpi", [None])[0]) for page in result.frames] == wanted
    with Image.open(srfast.write_img(result, tmp_path / "b.tif")) as found:
        for number, (profile, dpi) in enumerate(wanted):
            found.seek(number)
            assert found.tag_v2.get(34675) == profile and found.tag_v2.get(282) == dpi


def test_a_tiff_without_a_resolution_gets_none(tmp_path):
    RGB.save(tmp_path / "a.tif")
    assert "dpi" not in UPSCALER(tmp_path / "a.tif", 4).info


def test_info_of_a_result_may_be_changed(tmp_path):
    RGB.save(tmp_path / "a.tif", save_all=True, append_images=[RGB], dpi=(72, 72))
    pages = UPSCALER(tmp_path / "a.tif", 2)
    pages.info["dpi"] = (300, 300)
    assert written(pages, tmp_path / "b.tif").info["dpi"] == (300, 300)
    film = UPSCALER(movie("gif")[0], 2)
    film.info.update(loop=7, duration=500)
    found = written(film, tmp_path / "film.gif")
    assert (found.info["loop"], found.info["duration"]) == (7, 500)


def test_the_layout_of_the_old_file_does_not_travel_and_sizes_are_new(tmp_path):
    RGB.save(tmp_path / "a.tif", dpi=(72, 72), compression="tiff_lzw")
    exif = written(UPSCALER(tmp_path / "a.tif", 2), tmp_path / "b.jpg").getexif()
    assert not {256, 257, 258, 259, 273, 278, 279} & set(exif)
    exif = Image.Exif()
    exif[282] = exif[283] = 72.0
    exif.get_ifd(0x8769).update({0xA002: 24, 0xA003: 20})
    found = written(UPSCALER(encoded(RGB, "JPEG", exif=exif), 3), tmp_path / "c.jpg").getexif()
    assert (found[282], found.get_ifd(0x8769)[0xA002], found.get_ifd(0x8769)[0xA003]) == (216, 72, 60)


@pytest.mark.parametrize("dpi", [(0, 0), (1e9, 1e9), (float("nan"), 5), (-3, 72)], ids=str)
def test_resolutions_that_make_no_sense_are_left_out(dpi, tmp_path):
    for suffix in ("png", "jpg", "tif"):
        srfast.write_img(UPSCALER(with_info(RGB, dpi=dpi), 2), tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_camera_data_do_not_stop_a_picture(kind):
    assert UPSCALER(encoded(RGB, kind, exif=b"Exif\0\0garbage!!"), 2).size == (48, 40)


# Files that cannot be used

@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("part", [0, 24, 0.5])
def test_cut_files_are_named_and_never_half_used(kind, part, tmp_path):
    data = encoded(Image.fromarray(noise()), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(part * len(data)) if part < 1 else part])
    with pytest.raises(srfast.ImageError, match="cut.img"): UPSCALER(path)


def test_a_lazily_opened_damaged_picture_is_an_image_error():
    data = encoded(Image.fromarray(noise()))
    with pytest.raises(srfast.ImageError):
        UPSCALER(Image.open(io.BytesIO(data[: len(data) // 2])))


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_pictures_without_pixels_are_refused(mode):
    with pytest.raises(srfast.ImageError, match="0"):
        UPSCALER(Image.new(mode, (0, 5)))


def test_reading_has_a_limit_that_callers_set(tmp_path):
    path = tmp_path / "picture.png"
    RGB.save(path)
    with pytest.raises(srfast.ImageError, match="expected at most 479 pixels, got 480"):
        srfast.read_img(path, max_pixels=479)
    assert srfast.read_img(path, max_pixels=480).size == (24, 20)


def test_files_are_closed_even_after_errors(tmp_path):
    (tmp_path / "cut.png").write_bytes(encoded(Image.fromarray(noise()))[:3000])
    (tmp_path / "text.png").write_text("text")
    RGB.save(tmp_path / "good.png")
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir(): pytest.skip("open files can only be counted where there is /proc")
    before = len(os.listdir(open_files))
    for _ in range(3):
        srfast.read_img(tmp_path / "good.png")
        for name in ("cut.png", "text.png"):
            with pytest.raises(srfast.ImageError): srfast.read_img(tmp_path / name)
    assert len(os.listdir(open_files)) == before


@pytest.mark.parametrize("name, img", [
    ("alpha.jpg", RGBA), ("big.heic", RGB), ("nosuffix", RGB), ("missing/a.png", RGB), ("folder.png", RGB), ("wide.webp", "wide"),
    ("wide.jpg", "wide"), ("wide.gif", "wide"), ("wide.avif", "wide")])
def test_what_cannot_be_written_leaves_nothing(name, img, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(srfast.ImageError, match=name):
        srfast.write_img(Image.new("RGB", (70000, 1)) if img == "wide" else img, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]
    assert list((tmp_path / "folder.png").iterdir()) == []


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JFIF"])
def test_the_other_names_of_jpeg_are_written_and_found_in_folders(suffix, tmp_path):
    from srfast.data import find_pictures

    path = srfast.write_img(RGB, tmp_path / f"a.{suffix}")
    with Image.open(path) as found: assert found.format == "JPEG"
    assert srfast.read_img(path).size == RGB.size and find_pictures(tmp_path) == [path]


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "ppm"])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "key", "16 bits"])
def test_an_alpha_that_hides_nothing_costs_nothing(kind, suffix, tmp_path):
    img = RGB.convert("RGBA")
    if kind == "key": img = with_info(RGB, transparency=(1, 2, 3))
    elif kind == "16 bits":
        tifffile.imwrite(tmp_path / "a.tif", np.dstack([waves().astype(np.uint16) * 257, np.full((20, 24), 65535, np.uint16)]),
                         photometric="rgb", extrasamples=["unassalpha"])
        img = srfast.read_img(tmp_path / "a.tif")
    elif kind != "RGBA": img = with_info(img.convert(kind), **({"transparency": bytes([255] * 256)} if kind == "P" else {}))
    assert img.has_transparency_data
    found = written(img, tmp_path / f"a.{suffix}")
    wanted = (Image.fromarray(waves()) if kind == "16 bits" else img).convert("RGB")
    assert found.mode == ("L" if kind == "LA" else "RGB")
    assert np.abs(np.asarray(found.convert("RGB")).astype(int) - np.asarray(wanted)).max() <= (25 if suffix == "jpg" else 0)


def test_a_background_lies_behind_transparent_pixels(tmp_path):
    img = RGB.convert("RGBA")
    alpha = Image.fromarray(noise(*RGB.size[::-1], 1)[..., 0])
    img.putalpha(alpha)
    wanted = Image.alpha_composite(Image.new("RGBA", img.size, "teal"), img).convert("RGB")
    for name in ("a.bmp", "a.png"):
        found = srfast.read_img(srfast.write_img(img, tmp_path / name, background="teal"))
        assert found.mode == "RGB" and np.abs(np.asarray(found).astype(int) - np.asarray(wanted)).max() <= 1
    with pytest.raises(srfast.ImageError, match="or background='white'"): srfast.write_img(img, tmp_path / "b.jpg")
    for wrong in ("whte", (1, 2), (0, 0, 256), 7):
        with pytest.raises(ValueError, match="expected a colour such as white"): srfast.write_img(img, tmp_path / "b.jpg", background=wrong)
    film = [Image.new("RGBA", (9, 9), (0, 200, 0, alpha)) for alpha in (0, 255)]
    for frame in film: frame.info["duration"] = 50
    back = srfast.read_img(srfast.write_img(srfast.images.read.gather(film), tmp_path / "a.gif", background="red"))
    assert [frame.convert("RGBA").getpixel((4, 4)) for frame in back.frames] == [(255, 0, 0, 255), (0, 200, 0, 255)]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "avif", "bmp", "ppm"])
def test_an_open_file_gets_the_bytes_of_a_path(suffix, tmp_path):
    films = {"png": "animation", "webp": "animation", "gif": "animation", "avif": "animation", "tif": "pages"}
    images = [RGB] + ([srfast.images.read.gather([with_info(RGB, duration=40), with_info(RGB.rotate(180), duration=60)])]
                      if suffix in films else [])
    if suffix == "tif": images[1].info.pop("duration", None)
    for img in images + ([srfast.read_img(sixteen_bits())] if suffix in ("png", "tif") else []):
        file = io.BytesIO()
        assert srfast.write_img(img, file, format=suffix) is file
        assert file.getvalue() == srfast.write_img(img, tmp_path / f"a.{suffix}").read_bytes()
    with open(tmp_path / f"named.{suffix}", "wb") as file: srfast.write_img(RGB, file)
    assert Image.open(tmp_path / f"named.{suffix}").size == RGB.size


def test_quality_is_for_the_formats_that_have_one(tmp_path):
    img = Image.fromarray(noise())
    for kind in ("jpg", "webp", "avif"):
        low, high = (srfast.write_img(img, io.BytesIO(), format=kind, quality=quality).tell() for quality in (30, 100))
        assert low < high / 2
    for wrong in (0, 101, "90", 90.5):
        with pytest.raises(ValueError, match="expected a quality from 1 to 100"): srfast.write_img(img, tmp_path / "a.jpg", quality=wrong)
    with pytest.raises(ValueError, match="got one for PNG"): srfast.write_img(img, tmp_path / "a.png", quality=90)
    with pytest.raises(ValueError, match="expected a format of png, jpg"): srfast.write_img(img, tmp_path / "a.png", format="docx")
    with pytest.raises(ValueError, match="for a file without a name"): srfast.write_img(img, io.BytesIO())
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path):
    (tmp_path / "old.webp").write_bytes(b"precious")
    with pytest.raises(srfast.ImageError): srfast.write_img(Image.new("RGB", (17000, 1)), tmp_path / "old.webp")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old.webp", b"precious")]


# Sizes

@pytest.mark.parametrize("height, width", [(1, 1), (1, 500), (500, 1), (3, 17), (2, 2)])
@pytest.mark.parametrize("scale", [1, 1.3, 2, 4, 5.5, 16])
def test_any_size_by_any_scale(height, width, scale):
    result = UPSCALER(np.full((height, width, 3), (10, 200, 30), np.uint8), scale)
    assert result.shape == (round(height * scale), round(width * scale), 3)
    assert np.abs(result.astype(int) - (10, 200, 30)).max() <= 12


def test_exact_sizes():
    assert UPSCALER(waves(), size=(50, 31)).shape == (31, 50, 3)
    assert UPSCALER(waves(), width=50).shape == (42, 50, 3)
    assert UPSCALER(waves(), height=50).shape == (50, 60, 3)
    assert UPSCALER(waves(), longest=50).shape == (42, 50, 3)
    assert UPSCALER(waves(24, 20), longest=50).shape == (50, 42, 3)
    assert UPSCALER(waves(), size=(7, 5)).shape == (5, 7, 3)


@pytest.mark.parametrize("model", ["photo", "fast"])
def test_scale_1_of_a_model_for_clean_pictures_changes_nothing_and_says_so(model):
    with pytest.warns(UserWarning, match=f"nothing to do for model '{model}' at the same size; use model 'photo_real'"):
        np.testing.assert_array_equal(srfast.upscale(noise(), 1, model=model), noise())


def test_photo_real_restores_at_the_same_size():
    clean = waves(64, 80)
    noisy = (clean + np.random.default_rng(0).normal(0, 12, clean.shape)).clip(0, 255).astype(np.uint8)
    restored = srfast.upscale(noisy, 1, model="photo_real")
    assert restored.shape == clean.shape
    far, near = (np.mean((img - clean.astype(float)) ** 2) for img in (noisy, restored))
    assert near < far / 4
    alpha = noise(64, 80, 1)
    result = srfast.upscale(np.dstack([noisy, alpha]), size=(80, 64), model="photo_real", return_trust=True)
    np.testing.assert_array_equal(result[0][..., 3:], alpha)
    assert result[1].shape == (64, 80)
    with pytest.warns(UserWarning, match="consistent gives the image itself"):
        np.testing.assert_array_equal(srfast.upscale(noisy, 1, model="photo_real", consistent=True), noisy)


def test_a_smaller_result_is_restored_too_and_needs_no_warning(recwarn):
    noisy = (waves(64, 80) + np.random.default_rng(0).normal(0, 12, (64, 80, 3))).clip(0, 255).astype(np.uint8)
    plain, restored = (srfast.upscale(noisy, width=72, model=model).astype(float) for model in ("photo", "photo_real"))
    truth = srfast.upscale(waves(64, 80), width=72).astype(float)
    assert ((restored - truth) ** 2).mean() < ((plain - truth) ** 2).mean() / 2
    assert not recwarn


@pytest.mark.parametrize("wish", [
    dict(scale=0), dict(scale=-1), dict(scale=0.99), dict(scale=16.01), dict(scale=float("nan")), dict(scale=float("inf")),
    dict(size=(0, 5)), dict(size=(-5, -5)), dict(size=(385, 5)), dict(size=(5,)), dict(size=(5, 5, 5)), dict(width=0), dict(width=-3),
    dict(width=10**6), dict(longest=0), dict(longest=10**6), dict(width=30, height=30), dict(width=30, longest=30),
    dict(width=float("nan"))], ids=str)
def test_wishes_that_cannot_be_met_are_value_errors(wish):
    with pytest.raises(ValueError, match="expected"):
        UPSCALER(waves(), **wish)


@pytest.mark.parametrize("wish", [
    dict(scale="4"), dict(scale=None), dict(size=30), dict(size=(30.5, 20)), dict(width="30"), dict(width=30.5)], ids=str)
def test_wishes_of_the_wrong_type_say_what_was_expected(wish):
    with pytest.raises((TypeError, ValueError), match="expected .*, got "):
        UPSCALER(waves(), **wish)


def test_vast_results_are_refused_before_the_work():
    with pytest.raises(srfast.ImageError, match="400,000,000"):
        UPSCALER(np.broadcast_to(np.uint8(0), (10**5, 10**5)), 16)


# Fidelity

@pytest.mark.parametrize("scale", [2, 4])
def test_shrunk_again_it_is_the_picture(scale):
    back = srfast.imresize(UPSCALER(waves(40, 50), scale), 1 / scale)
    assert np.abs(back.astype(int) - waves(40, 50)).mean() < 1


def test_better_than_bicubic_on_a_photograph():
    from skimage import data

    hr = data.coffee()[100:260, 200:360]
    small = srfast.imresize(hr, 1 / 4)
    results = [UPSCALER(small, 4), srfast.imresize(small, 4)]
    ours, bicubic = (srfast.psnr(to_tensor(sr), to_tensor(hr), y_only=True, crop_border=4) for sr in results)
    assert ours > bicubic + 0.5


def test_grey_gets_no_tint():
    for scale in (1, 2, 3.3):
        result = UPSCALER(waves(channels=1).repeat(3, -1), scale)
        np.testing.assert_array_equal(result, UPSCALER(waves(channels=1), scale).repeat(3, -1))
    assert UPSCALER(waves(channels=1)[..., 0], 2).ndim == 2


@pytest.mark.parametrize("model", sorted(list_weights()))
@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4, 5.5])
@pytest.mark.parametrize("dtype, top", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float16, 1)])
def test_flat_pictures_stay_exactly_what_they_are(model, consistent, scale, dtype, top):
    upscaler = srfast.Upscaler(model, consistent=consistent)
    for share in (0, .2, .5, 1):
        value = np.dtype(dtype).type(share * top)
        for channels in (1, 2, 3, 4):
            result = upscaler(np.full((17, 23, channels), value), scale)
            assert result.dtype == dtype and (result == value).all()
        framed = np.full((40, 50, 3), value)
        framed[15:25, 20:30, 0] = top - value
        if not consistent: assert (upscaler(framed, scale)[: int(12 * scale)] == value).all()


@pytest.mark.parametrize("tile", [16, 17, 40, 1000])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiles_leave_no_seam(tile, scale, channels):
    array = noise(channels=channels)[:45, :50]
    whole, tiled = (srfast.Upscaler(tile=t)(array, scale) for t in (None, tile))
    differs = np.abs(whole.astype(int) - tiled).max(-1)
    assert differs.max() <= 1 and (differs > 0).mean() <= 1e-4
    whole, tiled = (srfast.Upscaler(tile=t)(array / np.float32(255), scale) for t in (None, tile))
    assert np.abs(whole - tiled).max() <= 1e-5


@pytest.mark.parametrize("tile", [0, 15, -16, 16.5, "256", "big"])
def test_tiles_that_make_no_sense(tile):
    with pytest.raises(ValueError, match="expected a tile"):
        srfast.Upscaler(tile=tile)


def test_threads_share_an_upscaler():
    pictures = [noise(20 + 3 * i, 40 - i, (1, 3, 4)[i % 3]) for i in range(16)]
    scales = [(2, 4, 3.3, 1)[i % 4] for i in range(16)]
    shared = srfast.Upscaler(tile=24)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(shared, pictures, scales))
    for img, scale, result in zip(pictures, scales, together):
        np.testing.assert_array_equal(result, shared(img, scale))


@pytest.mark.parametrize("scale", [1, 1.3, 2, 4, 9])
def test_progress_rises_to_1(scale):
    told = []
    srfast.Upscaler(tile=16)(np.dstack([waves(), waves()[..., 0]]), scale, progress=told.append)
    assert told == sorted(told) and told[-1:] == [1]
    assert all(0 < fraction <= 1 for fraction in told)


@pytest.mark.parametrize("imgs", [[waves(), RGB], torch.rand(3, 3, 9, 8)], ids=["list", "batch"])
def test_progress_of_several_rises_to_1_once(imgs):
    told = []
    UPSCALER(imgs, 2, progress=told.append)
    assert told == sorted(told) and told.count(1) == 1 and len(told) == len(imgs)


def test_an_error_in_progress_stops_the_work():
    def stop(fraction):
        raise InterruptedError
    with pytest.raises(InterruptedError):
        UPSCALER(waves(), 2, progress=stop)


# Models and devices

def test_unknown_models_name_the_near_ones():
    with pytest.raises(srfast.UnknownNameError, match="unknown model 'phto': did you mean photo"):
        srfast.upscale(waves(), model="phto")


@pytest.mark.parametrize("device", ["nodevice", "cuda:99", ""])
def test_devices_that_are_not_there_are_value_errors(device):
    with pytest.raises(ValueError, match="device"):
        srfast.Upscaler(device=device)


def test_torch_devices_are_devices():
    assert srfast.Upscaler(device=torch.device("cpu"))(waves(), 2).shape == (40, 48, 3)


def test_one_call_is_the_upscaler():
    np.testing.assert_array_equal(srfast.upscale(waves(), 2), UPSCALER(waves(), 2))


@pytest.mark.parametrize("limit", ["None", "1000"])
def test_other_programs_may_have_set_pillows_own_limit(limit, tmp_path):
    RGB.resize((60, 50)).save(tmp_path / "picture.png")
    code = f"import PIL.Image, srfast; PIL.Image.MAX_IMAGE_PIXELS = {limit}; print(srfast.read_img('picture.png', max_pixels=10000).size)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(60, 50)\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_enlarge_too(tmp_path):
    (tmp_path / "forks.py").write_text(
        "import multiprocessing, numpy as np, srfast\n"
        "def work(i): return srfast.upscale(np.full((60, 60, 3), i, np.uint8), 2, model='fast').shape\n"
        "work(0)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(work, [1, 2]))\n"
    )
    threads = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "forks.py"], cwd=tmp_path, env=threads, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[(120, 120, 3), (120, 120, 3)]\n"), done.stderr


def run_forking(code, folder):
    """What a program prints that forks, in at most two minutes."""
    (folder / "forks.py").write_text(code)
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "forks.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_keeps_its_threads(tmp_path):
    code = """
import os, numpy as np, srfast, srfast.core, torch
def told(name): print(name, torch.get_num_threads(), flush=True)
told("parent")
if not os.fork():
    told("child")
    srfast.upscale(np.zeros((60, 60, 3), np.uint8), 2, model="fast")
    told("after")
    os._exit(0)
os.wait()
"""
    told = run_forking(code, tmp_path)
    names, threads = told[::2], told[1::2]
    assert names == ["parent", "child", "after"] and len({*threads}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_of_a_loader_do_not_wait_for_ever(tmp_path):
    code = """
import numpy as np, srfast, torch

class Pictures(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, i):
        img = torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(i))
        return srfast.upscale(img, 2, model="fast"), srfast.imresize(img[None], scale=0.5)[0]
def load(n):
    how = {"num_workers": n, "multiprocessing_context": "fork"} if n else {}
    return [part for batch in torch.utils.data.DataLoader(Pictures(), 2, **how) for part in batch]
print(all(torch.allclose(a, b, atol=1e-4) for a, b in zip(load(0), load(2), strict=True)))
"""
    assert run_forking(code, tmp_path) == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_picture_is_read_can_read(tmp_path):
    RGB.save(tmp_path / "a.png")
    code = """
import os, srfast, srfast.images.limits
with srfast.images.limits.pillow_limit(10_000):
    if not os.fork():
        print(srfast.read_img("a.png").size, flush=True)
        os._exit(0)
    os.wait()
"""
    assert run_forking(code, tmp_path) == "(24, 20)".split()


# What is easily taken for something else

@pytest.mark.parametrize("spoil", [False, True])
def test_auto_takes_the_same_model_whatever_the_type(spoil):
    img = np.asarray(Image.fromarray(noise(48, 64) if spoil else waves(48, 64)).resize((128, 96), Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(img.copy()).permute(2, 0, 1)
    deep = img.astype(np.uint16) * 257
    chosen = choose_model(img)
    for same in (tensor, tensor / 255, torch.from_numpy(deep).permute(2, 0, 1), deep.astype(">u2"), deep, Image.fromarray(img)):
        assert choose_model(same) == chosen
    assert choose_model(Image.fromarray(img[..., 0]).convert("LA").convert("La")) == choose_model(img[..., 0])


def test_auto_takes_big_endian_greys():
    grey = np.asarray(waves(40, 40, 1)[..., 0], ">u2") * 257
    np.testing.assert_array_equal(srfast.upscale(grey, 2, model="auto"), srfast.upscale(grey, 2, model=choose_model(grey)))


def test_small_integers_of_numpy_are_scales():
    assert srfast.upscale(np.zeros((70, 10), np.uint8), np.uint8(4), model="fast").shape == (280, 40)


class Log:
    """A standard error of a program's own."""
    write = flush = lambda self, *args: None


@pytest.mark.parametrize("error", [None, Log()])
def test_without_standard_error(error, monkeypatch):
    monkeypatch.setattr(sys, "stderr", error)
    assert srfast.upscale(waves(), 2, model="fast").shape == (40, 48, 3)


def test_a_gif_is_clear_where_later_frames_are(tmp_path):
    frames = [Image.new("RGBA", (24, 20), (200, 30, 30, 255)) for _ in range(3)]
    for i, frame in enumerate(frames): frame.paste((0, 0, 0, 0), (0, 0, 8 * i, 20))
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=17, lossless=True)
    made = srfast.read_img(srfast.write_img(srfast.upscale(tmp_path / "a.webp", 2, model="fast"), tmp_path / "a.gif"))
    assert [np.mean(np.asarray(frame.convert("RGBA"))[..., 3] < 128) for frame in made.frames] == pytest.approx([0, 1 / 3, 2 / 3], abs=.03)
    assert [frame.info["duration"] for frame in made.frames] == [20, 20, 20]


def test_black_stays_black_where_an_earlier_frame_was_clear(tmp_path):
    first, then = Image.new("RGBA", (24, 20)), Image.new("RGBA", (24, 20), "black")
    for frame in (first, then): frame.paste((255, 200, 0, 255), (6, 6, 18, 14))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[then], duration=100, disposal=2)
    made = srfast.read_img(srfast.write_img(srfast.upscale(tmp_path / "a.gif", 2, model="fast"), tmp_path / "b.gif"))
    assert [np.mean(np.asarray(frame.convert("RGBA"))[..., 3]) for frame in made.frames] == pytest.approx([51, 255], abs=9)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_a_long_pause_stays_one(kind, tmp_path):
    frames = [Image.new("RGB", (20, 16), color) for color in ("red", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 655_350])
    made = srfast.read_img(srfast.write_img(srfast.read_img(tmp_path / "a.gif"), tmp_path / f"b.{kind}"))
    assert abs(made.frames[1].info["duration"] - 655_350) < 1000


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
@pytest.mark.parametrize("pauses", [(60_000, 59_990, 70), (100, 655_350, 655_350), (70_010, 10, 65_540)])
@pytest.mark.parametrize("colors", ["rgb", "rrb", "rrr"])
def test_pauses_of_equal_frames_add_up(colors, pauses, kind, tmp_path):
    frames = [Image.new("RGB", (20, 16), {"r": "red", "g": "green", "b": "blue"}[color]) for color in colors]
    for frame, ms in zip(frames, pauses): frame.info["duration"] = ms
    made = srfast.read_img(srfast.write_img(srfast.images.read.gather(frames), tmp_path / f"a.{kind}"))
    shown = [frame.info["duration"] for frame in getattr(made, "frames", [])]
    if not shown: return  # a picture that does not move
    assert abs(shown[-1] - pauses[-1]) <= 10 or colors == "rrr" or sum(pauses) > 655_350 and len(shown) < 3
    assert abs(sum(shown) - sum(pauses)) < 100 or kind == "gif" and 655_350 in shown


def palettes_of_a_gif():
    """Name -> frames: grey first, palettes of their own, something transparent."""
    frames = [Image.fromarray(np.roll(waves(), k, 1)) for k in range(3)]
    small = [Image.fromarray(np.roll(waves(), k, 2)).quantize(12) for k in range(3)]
    clear = [Image.fromarray(np.dstack([np.roll(waves(), k, 1), np.uint8(255) * (np.roll(waves(), k, 0)[..., 0] > 99)])) for k in range(3)]
    return {"grey": [frame.convert("L") for frame in frames], "grey, then colour": [frames[0].convert("L"), *frames[1:]],
            "few colours": small, "many colours": frames, "transparent": clear, "transparent later": [frames[0], *clear[1:]]}


@pytest.mark.parametrize("name", palettes_of_a_gif())
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_frames_of_a_gif_keep_their_colours(name, suffix, tmp_path):
    first, *rest = palettes_of_a_gif()[name]
    film = srfast.read_img(encoded(first, "GIF", save_all=True, append_images=rest, duration=50, disposal=2))
    for frame in film.frames if suffix == "tif" else (): del frame.info["duration"]  # pages have none
    made = srfast.read_img(srfast.write_img(film, tmp_path / f"a.{suffix}"))
    for frame, found in zip(film.frames, made.frames, strict=True):
        wanted, found = (np.asarray(each.convert("RGBA")) for each in (frame, found))
        np.testing.assert_array_equal(found[..., 3], wanted[..., 3])
        np.testing.assert_array_equal(found[wanted[..., 3] > 0], wanted[wanted[..., 3] > 0])


def test_pages_with_and_without_a_palette_follow_each_other(tmp_path):
    modes = ["P", "RGB", "L", "P", "RGBA", "1"]
    pages = [RGB.convert(mode) for mode in modes]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    srfast.write_img(srfast.read_img(tmp_path / "a.tif"), tmp_path / "b.tif")
    for film in (srfast.read_img(tmp_path / "a.tif"), srfast.read_img(tmp_path / "b.tif")):
        assert [page.mode for page in film.frames] == modes
        for page, wanted in zip(film.frames, pages): np.testing.assert_array_equal(np.asarray(page), np.asarray(wanted))


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "gif", "avif"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, "palette", "RGB"])
def test_a_value_that_means_clear_is_clear_in_every_format(bits, suffix, tmp_path):
    rows, file = np.arange(256).reshape(16, 16) // 8 % 2, io.BytesIO()
    if bits == "palette": png.Writer(16, 16, palette=[(9, 90, 200, 255), (200, 90, 9, 0)], bitdepth=1).write(file, rows.tolist())
    elif bits == "RGB": png.Writer(16, 16, greyscale=False, transparent=(200, 200, 200)).write(file, (rows * 200).repeat(3, 1).tolist())
    else: png.Writer(16, 16, greyscale=True, bitdepth=bits, transparent=1).write(file, rows.tolist())
    path = srfast.write_img(srfast.read_img(file.getvalue()), tmp_path / f"a.{suffix}")
    alpha = np.asarray(srfast.read_img(path).convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha < 128, rows == 1)


def test_a_single_bit_that_means_clear_is_a_valid_one_in_the_file(tmp_path):
    rows, file = np.arange(256).reshape(16, 16) // 8 % 2, io.BytesIO()
    png.Writer(16, 16, greyscale=True, bitdepth=1, transparent=1).write(file, rows.tolist())
    _, _, found, _ = png.Reader(filename=str(srfast.write_img(srfast.read_img(file.getvalue()), tmp_path / "a.png"))).asRGBA8()
    np.testing.assert_array_equal(np.vstack([*found])[:, 3::4] == 0, rows == 1)


def test_luminance_and_colour_in_planes_of_their_own_are_not_taken_for_red_green_and_blue(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", waves().transpose(2, 0, 1).copy(), photometric="ycbcr", planarconfig="separate")
    with pytest.raises(srfast.ImageError): srfast.read_img(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_the_still_picture_of_an_apng_does_not_move(kind, tmp_path):
    frames = [Image.new("RGB", (20, 16), color) for color in ("red", "green", "blue", "white")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100, default_image=True, loop=0)
    made = srfast.read_img(srfast.write_img(srfast.upscale(tmp_path / "a.png", 2, model="fast"), tmp_path / f"a.{kind}"))
    colors = [frame.convert("RGB").getpixel((9, 9)) for frame in made.frames]
    assert np.abs(np.subtract(colors, [(0, 128, 0), (0, 0, 255), (255, 255, 255)])).max() < 9 and made.frames[0].info["loop"] == 0


def test_brightness_and_primaries_of_a_png_stay(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 100_000))
    chunks.add(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    Image.fromarray(waves()).save(tmp_path / "a.png", pnginfo=chunks)
    made = Image.open(srfast.write_img(srfast.upscale(tmp_path / "a.png", 2, model="fast"), tmp_path / "b.png"))
    before = Image.open(tmp_path / "a.png").info
    assert (made.info["gamma"], made.info["chromaticity"]) == (before["gamma"], before["chromaticity"])


@pytest.mark.parametrize("values, options", [
    (np.array([[-100, 100] * 9] * 18, np.int8), {}), (np.full((18, 18), .25, np.float32), {"photometric": "miniswhite"}),
])
def test_values_that_mean_something_else_are_refused(values, options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    with pytest.raises(srfast.ImageError, match="a.tif: expected values from black upwards"):
        srfast.upscale(tmp_path / "a.tif")
