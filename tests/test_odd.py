"""Files of unusual kinds: the right pixels, or a refusal that says what to do."""
import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

import srfast
from files import encoded
from srfast.images.exif import tiff_folder
from srfast.images.planes import split_img

RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8))
Y, X = np.mgrid[:20, :30]
GREY = (X * 8 + Y * 3).astype(np.uint8)


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


HALF = tiff((GREY / 255).astype("f2"), photometric="minisblack")


# TIFF

@pytest.mark.parametrize("compression, tile", [(None, None), ("zlib", None), ("zlib", (16, 16))])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i2", "i4", "f4"])
def test_signed_and_floating_values_are_read_in_every_order_of_bytes(kind, order, compression, tile, tmp_path):
    values = (GREY.astype(float) / 255 if kind == "f4" else GREY.astype(int) + 300).astype(order + kind)
    (tmp_path / "a.tif").write_bytes(tiff(values, photometric="minisblack", byteorder=order, compression=compression, tile=tile))
    for source in (tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes()):
        np.testing.assert_array_equal(np.asarray(srfast.read_img(source)), values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_int16_comes_back_as_int16(compression, order, tmp_path):
    values = (GREY.astype(order + "i2") + 9) * 100
    result = srfast.upscale(tiff(values, photometric="minisblack", byteorder=order, compression=compression), 2, model="fast")
    with Image.open(srfast.write_img(result, tmp_path / "a.png")) as found: assert found.mode == "I;16"
    back = tifffile.imread(srfast.write_img(result, tmp_path / "a.tif"))
    assert back.dtype == np.int16
    np.testing.assert_array_equal(back, np.asarray(result))
    np.testing.assert_array_equal(srfast.read_img(tmp_path / "a.tif"), back)


def packed(values):
    """Grey of 12 bits as a TIFF, three bytes for two values."""
    pairs = values.reshape(-1, 2).astype(int)
    rows = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], -1)
    data = bytearray(tiff(rows.astype(np.uint8).reshape(len(values), -1), photometric="minisblack"))
    (first,) = struct.unpack_from("<I", data, 4)
    entries = tiff_folder(io.BytesIO(data), first, "<")
    for tag, value in ((256, values.shape[1]), (258, 12)): struct.pack_into("<HHII", data, entries[tag][3], tag, 3, 1, value)
    return bytes(data)


def test_twelve_bits_of_grey_become_sixteen():
    values = (GREY.astype(np.uint16) * 16 + 15).clip(0, 4095)
    np.testing.assert_allclose(np.asarray(srfast.read_img(packed(values))) / 65535, values / 4095, atol=2e-5)


def planar(photometric, extra, kind, compression=None):
    """Separate planes as a TIFF, and their values (H, W, C)."""
    count = {"minisblack": 1, "cielab": 3, "rgb": 3}[photometric] + len(extra)
    planes = np.stack([GREY, GREY[::-1], GREY[:, ::-1], GREY[::-1, ::-1]][:count]).astype(kind)
    planes *= 257 if kind == "u2" else 1
    options = dict(photometric=photometric, planarconfig="separate", extrasamples=extra, compression=compression)
    return tiff(planes, **options), np.moveaxis(planes, 0, -1)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("photometric, extra, kind", [("minisblack", ["assocalpha"], "u1"), ("cielab", [], "u1"),
                                                      ("rgb", ["assocalpha"], "u2")])
def test_planes_that_pillow_mixes_up_are_refused(photometric, extra, kind, compression):
    data, _ = planar(photometric, extra, kind, compression)
    with pytest.raises(srfast.ImageError, match="expected a TIFF"): srfast.read_img(data)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("photometric, extra, kind", [("minisblack", ["unassalpha"], "u1"), ("minisblack", ["unassalpha"], "u2"),
                                                      ("rgb", [], "u2"), ("rgb", ["unassalpha"], "u2"), ("rgb", [], "u1")])
def test_separate_planes_are_read(photometric, extra, kind, compression, tmp_path):
    data, values = planar(photometric, extra, kind, compression)
    (tmp_path / "a.tif").write_bytes(data)
    for source in (data, tmp_path / "a.tif"):
        planes = split_img(srfast.read_img(source))
        np.testing.assert_array_equal(np.concatenate([planes.color, planes.alpha], -1) if extra else planes.color, values)


