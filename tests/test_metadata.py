"""What a file says beside its pixels: what is carried into a result, what is refused, what is named in a warning."""
import csv
import io
import struct
import zlib
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

import metadata
import srfast
from files import encoded, written

UPSCALER = srfast.Upscaler("fast")
RGB = Image.fromarray(np.random.default_rng(0).integers(60, 200, (12, 16, 3), dtype=np.uint8))


def left_out(warned):
    """The warnings about something that a result lacks."""
    return [str(warning.message) for warning in warned if "left out" in str(warning.message)]


# Camera raw

def raw_file(path, order, photometric):
    """A TIFF whose first page is a preview of another one in a sub-image."""
    with tifffile.TiffWriter(path, byteorder=order) as file:
        file.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        sensor = np.zeros((64, 64, 3)[: 3 if photometric == 34892 else 2], np.uint16)
        file.write(sensor, photometric=photometric, metadata=None)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [32803, 34892, "minisblack"])
def test_a_camera_raw_file_is_refused_and_not_its_preview_enlarged(photometric, order, tmp_path):
    raw_file(tmp_path / "a.tif", order, photometric)
    for source in (tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes(), io.BytesIO((tmp_path / "a.tif").read_bytes())):
        with pytest.raises(srfast.ImageError, match="got a camera raw file; develop it"): UPSCALER(source)


