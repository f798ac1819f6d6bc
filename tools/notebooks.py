#!/usr/bin/env python
"""Run and clean notebooks, one rule for all of them.

`clean` keeps sources and the outputs that teach (text, tables, pictures) and drops what differs from run to run:
progress bars, stderr, counts, metadata, addresses. Photographs become JPEG, a third of their PNG: git stays small.
`clean --check` changes nothing and lists what it would do. `run` executes each notebook in a fresh interpreter, keeps
its outputs and cleans it.
"""
import argparse
import ast
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 500_000
FIGURE_DPI = 80
PICTURES = ("image/png", "image/jpeg")
KINDS = ("text/plain", "text/markdown", "text/html", *PICTURES)
METADATA = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
WIDGET = "application/vnd.jupyter.widget-view+json"

VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PLACEHOLDER = re.compile(r"<[^\n]*>\s*")  # `<Figure size 640x480 with 1 Axes>` beside the picture itself
BAR = re.compile(r"\d+(\.\d+)?%\s*(\||\[)|\|[█▏▎▍▌▋▊▉#-]+[ -]*\||\d+it \[")
NO_DISPLAY = re.compile(r"^\s*#\s*\|\s*(export\w*|hide|default_exp|slow)\b|^\s*[%!]", re.MULTILINE)
NOT_RUN = re.compile(r"nbdev_export|^\s*#\s*\|\s*eval\s*:\s*false\b", re.MULTILINE | re.IGNORECASE)


def clean_text(text: str) -> str:
    """`text` as a terminal would end up showing it, without progress bars and memory addresses."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    shown = [(line, line.rsplit("\r", 1)[-1]) for line in lines]
    kept = [last for line, last in shown if last == line or (last.strip() and not BAR.search(last))]
    return ADDRESS.sub("", "\n".join(kept))


def clean_picture(png: str) -> dict:
    """A PNG in base64 by its kind, or as JPEG where that takes less than half of it: photographs do, charts do not."""
    small, img = BytesIO(), Image.open(BytesIO(b64decode(png)))
    opaque = img.mode in ("L", "RGB") or img.mode == "RGBA" and img.getextrema()[3][0] == 255
    if opaque:
        img.convert("RGB").save(small, "JPEG", quality=90, subsampling=0, optimize=True)
    text = b64encode(small.getvalue()).decode()
    return {"image/jpeg": text} if opaque and 2 * len(text) < len(png) else {"image/png": png}


def clean_data(data: dict) -> dict:
    """The representations worth keeping of one output; empty where it was a progress bar."""
    data = {kind: "".join(data[kind]) for kind in KINDS if kind in data and WIDGET not in data}
    if "<progress" in data.get("text/html", ""): return {}
    if len(data) > 1 and PLACEHOLDER.fullmatch(data.get("text/plain", "")): del data["text/plain"]
    pictures = {kind: data.pop(kind).strip() for kind in PICTURES if kind in data}
    pictures = clean_picture(pictures["image/png"]) if "image/png" in pictures else pictures
    return {kind: clean_text(text).splitlines(keepends=True) for kind, text in data.items()} | pictures


def clean_outputs(outputs: list) -> list:
    """The outputs that stay, neighbouring prints joined."""
    kept, printed = [], ""
    for output in [*outputs, {}]:
        if output.get("output_type") == "stream":
            printed += "".join(output["text"]) if output["name"] == "stdout" else ""
            continue
        text, printed = clean_text(printed), ""
        if text.strip(): kept.append({"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)})
        data = clean_data(output.get("data", {}))
        if not data: continue
        kept.append({"data": data, "metadata": {}, "output_type": output["output_type"]})
        if output["output_type"] == "execute_result": kept[-1]["execution_count"] = None
    return kept


def cell_id(cell: dict, taken: set) -> str:
    """The cell's own id where it is valid and free, otherwise one made from its source."""
    given, source, count = cell.get("id", ""), "".join(cell["source"]), 0
    while given in taken or not VALID_ID.fullmatch(given):
        given, count = hashlib.sha1(f"{source}|{count}".encode()).hexdigest()[:8], count + 1
    return given


