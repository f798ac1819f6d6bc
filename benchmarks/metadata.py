#!/usr/bin/env python
"""Upscale files of every format with every kind of metadata, write the results in every format, and look what they hold.

    python benchmarks/metadata.py                                          # the table; exit code 1 if something is lost silently
    python benchmarks/metadata.py --csv data/results/tables/metadata.csv
    python benchmarks/metadata.py --exiftool                               # exiftool must find the same

A cell says what became of it: "kept", "named" (left out with a warning that names it), or "lost", which is a failure. Pillow and
the bytes of the file tell what a result holds, not srfast.
"""
import argparse
import io
import json
import re
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

READ = ("png", "jpg", "webp", "tif", "gif", "bmp", "avif", "jp2")
WRITTEN = ("png", "jpg", "webp", "tif", "gif", "bmp", "avif", "ppm")
KINDS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF", "gif": "GIF", "bmp": "BMP", "avif": "AVIF", "jp2": "JPEG2000"}
WITH_EXIF = ("png", "jpg", "webp", "tif", "avif")
RGB = Image.fromarray(np.random.default_rng(0).integers(60, 200, (12, 16, 3), dtype=np.uint8))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description ' \
      b'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="somebody"/></rdf:RDF></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x05a cat\x1c\x02\x6e\x00\x08somebody"
NOTE = b"Apple iOS\0\0\1MM\0\0" + b"12345678"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
for code in ("ascii", "utf-16-be"): PROFILE = PROFILE.replace("sRGB".encode(code), "mine".encode(code))
KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)


def saved(kind: str, **options) -> bytes:
    """The image as a file of a format, by Pillow."""
    file = io.BytesIO()
    img = RGB.quantize(64) if kind == "GIF" else RGB.copy()
    img.save(file, kind, **options)
    return file.getvalue()


def exif_with(**folders) -> bytes:
    """EXIF with tags in its own folder (`own`), that of the camera and that of the place."""
    exif = Image.Exif()
    exif.update(folders.get("own", {}))
    for name, number in (("camera", 0x8769), ("place", 0x8825)):
        if name in folders: exif.get_ifd(number).update(folders[name])
    return exif.tobytes()


def png_with(*chunks) -> bytes:
    """A PNG with chunks after its header."""
    data = saved("PNG")
    more = b"".join(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)
    return data[:33] + more + data[33:]


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def make_exif(form, **folders):
    if form in WITH_EXIF: return saved(KINDS[form], exif=exif_with(**folders))
    return saved("JPEG2000") + box(b"uuid", b"JpgTiffExif->JP2" + exif_with(**folders)[6:]) if form == "jp2" else None


def make_xmp(form):
    from srfast.images.sixteen import with_gif_apps

    if form == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return saved("PNG", pnginfo=text)
    if form == "tif":
        exif = Image.Exif()
        exif[700] = XMP
        return saved("TIFF", exif=exif)
    if form == "gif": return with_gif_apps(saved("GIF"), {"xmp": XMP})
    if form == "jp2": return saved("JPEG2000") + box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP)
    return saved(KINDS[form], xmp=XMP) if form in ("jpg", "webp", "avif") else None


def make_iptc(form):
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    if form == "jpg": return saved("JPEG", extra=b"\xff\xed" + struct.pack(">H", len(block) + 16) + b"Photoshop 3.0\0" + block)
    if form == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Raw profile type iptc", f"\niptc\n{len(block):8}\n{block.hex()}\n", zip=True)
        return saved("PNG", pnginfo=text)
    if form == "jp2": return saved("JPEG2000") + box(b"uuid", bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38") + IPTC)
    return make_exif(form, own={33723: IPTC})


def make_profile(form):
    from srfast.images.sixteen import with_bmp_profile, with_gif_apps

    if form == "gif": return with_gif_apps(saved("GIF"), {"icc_profile": PROFILE})
    if form == "bmp": return with_bmp_profile(saved("BMP"), PROFILE)
    if form == "jp2":
        data = saved("JPEG2000")
        at = data.index(b"jp2h") - 4
        (size,) = struct.unpack_from(">I", data, at)
        inside = data[at + 8 : at + size]
        color = inside.index(b"colr") - 4
        (old,) = struct.unpack_from(">I", inside, color)
        return data[:at] + box(b"jp2h", inside[:color] + box(b"colr", b"\2\0\0" + PROFILE) + inside[color + old :]) + data[at + size :]
    return saved(KINDS[form], icc_profile=PROFILE)


def make_codes(form):
    if form == "png": return png_with((b"cICP", bytes((12, 13, 0, 1))))
    if form != "avif": return None
    data = saved("AVIF")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]


