#!/usr/bin/env python
"""Damage small images at random and check what `upscale` does with them.

    python benchmarks/fuzz.py --inputs 2000                  # a summary; exit code 1 if something failed
    python benchmarks/fuzz.py --inputs 200000 --csv data/results/tables/fuzz.csv
    python benchmarks/fuzz.py --first 1234 --inputs 1        # one input again: its number and the seed determine it

An input passes if it gives an `ImageError`, the result of the undamaged original ("unchanged"), or another result of the right
size from a file that is whole by every test it offers ("changed": a JPEG has no checksums). Then Pillow opens the file and
decodes all frames without a complaint, its checksums are right if it is a PNG, and a still image has the pixels that Pillow
finds. Anything else, more than 20 seconds of processor time, or memory above twice the documented bound is a failure.
"""
import argparse
import faulthandler
import io
import resource
import signal
import struct
import sys
import tempfile
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

MAX_IN, MAX_OUT, SCALE, SECONDS = 65536, 262144, 2, 20
FIXED, PER_PIXEL = 16 << 20, 64  # the promise: bytes beside a warm process, bytes a pixel read or made
OUTCOMES = ("unchanged", "changed", "refused", "failed")
TEMPTING = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class TookTooLong(BaseException):
    """More processor time than any of these pictures can need."""


def encoded(img, kind, **options) -> bytes:
    file = io.BytesIO()
    img.copy().save(file, kind, **options)  # a copy: Pillow keeps the options of one format for the next
    return file.getvalue()