@pytest.mark.parametrize("start", [b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW ", b"\0\0\0\x18ftypcrx \0\0\0\1", b"IIRO\x08", b"IIU\0\x18"])
def test_raw_files_of_other_kinds_are_named(start):
    with pytest.raises(srfast.ImageError, match="got a camera raw file; develop it"): srfast.read_img(start + bytes(400))


def test_a_name_of_raw_files_is_enough_for_a_tiff_and_others_are_read(tmp_path):
    (tmp_path / "a.nef").write_bytes(encoded(RGB, "TIFF"))
    with pytest.raises(srfast.ImageError, match="a.nef: expected an image, got a camera raw file"): srfast.read_img(tmp_path / "a.nef")
    (tmp_path / "b.nef").write_bytes(encoded(RGB, "PNG"))
    assert srfast.read_img(tmp_path / "b.nef").size == RGB.size


def test_a_tiff_with_a_small_copy_of_its_page_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.asarray(RGB), photometric="rgb", subifds=1, metadata=None)
        file.write(np.asarray(RGB)[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    assert srfast.read_img(tmp_path / "a.tif").size == RGB.size


# Maker notes

def exif_with_note(order, orientation, head=b""):
    """EXIF whose maker note has a value found by its position from the start of EXIF; the position of that value."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    pack = lambda form, *values: struct.pack(order + form, *values)  # noqa: E731
    folder = lambda *tags: pack("H", len(tags)) + b"".join(tags) + pack("I", 0)  # noqa: E731
    make = b"Maker of cameras\0\0"
    at = 8 + 2 + 3 * 12 + 4
    camera = at + len(make)
    note_at = camera + 2 + 12 + 4
    value = note_at + len(head) + 18
    note = head + folder(pack("HHII", 6, 2, 8, value)) + b"PowerSho"
    first = folder(pack("HHII", 271, 2, 17, at), pack("HHIHH", 274, 3, 1, orientation, 0), pack("HHII", 0x8769, 4, 1, camera))
    return b"Exif\0\0" + mark + pack("I", 8) + first + make + folder(pack("HHII", 0x927C, 7, len(note), note_at)) + note, value


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_values_of_a_maker_note_are_found_where_it_says(order, orientation, suffix, tmp_path, recwarn):
    exif, value = exif_with_note(order, orientation)
    found = written(UPSCALER(encoded(RGB, "JPEG", exif=exif), 2), tmp_path / f"a.{suffix}")
    packed = found.info["exif"].removeprefix(b"Exif\0\0")
    assert packed[value : value + 8] == b"PowerSho"
    assert found.getexif()[271] == "Maker of cameras" and found.getexif().get_ifd(0x8769)[0x927C].endswith(b"PowerSho")
    assert found.getexif().get(274, 1) == 1 and not left_out(recwarn)


def test_a_maker_note_that_must_move_is_left_out_with_a_warning(tmp_path):
    result = UPSCALER(encoded(RGB, "JPEG", exif=exif_with_note("<", 1)[0]), 2)
    with pytest.warns(UserWarning, match="maker note was left out"): found = written(result, tmp_path / "a.tif")
    assert 0x927C not in found.getexif().get_ifd(0x8769) and found.getexif()[271] == "Maker of cameras"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_maker_note_that_counts_from_its_own_start_moves(suffix, tmp_path, recwarn):
    exif, _ = exif_with_note("<", 1, b"Apple iOS\0")
    found = written(UPSCALER(encoded(RGB, "JPEG", exif=exif), 2), tmp_path / f"a.{suffix}")
    assert found.getexif().get_ifd(0x8769)[0x927C].startswith(b"Apple iOS\0") and not left_out(recwarn)


# Values that change with the size

@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_sizes_of_a_panorama_grow_and_appended_videos_are_not_described(suffix, tmp_path):
    across = "FullPanoWidthPixels CroppedAreaImageWidthPixels CroppedAreaLeftPixels LargestValidInteriorRectWidth".split()
    down = "FullPanoHeightPixels CroppedAreaImageHeightPixels CroppedAreaTopPixels LargestValidInteriorRectTop".split()
    tags = "".join(f' GPano:{name}="{8 + i}"' for i, name in enumerate(across))
    inside = "".join(f"<GPano:{name}>{6 + i}</GPano:{name}>" for i, name in enumerate(down))
    video = ' GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4000" Camera:MotionPhoto="1" hdrgm:Version="1.0"'
    items = '<Container:Directory><rdf:Seq><rdf:li Item:Length="4000"/></rdf:Seq></Container:Directory>'
    video_inside = "<GCamera:MotionPhoto>1</GCamera:MotionPhoto>"
    xmp = f'<x{tags}{video} dc:y="1">{inside}{items}{video_inside}</x>'.encode()
    result = UPSCALER(encoded(RGB, "JPEG", xmp=xmp), size=(48, 24))
    found = written(result, tmp_path / f"a.{suffix}").info
    tags = "".join(f' GPano:{name}="{3 * (8 + i)}"' for i, name in enumerate(across))
    inside = "".join(f"<GPano:{name}>{2 * (6 + i)}</GPano:{name}>" for i, name in enumerate(down))
    assert (found.get("xmp") or found["XML:com.adobe.xmp"].encode()) == f'<x{tags} dc:y="1">{inside}</x>'.encode()


@pytest.mark.parametrize("tag", [285, 297, 301, 321, 530, 532, 34908, 34910, 45059])
@pytest.mark.parametrize("pages", [1, 2])
def test_the_same_call_writes_the_same_tiff(pages, tag, tmp_path):
    count = {301: 768, 532: 6}.get(tag, 2)
    kind = {285: 2, 532: 4}.get(tag, 3)
    extra = [(tag, kind, 5 if tag == 285 else count, "name" if tag == 285 else tuple(range(count)), True)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(pages): file.write(np.asarray(RGB), photometric="rgb", metadata=None, extratags=extra)
    data = {srfast.write_img(UPSCALER(tmp_path / "a.tif", 2), tmp_path / f"{i}.tif").read_bytes() for i in range(6)}
    assert len(data) == 1 and 297 not in tifffile.TiffFile(tmp_path / "0.tif").pages[0].tags


# IPTC, texts, comments

CAPTION = b"\x1c\x02\x00\x00\x02\x00\x02\x1c\x02\x78\x00\x05a cat\x1c\x02\x74\x00\x02me"


def with_iptc(kind):
    """The bytes of a file that holds CAPTION as other programs write it."""
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(CAPTION)) + CAPTION + bytes(len(CAPTION) % 2)
    if kind == "JPEG":
        return encoded(RGB, kind, extra=b"\xff\xed" + struct.pack(">H", len(block) + 16) + b"Photoshop 3.0\0" + block)
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Raw profile type iptc", f"\niptc\n{len(block):8}\n{block.hex()}\n", zip=True)
        return encoded(RGB, kind, pnginfo=text)
    exif = Image.Exif()
    exif[33723] = CAPTION
    return encoded(RGB, kind, exif=exif)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_iptc_travels(kind, suffix, tmp_path, recwarn):
    path = srfast.write_img(UPSCALER(with_iptc(kind), 2), tmp_path / f"a.{suffix}")
    assert srfast.read_img(path).info["iptc"] == CAPTION and not left_out(recwarn)
    with Image.open(path) as found: found.load()
    if suffix == "jpg": told = found.info["photoshop"][0x0404]
    elif suffix == "png": told = bytes.fromhex("".join(found.text["Raw profile type iptc"].split()[2:]))[12:]
    else: told = found.getexif()[33723]
    assert told[: len(CAPTION)] == CAPTION


def with_text(**text):
    info = PngImagePlugin.PngInfo()
    for name, value in text.items(): info.add_text(name, value)
    return encoded(RGB, pnginfo=info)


TEXT = {"Title": "Tïtle", "Copyright": "me", "Author": "Ünal", "parameters": "a cat\nSteps: 20", "prompt": '{"3":{}}', "Comment": "日本"}


def test_texts_of_a_png_travel_to_a_png(tmp_path, recwarn):
    assert written(UPSCALER(with_text(**TEXT), 2), tmp_path / "a.png").text == TEXT and not left_out(recwarn)


def test_texts_after_the_pixels_travel_too(tmp_path):
    data = encoded(RGB)
    body = b"tEXtTitle\0late"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert written(UPSCALER(data[:-12] + chunk + data[-12:], 2), tmp_path / "a.png").text == {"Title": "late"}


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_texts_that_exif_has_tags_for_travel_and_others_are_named(suffix, tmp_path):
    result = UPSCALER(with_text(**{key: value for key, value in TEXT.items() if key != "Comment"}), 2)
    with pytest.warns(UserWarning, match="has no place for the text 'Title', the text 'prompt': left out; use .png"):
        exif = written(result, tmp_path / f"a.{suffix}").getexif()
    assert exif[33432] == "me" and exif[315].encode("latin-1").decode() == "Ünal"
    parameters = exif[270].encode() if suffix == "tif" else exif.get_ifd(0x8769)[0x9286].removeprefix(b"ASCII\0\0\0")
    assert parameters.decode() == TEXT["parameters"]


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
@pytest.mark.parametrize("comment", [b"a comment", "Größe".encode(), b"Gr\xf6\xdfe"])
def test_comments_travel(comment, kind, tmp_path, recwarn):
    result = UPSCALER(encoded(RGB.convert("L"), kind, comment=comment), 2)
    for suffix in ("jpg", "gif"): assert written(result, tmp_path / f"a.{suffix}").info["comment"] == comment
    text = "a comment" if comment.isascii() else "Größe"
    assert written(result, tmp_path / "a.png").text == {"Comment": text}
    user_comment = written(result, tmp_path / "a.webp").getexif().get_ifd(0x8769)[0x9286]
    assert user_comment[8:].decode("ascii" if comment.isascii() else "utf-16-be") == text
    assert written(result, tmp_path / "a.tif").getexif()[270] and not left_out(recwarn)
    assert written(UPSCALER(tmp_path / "a.png", 2), tmp_path / "b.jpg").info["comment"].decode() == text


@pytest.mark.parametrize("suffix, names", [("gif", "EXIF, IPTC"), ("bmp", "EXIF, XMP, IPTC"),
                                           ("ppm", "EXIF, XMP, IPTC, the colour profile")])
def test_what_a_format_has_no_place_for_is_named(suffix, names, tmp_path):
    exif = Image.Exif()
    exif[271] = "maker"
    img = RGB.copy()
    img.info = {"exif": exif.tobytes(), "xmp": b"<x/>", "iptc": CAPTION, "icc_profile": bytes(200), "text": {"Title": "cat"}}
    with pytest.warns(UserWarning, match=f"no place for {names}, the text 'Title': left out; use .png"):
        srfast.write_img(img, tmp_path / f"a.{suffix}")


def test_what_is_too_long_for_a_jpeg_is_named_and_the_rest_is_kept(tmp_path):
    img = RGB.copy()
    img.info = {"xmp": b"x" * 70_000, "comment": b"c" * 70_000, "iptc": b"\x1c\x02" + bytes(70_000), "text": {"Copyright": "me"}}
    with pytest.warns(UserWarning, match="no place for XMP over 64 kB, the comment, IPTC over 64 kB: left out"):
        found = written(img, tmp_path / "a.jpg")
    assert found.getexif()[33432] == "me" and not {"xmp", "comment", "photoshop"} & set(found.info)
    assert srfast.read_img(srfast.write_img(img, tmp_path / "a.png")).info["iptc"] == img.info["iptc"]


@pytest.mark.parametrize("info", [{"iptc": 3}, {"text": "no"}, {"text": {1: 2}}, {"comment": 5}, {"photoshop": b"x"}, {"comment": b""},
                                  {"Raw profile type iptc": "zz"}, {"text": {"": "x"}}], ids=str)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif"])
def test_values_that_make_no_sense_are_left_out(info, suffix, tmp_path):
    img = RGB.copy()
    img.info = info
    assert written(img, tmp_path / f"a.{suffix}").size == RGB.size


# Colours by code points

def with_codes(kind, primaries, transfer, full=1, img=RGB, **options):
    """The bytes of a file that says its colours by code points."""
    data = encoded(img, kind, **options)
    if kind == "AVIF":
        at = data.index(b"colrnclx") + 8
        return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]
    chunk = b"cICP" + bytes((primaries, transfer, 0, full))
    return data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def colorants(profile):
    """XYZ of red, green and blue, with D50 white."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    return np.array([profile.red_colorant[0], profile.green_colorant[0], profile.blue_colorant[0]])


DISPLAY_P3 = [[0.51512, 0.2412, -0.00105], [0.29198, 0.69225, 0.04189], [0.1571, 0.06657, 0.78407]]  # of Apple's profile
SRGB = [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.7141]]  # of the ICC's


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_display_p3_by_code_points_becomes_a_profile(kind, suffix, tmp_path):
    data = with_codes(kind, 12, 13)
    for source in (data, Image.open(io.BytesIO(data))):
        result = UPSCALER(source, 2)
        np.testing.assert_array_equal(np.asarray(result), np.asarray(UPSCALER(encoded(RGB, kind), 2)))
        np.testing.assert_allclose(colorants(written(result, tmp_path / f"a.{suffix}").info["icc_profile"]), DISPLAY_P3, atol=1e-4)


def test_every_pixel_of_a_profile_from_code_points_is_the_colour_of_srgb_where_it_says_srgb():
    profile = srfast.read_img(with_codes("PNG", 1, 13, icc_profile=bytes(200))).info["icc_profile"]
    np.testing.assert_allclose(colorants(profile), SRGB, atol=2e-4)
    srgb = ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(RGB, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb)
    np.testing.assert_allclose(np.asarray(found).astype(int), np.asarray(RGB), atol=1)


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize("codes", [(1, 13), (2, 2), (1, 1), (1, 6)], ids=str)
def test_usual_code_points_need_no_profile(codes, kind):
    assert "icc_profile" not in srfast.read_img(with_codes(kind, *codes)).info


def test_a_grey_image_gets_no_profile_for_its_primaries():
    assert "icc_profile" not in srfast.read_img(with_codes("PNG", 12, 13, img=RGB.convert("L"))).info


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize("transfer, name", [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_from_the_header_with_advice(transfer, name, kind):
    data = with_codes(kind, 9, transfer)
    for read in (srfast.read_img, srfast.images.open_img, lambda data: UPSCALER(Image.open(io.BytesIO(data)))):
        with pytest.raises(srfast.ImageError, match=rf"got HDR \({name}\); convert it first"): read(data)


@pytest.mark.parametrize("codes", [(99, 13), (12, 99), (12, 13, 0)], ids=str)
def test_code_points_without_a_meaning_here_are_refused(codes):
    with pytest.raises(srfast.ImageError, match="expected known colours, got code points"): srfast.read_img(with_codes("PNG", *codes))


def test_a_profile_of_an_avif_counts_more_than_its_code_points_unlike_in_a_png():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert srfast.read_img(encoded(RGB, "AVIF", icc_profile=icc)).info["icc_profile"] == icc
    assert srfast.read_img(with_codes("PNG", 12, 13, icc_profile=icc)).info["icc_profile"] != icc


def test_animations_keep_the_profile_of_their_code_points(tmp_path):
    second = RGB.transpose(Image.FLIP_LEFT_RIGHT)
    film = UPSCALER(with_codes("PNG", 12, 13, save_all=True, append_images=[second]), 2)
    found = written(film, tmp_path / "a.png")
    np.testing.assert_allclose(colorants(found.info["icc_profile"]), DISPLAY_P3, atol=1e-4)


@pytest.mark.parametrize("gamma, named", [(1.0, True), (0.45455, False)])
def test_a_gamma_that_only_a_png_holds_is_named(gamma, named, tmp_path, recwarn):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    result = UPSCALER(encoded(RGB, pnginfo=info), 2)
    assert written(result, tmp_path / "a.png").info["gamma"] == gamma and not left_out(recwarn)
    srfast.write_img(result, tmp_path / "a.jpg")
    assert left_out(recwarn) == ["JPEG has no place for the gamma: left out; use .png, which holds all of it"] * named


# What is carried from which format to which

def test_the_table_of_the_documentation_is_what_happens():
    """A page shows the committed table. Nothing in it is lost without a warning."""
    with open(Path(__file__).parents[1] / "data/results/tables/metadata.csv", newline="") as file: told = list(csv.DictReader(file))
    found = metadata.table()
    assert [{name: row[name] for name in found[0]} for row in told] == found
    assert {cell for row in found for cell in row.values()} >= {"kept", "named"} and "lost" not in str(found)


@pytest.mark.skipif(not which("exiftool"), reason="exiftool is not installed")
def test_exiftool_finds_the_same():
    *wrong, summary = metadata.by_exiftool()
    assert not wrong, summary


# strict and strip

@pytest.mark.parametrize("info, suffix, named", [({"xmp": b"<x/>"}, "bmp", "XMP"), ({"text": {"Title": "cat"}}, "jpg", "the text 'Title'"),
                                                 ({"dpi": (200, 200)}, "gif", "the resolution")], ids=str)
def test_strict_makes_an_error_of_what_a_format_has_no_place_for(info, suffix, named, tmp_path):
    img = RGB.copy()
    img.info = info
    with pytest.raises(srfast.ImageError, match=f"a.{suffix}: {suffix.upper().replace('JPG', 'JPEG')} has no place for {named}: left out"):
        srfast.write_img(img, tmp_path / f"a.{suffix}", strict=True)
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="left out"): srfast.write_img(img, tmp_path / f"a.{suffix}")
    srfast.write_img(img, tmp_path / "a.png", strict=True)


def test_strict_refuses_damaged_exif_and_other_calls_do_not(tmp_path):
    data = encoded(RGB, "JPEG", exif=b"Exif\0\0no EXIF at all")
    with pytest.raises(srfast.ImageError, match="the EXIF is damaged: left out"): srfast.upscale(data, 2, model="fast", strict=True)
    with pytest.warns(UserWarning, match="the EXIF is damaged: left out"): assert UPSCALER(data, 2).size == (32, 24)


def private(kind):
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[271] = "maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    xmp = b'<x a="1" exif:GPSLatitude="48,8N"><photoshop:City>Munich</photoshop:City></x>'
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    text.add_text("exif:GPSLatitude", "48/1")
    more = {"pnginfo": text} if kind == "PNG" else {"xmp": xmp} if kind != "TIFF" else {}
    if kind == "TIFF": exif.update({700: xmp, 33550: (1.0, 1.0, 0.0), 33922: (0.0,) * 6})
    return encoded(RGB, kind, exif=exif, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), **more)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "gif"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("strip", ["gps", True])
def test_a_stripped_file_does_not_say_where_it_was_taken(strip, kind, suffix, tmp_path):
    result = UPSCALER(private(kind), 2)
    data = srfast.write_img(result, tmp_path / f"a.{suffix}", strip=strip).read_bytes()
    assert not any(word in data for word in (b"GPS", b"Munich", b"48/1"))
    with Image.open(tmp_path / f"a.{suffix}") as found:
        found.load()
        exif = found.getexif()
        assert 0x8825 not in exif and not exif.get_ifd(0x8825) and 33550 not in getattr(found, "tag_v2", {})
        assert (exif.get(271) == "maker") == (strip == "gps" and suffix != "gif")
        assert suffix == "gif" or "icc_profile" in found.info
    assert (b"<x a=" in data) == (strip == "gps") or suffix in ("png", "avif")
    assert result.info.get("exif")  # the image in memory keeps it


def test_16_bits_and_frames_are_stripped_too(tmp_path):
    deep = srfast.images.sixteen.deep_picture(np.asarray(RGB).astype(np.uint16) * 251, "RGB", {"text": {"Title": "cat"}})
    back = srfast.read_img(srfast.write_img(deep, tmp_path / "a.png", strip=True))
    assert (back.deep == deep.deep).all() and "text" not in back.info
    with pytest.raises(ValueError, match="expected strip to be 'gps', True or False, got 'all'"):
        srfast.write_img(RGB, tmp_path / "b.png", strip="all")
