"""APNG, GIF and WebP files frame by frame: rectangles, disposal and blending as a test asks for them."""
import io
import struct
import zlib

import numpy as np
from PIL import GifImagePlugin, Image


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def apng(size, frames, still=None, bits=8):
    """`frames`: ((H, W, C) values, (x, y), dispose, blend), all alike; dispose 0 none, 1 background, 2 previous; blend 1 over.

    `still` is an image for viewers without animation; without it that is the first frame.
    """
    number = iter(range(1000))
    channels = frames[0][0].shape[2]
    def rows(values): return zlib.compress(b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in values))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">2I5B", *size, bits, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))]
    parts.append(chunk(b"acTL", struct.pack(">2I", len(frames), 0)))
    if still is not None: parts.append(chunk(b"IDAT", rows(still)))
    for values, place, dispose, blend in frames:
        control = struct.pack(">5I2H2B", next(number), *values.shape[1::-1], *place, 1, 10, dispose, blend)
        first = len(parts) == 3
        data = rows(values) if first else None
        parts.append(chunk(b"fcTL", control))
        parts.append(chunk(b"IDAT", data) if first else chunk(b"fdAT", struct.pack(">I", next(number)) + rows(values)))
    return b"".join([*parts, chunk(b"IEND", b"")])


def gif(size, frames, background=None):
    """`frames`: ((H, W) indices from 0 to 3, (x, y), disposal, index that is clear or None); black, red, green, blue.

    `background`: index for the file's palette of the same colours.
    """
    palette = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]
    start = b"GIF89a" + struct.pack("<2H", *size) + (b"\0\0\0" if background is None else bytes([0x81, background, 0, *palette]))
    parts = [start]
    for indices, place, disposal, clear in frames:
        img = Image.fromarray(indices.astype(np.uint8)).convert("P")
        img.putpalette(palette)
        key = {} if clear is None else {"transparency": clear}
        parts += GifImagePlugin.getdata(img, place, include_color_table=True, disposal=disposal, duration=100, **key)
    return b"".join([*parts, b";"])


def webp(frames):
    file, (first, *rest) = io.BytesIO(), [Image.fromarray(values) for values in frames]
    first.save(file, "WEBP", save_all=True, append_images=rest, duration=100, lossless=True, exact=True)
    return file.getvalue()


def rectangle(rng, size):
    """Place and size of a rectangle within `size`."""
    x, y = (int(rng.integers(side)) for side in size)
    return (x, y), tuple(int(rng.integers(1, side - at + 1)) for side, at in zip(size, (x, y)))


def random_film(kind, seed):
    """A file of six frames that draws on much of what the format can do."""
    rng, size = np.random.default_rng(seed), (11, 7)
    places = [rectangle(rng, size) for _ in range(6)]
    if kind != "gif" or seed % 2: places[0] = ((0, 0), size)
    if kind == "png":
        values = [rng.integers(0, 256, (h, w, 4), np.uint8) for _, (w, h) in places]
        for each in values: each[..., 3] = rng.choice([0, 0, 90, 200, 255], each.shape[:2])
        return apng(size, [(each, place, int(rng.integers(3)), int(rng.integers(2))) for each, (place, _) in zip(values, places)])
    if kind == "gif":
        frames = [(rng.integers(0, 4, (h, w)), place, int(rng.integers(4)), rng.choice([None, 0, 2])) for place, (w, h) in places]
        return gif(size, frames, background=None if seed % 3 else 1)
    frames = rng.integers(0, 256, (6, *size[::-1], 4), np.uint8)
    frames[..., 3] = rng.choice([0, 90, 255], frames.shape[:3])
    for before, frame, (place, (w, h)) in zip(frames, frames[1:], places):  # only a rectangle changes
        frame[:], changed = before, frame[: h, : w].copy()
        frame[place[1] : place[1] + h, place[0] : place[0] + w] = changed
    return webp(frames)