def originals() -> dict:
    """Name -> bytes: 25 small pictures of thirteen formats, with much that a file can carry."""
    import tifffile
    from skimage import data

    photo = data.astronaut()[40:160:6, 160:304:6]
    rgb = Image.fromarray(photo)
    rgba, grey = Image.fromarray(np.dstack([photo, photo[..., ::-1].max(-1)])), rgb.convert("L")
    frames = [rgb.rotate(90 * k) for k in range(4)]
    clear = [Image.fromarray(np.dstack([frame, np.uint8(255) * (np.asarray(frame)[..., 0] > 99)])) for frame in frames]
    deep = photo.astype(np.uint16) * 251
    icc, exif, text = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112], exif[0x010F], exif[282] = 6, "maker", 72.0
    exif.get_ifd(0x8769)[0xA002] = 24
    text.add_text("Comment", "a text " * 20, zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
    carried = dict(icc_profile=icc, exif=exif, dpi=(300, 300))
    several, times = dict(save_all=True, append_images=frames[1:]), dict(duration=[50, 60, 70, 80], loop=2)
    tiff16, tiffloat = io.BytesIO(), io.BytesIO()
    tifffile.imwrite(tiff16, deep, photometric="rgb", compression="zlib", predictor=True)
    tifffile.imwrite(tiffloat, photo[..., 0] / np.float32(255))
    tiff_be, fields = io.BytesIO(), struct.pack("<3I", 0xF00, 0xF0, 0xF)
    tifffile.imwrite(tiff_be, photo[..., 0].astype(">i2") * 100, compression="zlib", byteorder=">", tile=(16, 16))
    words = (photo.astype(np.uint16) >> 4 << [8, 4, 0]).sum(-1)[::-1].astype("<u2")
    head = struct.pack("<IiiHHIIiiII", 40, *photo.shape[1::-1], 1, 16, 3, 0, 0, 0, 0, 0) + fields
    psd = struct.pack(">4sH6xHIIHH8xI2x", b"8BPS", 1, 3, *photo.shape[:2], 8, 3, 0) + np.moveaxis(photo, -1, 0).tobytes()
    return {
        "png": encoded(rgb, "PNG", pnginfo=text, **carried),
        "png_palette": encoded(rgb.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "png_16_grey": encoded(Image.fromarray(deep[..., 0]), "PNG"),
        "png_16_rgb": png_16(deep),
        "png_bits": encoded(rgb.convert("1"), "PNG"),
        "apng": encoded(clear[0], "PNG", save_all=True, append_images=clear[1:], disposal=2, **times),
        "jpeg": encoded(rgb, "JPEG", **carried),
        "jpeg_progressive": encoded(grey, "JPEG", progressive=True, quality=60),
        "jpeg_cmyk": encoded(rgb.convert("CMYK"), "JPEG", icc_profile=icc),
        "webp": encoded(rgba, "WEBP", exif=exif, icc_profile=icc),
        "webp_animation": encoded(frames[0], "WEBP", lossless=True, **several, **times),
        "gif": encoded(rgb.quantize(32), "GIF", transparency=3),
        "gif_animation": encoded(clear[0], "GIF", save_all=True, append_images=clear[1:], disposal=[2, 3, 1, 2], **times),
        "tiff": encoded(rgb, "TIFF", compression="tiff_lzw", **carried),
        "tiff_16_rgb": tiff16.getvalue(),
        "tiff_float": tiffloat.getvalue(),
        "tiff_pages": encoded(rgb, "TIFF", save_all=True, append_images=[grey.copy(), rgba.copy()]),
        "bmp": encoded(rgb, "BMP", dpi=(72, 72)),
        "bmp_fields": b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + words.tobytes(),
        "ico": encoded(rgba, "ICO", sizes=[rgba.size], bitmap_format="bmp"),
        "jpeg_2000": encoded(rgba, "JPEG2000", irreversible=False),
        "ppm": encoded(rgb, "PPM"),
        "psd": psd,
        "tiff_signed": tiff_be.getvalue(),
        "avif": encoded(rgba, "AVIF", quality=60, exif=exif),
    }


def png_16(values) -> bytes:
    """(H, W, 3) uint16 as a PNG without filters."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    h, w, _ = values.shape
    parts = [(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose checksums fit what was done to it, so that damage gets past them."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        size = struct.unpack_from(">I", out, at)[0]
        if at + 12 + size > len(out): break
        struct.pack_into(">I", out, at + 8 + size, zlib.crc32(out[at + 4 : at + 8 + size]))
        at += 12 + size
    return bytes(out)


def damaged(rng, pool: dict) -> tuple:
    """(name of the original, its bytes with one to eight changes)."""
    names = sorted(pool)
    name = names[rng.integers(len(names))]
    data = bytearray(pool[name])
    for _ in range(min(8, rng.geometric(.5))):
        n = max(len(data), 1)
        at = int(n * rng.random() ** (2 if rng.random() < .3 else 1))  # somewhat more often near the beginning
        what = rng.choice(7, p=(.3, .25, .25, .04, .04, .04, .08))
        if what == 0 and data: data[at] ^= 1 << rng.integers(8)
        elif what == 1 and data: data[at] = rng.integers(256)
        elif what == 2:
            form = "<>"[rng.integers(2)] + "HI"[rng.integers(2)]
            data[at : at + struct.calcsize(form)] = struct.pack(form, TEMPTING[rng.integers(len(TEMPTING))] % 256 ** struct.calcsize(form))
        elif what == 3: del data[at : at + int(rng.integers(1, 40))]
        elif what == 4: data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif what == 5: data[at:at] = data[at // 2 : at // 2 + int(rng.integers(1, 200))]
        elif rng.random() < .3: del data[max(at, 1) :]
        else:
            other = pool[names[rng.integers(len(names))]]
            place = int(rng.integers(len(other)))
            data[at : at + 64] = other[place : place + 64]
    return name, with_right_sums(bytes(data)) if data[:4] == b"\x89PNG" and rng.random() < .7 else bytes(data)


def sizes_allowed(data: bytes) -> set:
    """The sizes the result may have: that of the header, standing or lying."""
    from srfast.images.read import open_img

    with open_img(data, max_pixels=MAX_IN) as img: w, h = (SCALE * side for side in img.size)
    return {(w, h), (h, w)}


def pixels(img) -> list:
    """Mode, size and bytes of every frame."""
    return [(frame.mode, frame.size, frame.tobytes()) for frame in getattr(img, "frames", [img])]


def has_right_sums(data: bytes) -> bool:
    """Whether the checksum of every chunk of a PNG fits, up to its end; true for other files."""
    return data[:4] != b"\x89PNG" or with_right_sums(data) == data


def field_fault(data: bytes) -> str:
    """What is wrong with what `read_img` finds in a BMP with bit fields, by a reading of its own, value by value."""
    from srfast import read_img

    start, w, h, bits = struct.unpack_from("<10xI4xii2xH", data)
    masks, size = struct.unpack_from("<3I", data, 54), bits // 8
    stride, img = (w * size + 3) // 4 * 4, read_img(data)
    seen = np.asarray(img.convert("RGB"))
    if seen.shape[:2] != (abs(h), w): return "another size than the header says"
    for y, x in np.ndindex(*seen.shape[:2]):
        at = start + stride * (y if h < 0 else h - 1 - y) + size * x
        word = int.from_bytes(data[at : at + size], "little")
        for mask, value in zip(masks, seen[y, x]):
            low = mask & -mask
            if abs(255 * ((word & mask) // low) / (mask // low) - int(value)) > 1: return "other values than the bit fields say"
    return ""


def tiff_fault(data: bytes) -> str:
    """What is wrong with what `read_img` finds in a TIFF of a kind that Pillow does not know, by zlib and tifffile."""
    import tifffile

    from srfast import read_img

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        parts = [data[at : at + count] for at, count in zip(page.dataoffsets, page.databytecounts)]
        parts = [zlib.decompress(part) for part in parts] if page.compression in (8, 32946) else parts
        values = page.asarray()
    if sum(map(len, parts)) < values.nbytes: return "strips or tiles are missing"
    read = read_img(data)
    read = np.asarray(read) if getattr(read, "deep", None) is None else read.deep
    values = np.moveaxis(values, 0, -1) if values.ndim == 3 and page.planarconfig == 2 else values
    return "" if np.array_equal(read.astype(float), values.astype(float)) else "tifffile finds other values"


def fault(data: bytes) -> str:
    """What is wrong with a file that `read_img` reads, by its own checks and by what Pillow alone finds in it; '' if nothing."""
    from srfast import read_img
    from srfast.images.limits import FORMATS

    if data[:3] == b"\xff\xd8\xff" and not data.rstrip(b"\xff").endswith(b"\xff\xd9"):  # read without its end, or refused
        data = data.removesuffix(b"\xff") + np.random.default_rng(0).bytes(64).replace(b"\xff", b"") + b"\xff\xd9"
    try:
        if data[:2] == b"BM" and data[28:30] in (b"\x10\0", b"\x20\0") and data[30] == 3: return field_fault(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as img:
            frames = 1 if img.format == "PSD" else getattr(img, "n_frames", 1)  # those of a PSD are its layers
            for number in range(frames):
                if number: img.seek(number)
                img.load()
            seen = img.copy() if frames == 1 and img.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK") else None
    except Exception as e:
        if isinstance(e, UnidentifiedImageError) and data[:4] in (b"II*\0", b"MM\0*"): return tiff_fault(data)
        return f"Pillow refuses the file ({type(e).__name__}: {e})"
    if not has_right_sums(data): return "a checksum is wrong"
    if seen is None: return ""
    with suppress(Exception): seen = ImageOps.exif_transpose(seen)  # damaged EXIF is dropped
    read = read_img(data)
    visible = np.asarray(read.convert("RGBA"))[..., 3] > 0  # a GIF may leave part of its area uncovered, which Pillow fills
    seen, read = (np.asarray(each.convert("RGB")).astype(int) for each in (seen, read))
    if seen.shape != read.shape: return "Pillow finds another size"
    return "Pillow finds other pixels" if (np.abs(seen - read)[visible] > 1).any() else ""  # 1: 16 bits are rounded


def attempt(upscaler, data: bytes, wanted: list | None = None) -> str:
    """'unchanged' if the result has the pixels `wanted`, 'changed', 'refused', or what went wrong."""
    from srfast import ImageError

    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        result = upscaler(data, SCALE)
        if result.size not in sizes_allowed(data): return f"size {result.size}, expected one of {sizes_allowed(data)}"
        if pixels(result) == wanted: return "unchanged"
        return f"wrong pixels: {found}" if (found := fault(data)) else "changed"
    except ImageError:
        return "refused"
    except (Exception, TookTooLong) as e:
        return f"{type(e).__name__}: {e}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def peak() -> int:
    """The most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def prepare(folder: Path):
    """An `Upscaler` with a small untrained network and tight limits; it is warm."""
    import torch

    from srfast import Upscaler, create_generator
    from srfast.networks.weights import save_weights

    def stop(*_): raise TookTooLong(f"more than {SECONDS} s of processor time")
    signal.signal(signal.SIGPROF, stop)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = save_weights(create_generator("house_small", SCALE), folder / "small.safetensors")
    upscaler = Upscaler(path, tile=64, max_pixels_in=MAX_IN, max_pixels_out=MAX_OUT)
    upscaler(np.zeros((90, 90, 3), np.float32) + np.arange(90, dtype=np.float32)[:, None] / 90, SCALE)
    return upscaler


def fuzz(first: int, inputs: int, seed: int, folder: Path) -> tuple:
    """(name of the original -> counts, failures as lines, most memory above a warm process in bytes)."""
    pool, upscaler = originals(), prepare(folder)
    for name, data in pool.items():
        if (outcome := attempt(upscaler, data)) != "changed": raise SystemExit(f"the undamaged {name} was not enlarged: {outcome}")
    wanted = {name: pixels(upscaler(data, SCALE)) for name, data in pool.items()}
    counts, failures, before = {name: dict.fromkeys(OUTCOMES, 0) for name in pool}, [], peak()
    bound, stopped = FIXED + PER_PIXEL * (MAX_IN + MAX_OUT), []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))  # asked to stop, it counts what it has done
    for number in range(first, first + inputs):
        if stopped: break
        name, data = damaged(np.random.default_rng([seed, number]), pool)
        outcome = attempt(upscaler, data, wanted[name])
        if peak() - before > 2 * bound:
            outcome, before = f"{(peak() - before) >> 20} MB, more than twice the bound of {bound >> 20} MB", peak()
        if outcome not in OUTCOMES[:-1]:
            failures.append(f"input {number} of seed {seed}, from {name}: {outcome}")
            print(failures[-1], file=sys.stderr, flush=True)
            outcome = "failed"
        counts[name][outcome] += 1
    return counts, failures, peak() - before


def write_csv(path: Path, counts: dict, megabytes: int) -> None:
    """Write one row for each original."""
    import pandas as pd
    import PIL

    from srfast.evaluation.results import record

    versions = f"pillow {PIL.__version__}, numpy {np.__version__}, python {sys.version.split()[0]}"
    bound = FIXED + PER_PIXEL * (MAX_IN + MAX_OUT)
    more = {"peak_mb": megabytes, "bound_mb": bound >> 20, "versions": versions}
    rows = [{"original": name, "inputs": sum(found.values()), **found, **more} for name, found in sorted(counts.items())]
    record(pd.DataFrame(rows), path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000, help="number of inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="file for the table")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, failures, memory = fuzz(args.first, args.inputs, args.seed, Path(folder))
    if args.csv: write_csv(args.csv, counts, memory >> 20)
    totals = {key: sum(found[key] for found in counts.values()) for key in OUTCOMES}
    summary = ", ".join(f"{n} {key}" for key, n in totals.items())
    print(*failures, f"{sum(totals.values())} inputs: {summary}; {memory >> 20} MB", sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
