"""A folder of pictures of every kind, some of them damaged, with odd names; drawn, so that any number can be had."""
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = "rgb.png rgb.jpg grey.jpg alpha.png palette.png deep.png rgb.webp film.gif pages.tif rgb.bmp rgb.ppm film.webp".split()
ODD = [b"caf\xe9 1.png", b"two\nlines.jpg", "Überschrift ß 北.png".encode(), b"glob[1]*?.png", b"-dash.jpg"]


def picture(seed, width=40, height=30):
    """A smooth picture with an edge."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / (3 + seed % 5) + k + seed) * np.cos(y / 4 - k) for k in range(3)]
    values = np.stack(waves, -1).astype(np.uint8)
    values[height // 3 : height // 2, width // 4 : width // 2] = seed % 256
    return Image.fromarray(values)


def encoded(kind, seed, **size):
    """The bytes of a picture of a kind such as 'deep.png'."""
    img, file = picture(seed, **size), io.BytesIO()
    what, _, suffix = kind.partition(".")
    form = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    if what == "grey": img = img.convert("L")
    if what == "alpha": img.putalpha(Image.fromarray(np.asarray(img)[..., 0]))
    if what == "palette": img = img.quantize(32)
    if what == "deep": img = Image.fromarray(np.asarray(img)[..., 0].astype(np.uint16) * 257)
    several = {"save_all": True, "append_images": [img.rotate(90 * i) for i in (1, 2)]} if what in ("film", "pages") else {}
    img.save(file, form, **several, **({"duration": 50} if what == "film" else {}))
    return file.getvalue()


def damaged(seed):
    """The bytes of a file that is no whole picture."""
    whole = encoded(("rgb.jpg", "rgb.png", "film.gif")[seed % 3], seed)
    return (whole[: len(whole) // 2], b"", b"no picture", whole[:20])[seed % 4]


def write_mixed(folder, count, bad=0.03, folders=3, **size):
    """Write `count` pictures into `folder`, a share of them damaged; return the names of the good and of the bad ones."""
    good, wrong, every = [], [], max(1, round(1 / bad)) if bad else count + 1
    for i in range(count):
        is_bad, kind = i % every == every // 2, KINDS[i % len(KINDS)]
        name = os.fsdecode(ODD[i]) if i < len(ODD) and not is_bad else f"{i:05d}.{kind.partition('.')[2]}"
        name = f"part {i % folders}/{name}" if i % (folders + 1) else name
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = next(k for k in KINDS if k.endswith(path.suffix)) if i < len(ODD) else kind
        path.write_bytes(damaged(i) if is_bad else encoded(kind, i, **size))
        (wrong if is_bad else good).append(name)
    return good, wrong
