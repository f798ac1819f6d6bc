"""A small repository of three notebooks for the tests of the documentation site."""
import json
from base64 import b64encode
from io import BytesIO

from PIL import Image

SETTINGS = "[DEFAULT]\nrepo = toy\nuser = someone\nauthor = Someone\ndescription = A toy\nbranch = main\ncustom_sidebar = True\n"
HOME = """# toy

> A toy library.

`shrink(img)` makes images smaller: see [the tutorial](tutorials/01_first.ipynb#a-second-look), [the module](images/03_resize.ipynb) and
[the licence](../LICENSE).

![A red square](assets/red.png)

<img src="assets/red.png" width="30" alt="The same">
"""
MODULE = """# Resize

> Smaller images, with `shrink`.

[![Open in Colab](https://colab.example/badge.svg)](https://colab.example/resize)

The side becomes $h / 2$:

$$h' = \\left\\lfloor \\tfrac{h}{2} \\right\\rfloor$$
"""
SHRINK = '''#| export
def shrink(
    img,  # an array (H, W, C), or a `Resizer`
    scale: int | None = 2,  # how much smaller; `None` is 1
    *,
    method: str = "area",  # 'area' or 'nearest'
):  # an array (H // scale, W // scale, C)
    "Return `img` smaller by `scale`, for 0 < scale < 9."
    return img[::scale, ::scale]
'''
RESIZER = '''#| export
@dataclass
class Resizer:
    "Resize as told."

    scale: int = 2  # how much smaller
    names: list = field(default_factory=list)  # of what was done

    def __call__(self, img) -> "Resizer":  # for the next
        "Resize one image."
        return self

    def _hidden(self): return 0
'''


def as_png(color: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (40, 30), color).save(file, "PNG")
    return file.getvalue()


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}, "execution_count": None}


def markdown(source: str) -> dict: return {"cell_type": "markdown", "source": source, "metadata": {}}


def shown(**data: str) -> dict:
    """An output; `text_html` is `text/html`."""
    return {"output_type": "display_data", "metadata": {}, "data": {kind.replace("_", "/"): text for kind, text in data.items()}}


def write_notebook(root, name: str, *cells: dict) -> None:
    path = root / "nbs" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [cell | {"id": f"cell-{place}"} for place, cell in enumerate(cells)]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def write_tree(root):
    """Write the repository into `root` and return it."""
    png = as_png("red")
    files = {"settings.ini": SETTINGS, "pyproject.toml": "[project]\nname = 'toy'\n", "LICENSE": "free", "toy/images/__init__.py": "",
             "toy/__init__.py": '"A toy."\n__version__ = "1.2"\n', "toy/__init__.pyi": "from .images.resize import shrink as shrink\n",
             "CHANGELOG.md": "# Changes\n\n- `toy.shrink` is new.\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "nbs/assets").mkdir(parents=True)
    (root / "nbs/assets/red.png").write_bytes(png)
    write_notebook(root, "index", markdown(HOME))
    write_notebook(
        root, "images/03_resize", markdown(MODULE), code("#| default_exp images.resize"),
        code("#| export\nfrom dataclasses import dataclass, field"), code("import math"), code("#| export\nLARGEST = 9"), code(SHRINK),
        code("#| export\ndef _steps(n): return n - 1"), code("#| exporti\ndef halve(n): return n / 2"), code(RESIZER),
        code("shrink([[1]])", {"output_type": "stream", "name": "stdout", "text": "[[1]]\n"}),
        code("red", shown(image_png=b64encode(png).decode(), text_plain="A red square")),
        code("table", shown(text_html="<style scoped>td {color: red}</style><table border=\"1\"><tr><td>29.5 dB</td></tr></table>")),
        code("#| hide\nsecret = 1"), code("#| echo: false\nnever", shown(text_markdown="Use **shrink**.")), markdown("## Export -"),
        code("#| hide\nimport nbdev; nbdev.nbdev_export()"))
    write_notebook(
        root, "tutorials/01_first", markdown("# First steps\n\n> Start here.\n\nBack [home](../index.ipynb)."),
        code("import toy\n!pip list"),
        markdown("## A second look\n\n`LARGEST` is the limit; `03_resize` has the rest, and `Resizer` keeps it."))
    return root
