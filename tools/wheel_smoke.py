#!/usr/bin/env python
"""Try an installed srfast where nobody prepared anything: one picture, by call and by command.

Run by an interpreter that has the wheel installed, outside the repository. The packages that only the learning
path may use are blocked by name.
"""
import argparse
import subprocess
import sys
import tempfile
from importlib.abc import MetaPathFinder
from pathlib import Path

BLOCKED = {"fastai", "torchvision", "pandas", "matplotlib", "skimage"}
SIDE, SCALE = 24, 4


class Blocker(MetaPathFinder):
    """Refuses the packages in BLOCKED, whether they are installed or not."""
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED: raise ModuleNotFoundError(f"{name} is blocked: the using path must do without it", name=name)


def expect(found, wanted, what: str):
    """End with a sentence where `found` is not `wanted`."""
    if found != wanted: sys.exit(f"wheel: {what}: expected {wanted}, got {found}.")


def draw(path: Path):
    """A small picture with a disc and a diagonal, saved at `path`."""
    from PIL import Image, ImageDraw
    img = Image.new("RGB", (SIDE, SIDE - 4), "white")
    pen = ImageDraw.Draw(img)
    pen.ellipse((3, 3, 15, 15), fill="teal")
    pen.line((0, 0, SIDE, SIDE), fill="black", width=2)
    img.save(path)
    return img


def by_call(img, wanted: tuple):
    """`srfast.upscale` on a PIL image."""
    import srfast
    if not Path(srfast.__file__).is_relative_to(sys.prefix): sys.exit(f"wheel: expected the installed srfast, got {srfast.__file__}.")
    expect(srfast.upscale(img, SCALE).size, wanted, "srfast.upscale")


def by_command(folder: Path, wanted: tuple):
    """`srfast upscale photo.png`: the one new file in the folder is the result."""
    from PIL import Image
    command = [str(Path(sys.executable).parent / "srfast"), "upscale", "photo.png"]
    subprocess.run(command, cwd=folder, check=True)
    made = [path for path in folder.iterdir() if path.name != "photo.png"]
    expect(len(made), 1, "number of files from `srfast upscale`")
    with Image.open(made[0]) as img: expect(img.size, wanted, "srfast upscale")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.meta_path.insert(0, Blocker())
    with tempfile.TemporaryDirectory() as name:
        img = draw(Path(name) / "photo.png")
        wanted = (img.width * SCALE, img.height * SCALE)
        by_call(img, wanted)
        by_command(Path(name), wanted)
    print("an installed wheel enlarges a picture by call and by command")


if __name__ == "__main__":
    main()