def clean_notebook(notebook: dict) -> dict:
    """A clean copy of `notebook`; cleaning a clean one changes nothing."""
    cells, taken = [], set()
    for old in copy.deepcopy(notebook["cells"]):
        cell = {"cell_type": old["cell_type"], "id": cell_id(old, taken), "metadata": {}}
        cell["source"] = "".join(old["source"]).splitlines(keepends=True)
        if "attachments" in old: cell["attachments"] = old["attachments"]
        if old["cell_type"] == "code": cell |= {"execution_count": None, "outputs": clean_outputs(old.get("outputs", []))}
        taken.add(cell["id"])
        cells.append(cell)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def to_text(notebook: dict) -> str:
    """The one way a notebook is written."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def output_texts(cell: dict) -> str:
    """Everything readable in the outputs of `cell`."""
    texts = [output.get("text", []) for output in cell.get("outputs", [])]
    texts += [text for output in cell.get("outputs", []) for kind, text in output.get("data", {}).items() if kind not in PICTURES]
    return "\n".join("".join(text) for text in texts)


def ends_in_display(source: str) -> bool:
    """Return whether a cell ends in a value, as Jupyter shows it; what a call returns cannot be told, unless it is `display`."""
    if NO_DISPLAY.search(source) or NOT_RUN.search(source) or source.rstrip().endswith(";"): return False
    last = ast.parse(source).body[-1:]
    if not last or not isinstance(last[0], ast.Expr): return False
    value = last[0].value
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    calls = [part for part in parts if isinstance(part, ast.Call)]
    if len(calls) == len(parts): return any(getattr(call.func, "id", "") in ("display", "print") for call in calls)
    return not isinstance(value, (ast.Constant, ast.Yield))


def faults(path: Path, notebook: dict, root: Path) -> list:
    """What cleaning cannot mend, as sentences."""
    found, size = [], len(to_text(notebook).encode())
    if size > MAX_BYTES:
        found.append(f"{path}: expected at most {MAX_BYTES // 1000} kB, got {size / 1000:.1f} kB; show fewer or smaller pictures.")
    for folder in sorted({str(root), str(Path.home()), tempfile.gettempdir()} - {"/"}):
        here = re.compile(rf"(?<![\w.]){re.escape(folder)}(?![\w.-])")
        bad = [cell["id"] for cell in notebook["cells"] if here.search(output_texts(cell))]
        found += [f"{path}: the output of cell {name} holds a path of this machine, {folder}; show a name instead." for name in bad]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and not cell["outputs"] and ends_in_display("".join(cell["source"])):
            found.append(f"{path}: cell {cell['id']} ends in a value but has no output; run the notebook.")
    return found


def clean(paths: list, check: bool = False, root: Path = ROOT) -> list:
    """Clean the notebooks at `paths`, or only `check` them; returns complaints."""
    complaints = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        notebook = clean_notebook(json.loads(text))
        complaints += faults(path, notebook, root)
        if to_text(notebook) == text: continue
        if check: complaints.append(f"{path}: not clean; run `python tools/notebooks.py clean {path}`.")
        else: path.write_text(to_text(notebook), encoding="utf-8")
    return complaints


def execute(path: Path, root: Path = ROOT) -> int:
    """Run the notebook at `path` in this interpreter and write it with its outputs; 1 and a traceback where a cell fails."""
    from execnb.shell import CaptureShell
    sys.path[0] = str(root)  # not this tool's folder
    shell = CaptureShell(path.resolve(), mpl_format="png")
    shell.run(f"import matplotlib; matplotlib.rcParams['figure.dpi'] = {FIGURE_DPI}; del matplotlib")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or NOT_RUN.search(source): continue
        cell["outputs"] = shell.run(source)
        if not shell.exc: continue
        print(f"{path}: cell {number} ({cell.get('id')}) failed:\n\n{source}\n\n" + "".join(traceback.format_exception(shell.exc)))
        return 1
    path.write_text(to_text(notebook), encoding="utf-8")
    return 0


def run(paths: list, root: Path = ROOT) -> list:
    """Run each notebook in a fresh interpreter, from its own folder, then clean it; returns complaints."""
    complaints = []
    for path in paths:
        print(f"running {path}", flush=True)
        command = [sys.executable, str(Path(__file__).resolve()), "execute", path.name, "--root", str(root)]
        done = subprocess.run(command, cwd=path.parent)
        complaints += clean([path], root=root) if done.returncode == 0 else [f"{path}: failed, left as it was."]
    return complaints


def every_notebook(root: Path) -> list:
    """All notebooks under nbs/, but for folders that start with a dot or underscore."""
    found = sorted((root / "nbs").rglob("*.ipynb"))
    return [path for path in found if not any(part[0] in "._" for part in path.relative_to(root).parts)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["clean", "run", "execute"], help="execute: run one notebook in this process, uncleaned")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks; all under nbs/ where none is given")
    parser.add_argument("--check", action="store_true", help="with clean: change nothing, list what is not clean")
    parser.add_argument("--root", type=lambda name: Path(name).resolve(), default=ROOT, help="the repository")
    args = parser.parse_intermixed_args()
    missing = [path for path in args.paths if not path.is_file()]
    if missing: parser.error(f"no such notebook: {', '.join(map(str, missing))}")
    paths = args.paths or [Path(os.path.relpath(path)) for path in every_notebook(args.root)]
    if args.command == "execute": return execute(paths[0], args.root)
    complaints = run(paths, args.root) if args.command == "run" else clean(paths, args.check, args.root)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
