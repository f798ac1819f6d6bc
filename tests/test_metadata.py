"""What a file says beside its pixels: what is carried into a result, what is refused, what is named in a warning."""
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

import srfast

UPSCALER = srfast.Upscaler("fast")
RGB = Image.fromarray(np.random.default_rng(0).integers(60, 200, (12, 16, 3), dtype=np.uint8))


def encoded(img, kind="PNG", **options):
    file = io.BytesIO()
    img.save(file, kind, **options)
    return file.getvalue()


def written(img, path):
    """The picture as another program finds it in the file."""
    with Image.open(srfast.write_img(img, path)) as found:
        found.load()
        return found


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
    assert found.getexif().get(274, 1) == 1 and not recwarn


def test_a_maker_note_that_must_move_is_left_out_with_a_warning(tmp_path):
    result = UPSCALER(encoded(RGB, "JPEG", exif=exif_with_note("<", 1)[0]), 2)
    with pytest.warns(UserWarning, match="maker note was left out"): found = written(result, tmp_path / "a.tif")
    assert 0x927C not in found.getexif().get_ifd(0x8769) and found.getexif()[271] == "Maker of cameras"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_maker_note_that_counts_from_its_own_start_moves(suffix, tmp_path, recwarn):
    exif, _ = exif_with_note("<", 1, b"Apple iOS\0")
    found = written(UPSCALER(encoded(RGB, "JPEG", exif=exif), 2), tmp_path / f"a.{suffix}")
    assert found.getexif().get_ifd(0x8769)[0x927C].startswith(b"Apple iOS\0") and not recwarn


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