@pytest.mark.parametrize("kind", ["f2", "f8", "u4"])
def test_grey_of_other_kinds_keeps_its_values(kind, tmp_path):
    values = GREY.astype(kind) if kind == "u4" else (GREY / 255).astype(kind)
    result = srfast.upscale(tiff(values, photometric="minisblack"), 2, model="fast")
    assert result.mode == ("I" if kind == "u4" else "F")
    np.testing.assert_allclose(srfast.read_img(tiff(values, photometric="minisblack")), values, rtol=1e-6)
    back = tifffile.imread(srfast.write_img(result, tmp_path / "a.tif"))
    np.testing.assert_array_equal(back, np.asarray(result))


def test_without_tifffile_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(srfast.ImageError, match=r"save it as PNG, or pip install 'srfast\[formats\]'"): srfast.read_img(HALF)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_a_channel_beside_the_colours_is_named(kind):
    values = np.dstack([np.asarray(RGB), GREY]).astype(kind)
    data = tiff(values, photometric="rgb", extrasamples=["unspecified"])
    with pytest.warns(UserWarning, match="1 channel beside the colours: left out"): found = srfast.read_img(data)
    np.testing.assert_array_equal(split_img(found).color, values[..., :3])
    with pytest.raises(srfast.ImageError, match="left out"): srfast.read_img(data, strict=True)


@pytest.mark.parametrize("primaries, named", [((0.64, 0.33, 0.3, 0.6, 0.15, 0.06), False), ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), True)])
def test_primaries_of_a_tiff_are_named(primaries, named, recwarn):
    fractions = [part for value in primaries for part in (round(value * 1000), 1000)]
    srfast.read_img(tiff(np.asarray(RGB), photometric="rgb", extratags=[(319, 5, 6, tuple(fractions), True)]))
    assert any("the primaries of the TIFF were left out" in str(each.message) for each in recwarn) == named


def test_libtiff_prints_nothing(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.asarray(RGB), photometric="rgb", compression="zlib", extratags=[(65000, 3, 1, 7, True)]))
    code = f"import srfast; srfast.read_img({str(tmp_path / 'a.tif')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# Place on a map

KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)


def placed(point=False, matrix=False, orientation=1, kind=np.uint8):
    keys = (*KEYS[:11], 2 if point else 1, *KEYS[12:])
    tags = [(34735, 3, len(keys), keys, True), (34737, 2, 0, "WGS 84 / UTM zone 32N|", True), (42113, 2, 0, "0", True)]
    if matrix: tags.append((34264, 12, 16, (8., 6., 0., 5e5, 6., -8., 0., 5e6, *[0.] * 7, 1.), True))
    else: tags += [(33550, 12, 3, (10., 20., 0.), True), (33922, 12, 6, (3., 4., 0., 5e5, 5e6, 0.), True)]
    return tiff(np.asarray(RGB).astype(kind), photometric="rgb", extratags=[*tags, (274, 3, 1, orientation, True)])


def on_map(tags, column, row):
    """Where a point of an image lies, pixels counted from the corner of the image."""
    start = -.5 if tags["GeoKeyDirectoryTag"].value[11] == 2 else 0
    i, j = column + start, row + start
    if "ModelTransformationTag" in tags:
        m = np.reshape(tags["ModelTransformationTag"].value, (4, 4))
        return tuple((m @ [i, j, 0, 1])[:2])
    (sx, sy, _), (ti, tj, _, x, y, _) = tags["ModelPixelScaleTag"].value, tags["ModelTiepointTag"].value
    return x + (i - ti) * sx, y - (j - tj) * sy


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("point", [False, True])
def test_every_corner_stays_where_it_is_on_the_map(point, matrix, kind, tmp_path, recwarn):
    data = placed(point, matrix, kind=kind)
    before = tifffile.TiffFile(io.BytesIO(data)).pages[0].tags
    result = srfast.upscale(data, size=(75, 40), model="fast")
    after = tifffile.TiffFile(srfast.write_img(result, tmp_path / "a.tif")).pages[0].tags
    for column, row in ((0, 0), (30, 0), (0, 20), (30, 20), (12, 5)):
        np.testing.assert_allclose(on_map(after, column * 2.5, row * 2), on_map(before, column, row), rtol=0, atol=1e-6)
    assert after[34735].value == before[34735].value and after[34737].value == before[34737].value and after[42113].value == "0"
    assert not [each for each in recwarn if "left out" in str(each.message)]


def test_the_georeference_of_a_turned_image_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="georeference of a turned image was left out"):
        assert "geotiff" not in srfast.read_img(placed(orientation=6)).info
    with pytest.raises(srfast.ImageError, match="georeference"): srfast.upscale(placed(orientation=6), 2, model="fast", strict=True)


