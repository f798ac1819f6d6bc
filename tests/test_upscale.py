"""`srfast.upscale`: every kind, mode and size of picture, and what must never change."""
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import srfast
from srfast.core import to_tensor

UPSCALER = srfast.Upscaler()


def waves(height=20, width=24, channels=3):
    """A smooth picture without any symmetry, (H, W, C) uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([127 + 60 * np.sin(x / 5 + k) + 60 * np.cos(y / 7 - x / 9 + k) for k in range(channels)], -1).astype(np.uint8)


def noise(height=70, width=93, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(img, kind="PNG", **options):
    file = io.BytesIO()
    img.save(file, kind, **options)
    return file.getvalue()


def written(img, path):
    """The picture as another program finds it in the file."""
    with Image.open(srfast.write_img(img, path)) as found:
        found.load()
        return found


RGB = Image.fromarray(waves())
RGBA = Image.fromarray(np.dstack([waves(), waves()[..., 2:]]))
DEEP = Image.fromarray(waves(channels=1)[..., 0].astype(np.uint16) * 257)


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


@pytest.mark.parametrize("img", [None, 5, {}, (x for x in [RGB]), torch.rand(8, 9), waves() > 127, waves().astype(np.int64)],
                         ids=["None", "number", "dict", "generator", "tensor (H,W)", "bool array", "int64 array"])
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
    ("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("PA", "RGBA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("RGBa", "RGBA"),
    ("RGBX", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB")])
def test_mode_stays_or_becomes_the_nearest_one(mode, wanted):
    img = RGB.quantize(128) if mode == "P" else RGBA.convert(mode)
    result = UPSCALER(img, 2)
    assert (result.mode, result.size) == (wanted, (48, 40))
    if mode not in ("1", "PA"):
        plain = img.convert("RGBA").resize((48, 40), Image.BICUBIC)
        difference = np.abs(np.asarray(result.convert("RGBA")).astype(int) - np.asarray(plain)).mean()
        assert difference < (4 if mode == "P" else 2)


@pytest.mark.parametrize("mode", ["F", "LAB", "HSV"])
def test_modes_without_a_range_are_refused_by_name(mode):
    img = Image.new("F", (4, 4)) if mode == "F" else RGB.convert(mode)
    with pytest.raises(srfast.ImageError, match=mode):
        UPSCALER(img)


@pytest.mark.parametrize("img", [DEEP, Image.fromarray(np.asarray(DEEP).astype(np.int32)),
                                 Image.frombytes("I;16B", DEEP.size, np.asarray(DEEP).astype(">u2").tobytes())], ids=["I;16", "I", "I;16B"])
def test_sixteen_bits_stay(img, tmp_path):
    result = UPSCALER(img, 2)
    assert result.mode == "I;16"
    values = np.asarray(result)
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


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_even_transparency_stays_even(alpha):
    img = RGB.copy()
    img.putalpha(alpha)
    assert set(np.unique(np.asarray(UPSCALER(img, 2.5))[..., 3])) == {alpha}


# What a file carries

TURNS = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
         5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}


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


ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_profile_and_resolution_travel(kind, suffix, tmp_path):
    result = UPSCALER(encoded(RGB, kind, icc_profile=ICC, dpi=(300, 150)), 2)
    found = written(result, tmp_path / f"result.{suffix}")
    assert found.info["icc_profile"] == ICC
    assert [round(float(x)) for x in found.info["dpi"]] == [300, 150]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_camera_data_travel(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    found = written(UPSCALER(encoded(RGB, "JPEG", exif=exif), 2), tmp_path / f"result.{suffix}").getexif()
    assert found[0x010F] == "maker"
    assert found.get_ifd(0x8769)[0x9003] == "2026:01:01 00:00:00"
    assert found.get_ifd(0x8825)[1] == "N"


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
    with pytest.raises(srfast.ImageError, match="expected at most 479 pixels, got 24 x 20"):
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
    ("alpha.jpg", RGBA), ("big.gif", RGB), ("nosuffix", RGB), ("missing/a.png", RGB), ("folder.png", RGB), ("wide.webp", "wide"),
    ("wide.jpg", "wide"), ("lab.png", Image.new("LAB", (4, 4)))])
def test_what_cannot_be_written_leaves_nothing(name, img, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(srfast.ImageError, match=name):
        srfast.write_img(Image.new("RGB", (70000, 1)) if img == "wide" else img, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]
    assert list((tmp_path / "folder.png").iterdir()) == []


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
    assert UPSCALER(waves(), size=(7, 5)).shape == (5, 7, 3)


def test_scale_1_changes_nothing():
    np.testing.assert_array_equal(UPSCALER(noise(), 1), noise())


@pytest.mark.parametrize("wish", [
    dict(scale=0), dict(scale=-1), dict(scale=0.99), dict(scale=16.01), dict(scale=float("nan")), dict(scale=float("inf")),
    dict(size=(0, 5)), dict(size=(-5, -5)), dict(size=(385, 5)), dict(size=(5,)), dict(size=(5, 5, 5)), dict(width=0), dict(width=-3),
    dict(width=10**6), dict(width=30, height=30), dict(width=float("nan"))], ids=str)
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


@pytest.mark.parametrize("scale", [2, 4])
def test_flat_grey_stays_grey(scale):
    result = UPSCALER(waves(channels=1).repeat(3, -1), scale).astype(int)
    assert np.abs(result - result.mean(-1, keepdims=True)).max() < 12
    assert UPSCALER(waves(channels=1)[..., 0], scale).ndim == 2


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