def make_text(form, name):
    text = PngImagePlugin.PngInfo()
    text.add_text(name, "of a cat")
    return saved("PNG", pnginfo=text) if form == "png" else None


def make_comment(form):
    return saved(KINDS[form], comment=b"of a cat") if form in ("jpg", "gif", "jp2") else None


def make_dpi(form):
    return saved(KINDS[form], dpi=(200, 200)) if form in ("png", "jpg", "tif", "bmp") else None


def make_place(form):
    if form != "tif": return None
    exif = Image.Exif()
    exif.update({33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), 34735: KEYS})
    return saved("TIFF", exif=exif)


def make_page_number(form):
    if form != "tif": return None
    exif = Image.Exif()
    exif[297] = (3, 9)
    return saved("TIFF", exif=exif)


def opened(data: bytes):
    """A file as Pillow reads it."""
    img = Image.open(io.BytesIO(data))
    img.load()
    return img


def has_tag(data, tag, wanted, folder=None) -> bool:
    """Whether EXIF has a tag with a value that begins or ends as wanted."""
    exif = opened(data).getexif()
    found = (exif.get_ifd(folder) if folder else exif).get(tag, b"")
    return found[: len(wanted)] == wanted or found[-len(wanted) :] == wanted


def has_iptc(data) -> bool:
    texts = getattr(opened(data), "text", {})
    return IPTC in data or has_tag(data, 33723, IPTC) or IPTC.hex() in re.sub(r"\s", "", texts.get("Raw profile type iptc", ""))


def profile_of(data) -> bytes:
    """The colour profile, if the file has one that its format declares."""
    if data[:3] == b"GIF":
        at = data.find(b"ICCRGBG1012") + 11
        body = b""
        while at > 10 and data[at]: body, at = body + data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
        return body
    if data[:2] == b"BM":
        head, place, size = struct.unpack_from("<I", data, 14)[0], *struct.unpack_from("<II", data, 126)
        return data[14 + place : 14 + place + size] if head == 124 and data[70:74] == b"DEBM" else b""
    return opened(data).info.get("icc_profile", b"")


def is_p3(data) -> bool:
    profile = profile_of(data)
    red = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.red_colorant[0] if profile else (0,)
    return abs(red[0] - 0.51512) < 1e-3


def has_text(data, text: bytes) -> bool:
    """Whether one of the places for words holds a text."""
    img = opened(data)
    exif = img.getexif()
    tags = [exif.get_ifd(0x8769).get(0x9286, b""), exif.get(270, ""), exif.get(33432, "")]
    places = [img.info.get("comment", b""), *tags, *getattr(img, "text", {}).values()]
    return any(text in (place if isinstance(place, bytes) else str(place).encode()) for place in places)


def has_dpi(data) -> bool:
    img = opened(data)
    found = img.info.get("dpi", (img.getexif().get(282, 0),))[0]
    return abs(float(found) - 400) < 1


def has_place(data) -> bool:
    tags = getattr(opened(data), "tag_v2", {})
    return (tags.get(33550), tags.get(33922), tags.get(34735)) == ((5.0, 5.0, 0.0), (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), KEYS)


def has_xmp(data) -> bool:
    info = opened(data).info
    return XMP in data or XMP in info.get("xmp", b"") or XMP.decode() == info.get("XML:com.adobe.xmp")


