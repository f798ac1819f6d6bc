#!/usr/bin/env python
"""Try an installed srfast where nobody prepared anything: one picture, by call and by command, and every public name.

Run by an interpreter that has the wheel installed, outside the repository. The packages that only the learning
path may use are blocked by name.
"""
import argparse
import inspect
import io
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
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


def by_name():
    """All public names are there; those of the extra `train` say so when they are called."""
    import srfast
    shown: dict = {}
    exec("from srfast import *", shown)
    expect(sorted(set(srfast.__all__) - set(shown)), [], "names that `from srfast import *` lacks")
    expect(sorted(set(srfast.__all__) - set(dict(inspect.getmembers(srfast)))), [], "names that inspect.getmembers lacks")
    with redirect_stdout(io.StringIO()) as page: help(srfast)
    expect("upscale(" in page.getvalue(), True, "upscale in help(srfast)")
    for name in ("train", "evaluate", "benchmark"):
        try: getattr(srfast, name)()
        except ImportError as error: expect("pip install 'srfast[train]'" in str(error), True, f"the extra in the error of srfast.{name}")
        else: sys.exit(f"wheel: srfast.{name}: expected an ImportError without the extra `train`.")


def by_command(folder: Path, command: list, wanted: tuple):
    """`srfast upscale photo.png`: the one new file in the folder is the result, and is removed."""
    from PIL import Image
    subprocess.run([*command, "upscale", "photo.png"], cwd=folder, check=True)
    made = [path for path in folder.iterdir() if path.name != "photo.png"]
    expect(len(made), 1, f"number of files from {command[-1]} upscale")
    with Image.open(made[0]) as img: expect(img.size, wanted, f"{command[-1]} upscale")
    made[0].unlink()


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.meta_path.insert(0, Blocker())
    with tempfile.TemporaryDirectory() as name:
        img = draw(Path(name) / "photo.png")
        wanted = (img.width * SCALE, img.height * SCALE)
        by_call(img, wanted)
        by_command(Path(name), [str(Path(sys.executable).parent / "srfast")], wanted)
        by_command(Path(name), [sys.executable, "-I", "-m", "srfast"], wanted)
    by_name()
    print("an installed wheel upscales an image by call and by command, and has every public name")


if __name__ == "__main__":
    main()