# BMP

def bmp(bits, kind, rows, masks=(), size=40):
    """A BMP of the size of RGB from its rows, bottom first."""
    more = struct.pack(f"<{len(masks)}I", *masks)
    head = struct.pack("<IiiHHIIiiII", size, 30, 20, 1, bits, kind, 0, 2835, 2835, 0, 0) + more + bytes(max(size - 40 - len(more), 0))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + rows


@pytest.mark.parametrize("masks, bits", [((0xF00, 0xF0, 0xF), 16), ((0x1F, 0x3E0, 0x7C00), 16), ((0xFF, 0xFF00, 0xFF0000), 32),
                                         ((0x3FF00000, 0xFFC00, 0x3FF), 32)], ids=str)
def test_bit_fields_of_a_bmp(masks, bits):
    rgb, words = np.asarray(RGB).astype(np.int64), np.zeros((20, 30), np.int64)
    tops = [mask // (mask & -mask) for mask in masks]
    wanted = np.rint(rgb / 255 * tops).astype(np.int64)
    for channel, mask in enumerate(masks): words |= wanted[..., channel] * (mask & -mask)
    found = split_img(srfast.read_img(bmp(bits, 3, words[::-1].astype(f"<u{bits // 8}").tobytes(), masks))).color
    np.testing.assert_allclose(found / np.iinfo(found.dtype).max, wanted / tops, atol=.5 / 255)


@pytest.mark.parametrize("alpha", [0, 128])
def test_an_empty_alpha_channel_of_a_bmp_means_opaque(alpha, tmp_path):
    rows = np.dstack([np.asarray(RGB)[::-1, :, ::-1], np.full((20, 30), alpha, np.uint8)])
    img = srfast.read_img(bmp(32, 3, rows.tobytes(), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 124))
    assert img.mode == ("RGBA" if alpha else "RGB")
    np.testing.assert_array_equal(np.asarray(img.convert("RGB")), np.asarray(RGB))


# JPEG

@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("mode, options", [("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"restart_marker_blocks": 2})])
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_warning(mode, options, cut):
    data = encoded(RGB.convert(mode), "JPEG", quality=90, **options)
    whole = srfast.read_img(data)
    with pytest.warns(UserWarning, match="the end of the JPEG is missing; its pixels are complete"): found = srfast.read_img(data[:-cut])
    np.testing.assert_array_equal(np.asarray(found), np.asarray(whole))
    with pytest.raises(srfast.ImageError, match="end of the JPEG is missing"): srfast.upscale(data[:-cut], 2, model="fast", strict=True)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_pixels_is_refused(progressive):
    data = encoded(RGB, "JPEG", quality=90, progressive=progressive)
    for cut in (*range(4, 40, 3), 200, 500):
        with pytest.raises(srfast.ImageError, match="truncated"): srfast.read_img(data[:-cut])


# Orientation

@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_in_xmp_alone_turns_nothing(kind):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    text, exif = PngImagePlugin.PngInfo(), Image.Exif()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    exif[700] = xmp
    data = encoded(RGB, kind, **{"PNG": {"pnginfo": text}, "TIFF": {"exif": exif}}.get(kind, {"xmp": xmp}))
    for source in (data, Image.open(io.BytesIO(data))):
        result = srfast.upscale(source, 2, model="fast")
        assert result.size == (60, 40) and b"Orientation" not in str(result.info.get("xmp", "")).encode()
    assert srfast.inference.plan(data, 2).result == (60, 40)


# Formats that people bring

@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_jpeg_xl_is_read(mode, tmp_path):
    pillow_jxl = pytest.importorskip("pillow_jxl")
    assert pillow_jxl
    img = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else RGB.convert(mode)
    if mode == "RGBA": img.putalpha(Image.fromarray(GREY))
    exif = Image.Exif()
    exif.update({271: "maker", 274: 6})
    img.save(tmp_path / "a.jxl", lossless=True, exif=exif.tobytes())
    found = srfast.read_img(tmp_path / "a.jxl")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(img))
    assert found.getexif()[271] == "maker"


def test_jpeg_xl_of_16_bits_says_that_it_becomes_8(tmp_path):
    pytest.importorskip("pillow_jxl")
    header = sum(value << at for value, at in ((1, 0), (1, 6), (0, 9), (0, 10), (0, 11), (3, 12), (15, 14)))  # 8 x 8 pixels
    assert srfast.images.sixteen.jxl_bits(b"\xff\x0a" + header.to_bytes(40, "little")) == 16


def test_openexr_becomes_srgb_of_16_bits_and_hdr_is_refused(tmp_path):
    OpenEXR = pytest.importorskip("OpenEXR")
    light = np.asarray(RGB).astype(np.float32) / 255
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    for name, values in (("a", light), ("b", 4 * light)): OpenEXR.File(header, {"RGB": values}).write(str(tmp_path / f"{name}.exr"))
    light = light.astype(np.float64)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(srfast.read_img(tmp_path / "a.exr").deep / 65535, srgb, atol=2e-5)
    with pytest.raises(srfast.ImageError, match=r"b.exr: expected values from 0 to 1, got 0 to 4 \(HDR\)"):
        srfast.read_img(tmp_path / "b.exr")


@pytest.mark.parametrize("name, first", [("JPEG XL", b"\xff\x0a"), ("OpenEXR", b"v/1\1"), ("HEIC", b"\0\0\0\x18ftypheic")])
def test_without_its_library_a_format_is_named(name, first, monkeypatch):
    for module in ("pillow_jxl", "OpenEXR", "pillow_heif"): monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(srfast.ImageError, match=rf"{name} needs another library: pip install 'srfast\[formats\]'"):
        srfast.read_img(first + bytes(99))


@pytest.mark.parametrize("kind, suffix", [("JPEG2000", "jp2"), ("TGA", "tga"), ("ICO", "ico")])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_other_formats_are_read(mode, kind, suffix, tmp_path):
    img = RGB.convert(mode)
    if mode == "RGBA": img.putalpha(Image.fromarray(GREY))
    options = {"irreversible": False} if kind == "JPEG2000" else {"sizes": [img.size]} if kind == "ICO" else {}
    img.save(tmp_path / f"a.{suffix}", kind, **options)
    np.testing.assert_array_equal(np.asarray(srfast.read_img(tmp_path / f"a.{suffix}").convert(mode)), np.asarray(img))


def test_jpeg_2000_that_pillow_misreads_is_refused(tmp_path):
    data = encoded(RGB, "JPEG2000", irreversible=False)
    for samples in (b"\x0f\1\1", b"\x87\1\1", b"\7\2\2"):
        with pytest.raises(srfast.ImageError, match="expected a JPEG 2000 of 8 bits, or of 16 bits in grey"):
            srfast.read_img(data.replace(b"\7\1\1" * 3, b"\7\1\1" + samples * 2))
    grey = Image.fromarray(GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(np.asarray(srfast.read_img(encoded(grey, "JPEG2000", irreversible=False))), np.asarray(grey))


def test_an_icon_of_the_old_kind_is_not_read_as_clear(tmp_path):
    img = RGB.convert("RGBA")
    img.putalpha(0)
    with pytest.raises(srfast.ImageError, match="got an empty alpha channel"):
        srfast.read_img(encoded(img, "ICO", sizes=[img.size], bitmap_format="bmp"))


def test_random_bytes_are_not_a_tga(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.tga")
    data = (tmp_path / "a.tga").read_bytes()[:-26]
    with pytest.raises(srfast.ImageError, match="got something else"): srfast.read_img(data)


def psd(mode, planes, layers=b"", depth=8):
    """A PSD without compression: planes (C, H, W)."""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(planes), *planes.shape[1:], depth, mode)
    return head + bytes(8) + struct.pack(">I", len(layers)) + layers + b"\0\0" + planes.tobytes()


def test_a_flat_psd_is_read_and_one_with_transparency_refused():
    planes = np.moveaxis(np.asarray(RGB), -1, 0)
    np.testing.assert_array_equal(np.asarray(srfast.read_img(psd(3, planes))), np.asarray(RGB))
    np.testing.assert_array_equal(np.asarray(srfast.read_img(psd(1, planes[:1]))), planes[0])
    with pytest.raises(srfast.ImageError, match="expected a flat PSD"): srfast.read_img(psd(3, np.concatenate([planes, GREY[None]])))


def test_a_long_text_of_a_png_is_read_and_kept(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "node " * 500_000, zip=True)
    result = srfast.upscale(encoded(RGB, pnginfo=text), 2, model="fast")
    assert srfast.read_img(srfast.write_img(result, tmp_path / "a.png")).info["text"] == {"workflow": "node " * 500_000}


def test_a_result_that_readers_of_avif_refuse_is_refused(tmp_path):
    with pytest.raises(srfast.ImageError, match="AVIF holds at most 32768 pixels a side"):
        srfast.write_img(Image.new("RGB", (8, 32769)), tmp_path / "a.avif")