# kind -> (make a file of a format or None, whether a file has it, words of the warning)
ITEMS = {
    "EXIF": (lambda form: make_exif(form, own={271: "a maker"}), lambda data: has_tag(data, 271, "a maker"), "EXIF"),
    "maker note": (lambda form: make_exif(form, camera={0x927C: NOTE}), lambda data: has_tag(data, 0x927C, NOTE, 0x8769), "EXIF"),
    "GPS": (lambda form: make_exif(form, place={1: "N", 2: (48.0, 8.0, 0.0)}), lambda data: has_tag(data, 1, "N", 0x8825), "EXIF"),
    "XMP": (make_xmp, has_xmp, "XMP"),
    "IPTC": (make_iptc, has_iptc, "IPTC"),
    "ICC profile": (make_profile, lambda data: profile_of(data) == PROFILE, "colour profile"),
    "code points": (make_codes, is_p3, "colour profile"),
    "gamma": (lambda form: png_with((b"gAMA", struct.pack(">I", 100_000))) if form == "png" else None,
              lambda data: opened(data).info.get("gamma") == 1, "gamma"),
    "text: Copyright": (lambda form: make_text(form, "Copyright"), lambda data: has_text(data, b"of a cat"), "'Copyright'"),
    "text: Title": (lambda form: make_text(form, "Title"), lambda data: has_text(data, b"of a cat"), "'Title'"),
    "comment": (make_comment, lambda data: has_text(data, b"of a cat"), "comment"),
    "DPI": (make_dpi, has_dpi, "resolution"),
    "georeference": (make_place, has_place, "georeference"),
    "page number": (make_page_number, lambda data: 297 in getattr(opened(data), "tag_v2", {}), ""),
}


@cache
def upscaler():
    import srfast

    return srfast.Upscaler("fast")


def outcome(source: bytes, form: str, has, words: str) -> tuple:
    """('kept', 'named' or 'lost', the result as a file) of one cell."""
    from srfast import write_img

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        data = write_img(upscaler()(source, 2), io.BytesIO(), format=form).getvalue()
    told = " ".join(str(warning.message) for warning in warned)
    kept, named = has(data), bool(words) and words in told and "left out" in told
    return "kept" if kept and not named else "named" if named and not kept else "lost", data


def cells():
    """Yield kind of metadata, format read, format written, outcome, and the result as a file."""
    for item, (make, has, words) in ITEMS.items():
        for read in READ:
            source = make(read)
            for written in WRITTEN if source else ():
                yield item, read, written, *outcome(source, written, has, words)


def table() -> list:
    """One row for each kind of metadata and format read, with a column for each format written."""
    rows = {}
    for item, read, written, found, _ in cells():
        found = "left out" if item == "page number" and found == "lost" else found  # it describes the old file
        rows.setdefault((item, read), {"metadata": item, "read": read})[written] = found
    return list(rows.values())


EXIFTOOL = {
    "EXIF": "Make", "maker note": "", "GPS": "GPSLatitudeRef", "XMP": "Credit", "IPTC": "Caption-Abstract",
    "ICC profile": "ProfileDescription", "code points": "ProfileDescription", "gamma": "Gamma", "text: Copyright": "Copyright",
    "text: Title": "Title", "comment": "Comment|UserComment|ImageDescription", "DPI": "XResolution|PixelsPerUnitX|PixelsPerMeterX",
    "georeference": "PixelScale", "page number": "PageNumber",
}


def by_exiftool() -> list:
    """Cells where exiftool finds something else than the table says, as lines."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for number, (item, read, written, found, data) in enumerate(cells()):
            path = Path(folder) / f"{number}.{written}"
            path.write_bytes(data)
            results.append((item, read, written, found, path))
        done = subprocess.run(["exiftool", "-json", "-r", folder], capture_output=True, text=True)
        tags = {Path(each["SourceFile"]).name: each for each in json.loads(done.stdout)}
    for item, read, written, found, path in results:
        seen = any(name in tags[path.name] for name in EXIFTOOL[item].split("|")) if EXIFTOOL[item] else found == "kept"
        told = f"{item}, {read} to {written}: {found}, exiftool {'finds' if seen else 'does not find'} it"
        if seen != (found == "kept"): wrong.append(told)
    return [*wrong, f"{len(results)} results, exiftool differs in {len(wrong)}"]


def main() -> int:
    import pandas as pd

    from srfast.evaluation.results import record

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="file for the table")
    parser.add_argument("--exiftool", action="store_true", help="compare with exiftool")
    args = parser.parse_args()
    if args.exiftool:
        print(*(lines := by_exiftool()), sep="\n")
        return 1 if len(lines) > 1 else 0
    frame = pd.DataFrame(table())
    if args.csv: record(frame, args.csv)
    print(frame.to_string(index=False))
    return 1 if (frame == "lost").any(axis=None) else 0


if __name__ == "__main__":
    sys.exit(main())
