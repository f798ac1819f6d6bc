#!/usr/bin/env python
"""Write README.md from nbs/index.ipynb; `--check` only says whether it is up to date.

Markdown cells stay as they are, code cells become fenced Python, printed and plain outputs indented blocks, Markdown
outputs Markdown. `#| hide` drops a cell, `#| echo: false` or `#| hide_input` its source. Relative links are rewritten
from the notebook's folder to the root.
"""
import argparse
import json
import os
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INDEX = "nbs/index.ipynb"
BANNER = f"<!-- Written by tools/readme.py from {INDEX}: edit that. -->"
DIRECTIVE = re.compile(r"^\s*#\s*\|\s*(.*?)\s*$\n?", re.MULTILINE)
FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"""(?P<before>\]\(|<img\b[^>]*?\bsrc=["'])(?P<target>[^)"'\s>]+)""")
ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|/|#")


class ReadmeError(ValueError):
    """The notebook holds something README.md cannot show."""


def relink(text: str, root: Path) -> str:
    """`text` with links relative to nbs/ made relative to the root; each must lead to a file."""
    def moved(found):
        target, _, anchor = found["target"].partition("#")
        if ELSEWHERE.match(found["target"]): return found[0]
        path = os.path.normpath(os.path.join(os.path.dirname(INDEX), target)).replace(os.sep, "/")
        if not (root / path).exists(): raise ReadmeError(f"{INDEX}: links to {target}, but there is no {path}.")
        return found["before"] + path + ("#" + anchor if anchor else "")
    parts = FENCE.split(text)  # every second part is a code block
    return "".join(part if place % 2 else LINK.sub(moved, part) for place, part in enumerate(parts))


def show_output(output: dict, cell: str, root: Path) -> str:
    """One output as Markdown."""
    if output["output_type"] == "stream": return textwrap.indent("".join(output["text"]).rstrip(), "    ")
    data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
    if any(kind.startswith("image/") for kind in data):
        raise ReadmeError(f"{INDEX}: cell {cell} shows a picture; commit it as a file and use a Markdown image instead.")
    if "text/markdown" in data: return relink(data["text/markdown"].rstrip(), root)
    if "text/plain" in data: return textwrap.indent(data["text/plain"].rstrip(), "    ")
    raise ReadmeError(f"{INDEX}: cell {cell} has an output of {', '.join(data) or 'no kind'}; expected text or Markdown.")


def show_cell(cell: dict, root: Path) -> list:
    """The Markdown blocks of one cell."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown": return [relink(source.strip(), root)]
    if cell["cell_type"] != "code": return []
    directives = {re.sub(r"\s", "", found).lower() for found in DIRECTIVE.findall(source)}
    code = DIRECTIVE.sub("", source).strip()
    if "hide" in directives or not code: return []
    shown = [] if directives & {"echo:false", "hide_input"} else [f"```python\n{code}\n```"]
    return shown + [show_output(output, cell.get("id", "?"), root) for output in cell["outputs"]]


def make(root: Path = ROOT) -> str:
    """The text of README.md."""
    cells = json.loads((root / INDEX).read_text(encoding="utf-8"))["cells"]
    blocks = [BANNER] + [block for cell in cells for block in show_cell(cell, root)]
    return "\n\n".join(block for block in blocks if block.strip()) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where README.md is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args()
    readme = args.root / "README.md"
    try: text = make(args.root)
    except ReadmeError as error:
        print(error)
        return 1
    old = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if text == old: return 0
    if args.check:
        print(f"README.md does not match {INDEX}; run `make export`.")
        return 1
    readme.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
