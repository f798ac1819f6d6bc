"""The install cell of the notebooks for Colab: fresh, with a clone that was never installed, and after "Restart session"."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [page for page in sorted((ROOT / "nbs").glob("*/[0-9]*.ipynb")) if "%pip install" in page.read_text(encoding="utf-8")]
RUN = """
import importlib, os, sys
from pathlib import Path
sys.path = ["", *(path for path in sys.path if path and "site-packages" not in path and "dist-packages" not in path), {site!r}]
def clone():
    print("clone")
    for name in ("srfast/nbs/{folder}", "srfast/srfast"): Path(name).mkdir(parents=True)
def install():
    print("install")
    (Path({site!r})/"srfast/core.py").parent.mkdir(parents=True)
    for name in ("__init__", "core"): (Path({site!r})/"srfast"/(name + ".py")).touch()
    importlib.invalidate_caches()
{cell}
import srfast.core
assert Path.cwd().name == "{folder}" and Path("../../nbs").is_dir()
"""


def install_cell(page):
    """Return the two cells as Python, the shell's commands replaced by functions."""
    cells = ["".join(cell["source"]) for cell in json.loads(page.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"][:2]
    code = re.sub(r"^( *)!git clone .*$", r"\1clone()", "\n".join(cells), flags=re.MULTILINE)
    code = re.sub(r"^( *)%cd -q (.*)$", r"\1os.chdir('\2')", code, flags=re.MULTILINE)
    return re.sub(r"^( *)%pip install .*$", r"\1install()", code, flags=re.MULTILINE)


def make(folder, *names):
    """Create empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("there, expected", [("", ["clone", "install"]), ("clone", ["install"]), ("clone, package", []), ("in place", [])])
def test_install_cell(tmp_path, there, expected):
    """It clones and installs what is missing only, and ends in the notebook's folder."""
    content, site = tmp_path / "content", tmp_path / "site"
    for folder in (content, site): folder.mkdir()
    if there: make(content, "srfast/nbs/systems/x.ipynb", "srfast/srfast/core.py")
    if there in ("clone, package", "in place"): make(site, "srfast/__init__.py", "srfast/core.py")
    code = RUN.format(site=str(site), folder="systems", cell=install_cell(ROOT / "nbs/systems/03_srgan.ipynb"))
    cwd = content / "srfast/nbs/systems" if there == "in place" else content
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected


def test_every_page_has_the_same_install_cell():
    """All pages have the same install cell, except for the folder."""
    assert len(PAGES) > 10
    cells = {install_cell(page).replace(f"nbs/{page.parent.name}", "nbs/FOLDER") for page in PAGES}
    assert len(cells) == 1
