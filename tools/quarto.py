#!/usr/bin/env python
"""Keep what `nbdev_docs` needs in order, for those who have Quarto: nbs/_quarto.yml, nbs/nbdev.yml and nbs/sidebar.yml.

Without an option the files are written, from settings.ini and the navigation of tools/docs.py. `--check` only compares them, and
lists cells that nbdev would trip over. `--process` does what `nbdev_proc_nbs` does, short of looking for Quarto, on a copy:
it runs exported cells and imports, and needs what the tests need.
"""
import argparse
import ast
import os
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from docs_plan import ROOT, SECTIONS, DocsError, directives, is_exported, make_plan, read_settings, sections_of

QUARTO = """project:
  type: website

format:
  html:
    theme:
      light: cosmo
      dark: darkly
    toc: true
    keep-md: true
  commonmark: default

website:
  twitter-card: true
  open-graph: true
  repo-actions: [issue]
  navbar:
    background: primary
    search: true
  sidebar:
    style: floating

metadata-files: [nbdev.yml, sidebar.yml]
"""
NBDEV = """project:
  output-dir: {doc_path}

website:
  title: "{title}"
  site-url: "{doc_host}{doc_baseurl}"
  description: "{description}"
  repo-branch: {branch}
  repo-url: "{git_url}"
"""
IMPORTS = (ast.Import, ast.ImportFrom)
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
DROPPED = re.compile(r"\A\s*#.*\n.* -\s*\Z", re.DOTALL)


def make_sidebar(root: Path) -> str:
    """Return the sidebar: the home page, then every section, the reference by package."""
    pages = [page for page in make_plan(root) if page.path.suffix == ".ipynb"]
    lines = ["website:", "  sidebar:", "    contents:", "      - index.ipynb"]
    for name, members in sections_of(pages).items():
        lines += [f"      - section: {SECTIONS.get(name, (name.capitalize(),))[0]}", "        contents:"]
        package = ""
        for page in members:
            if page.package != package:
                package = page.package
                lines += [f"          - section: {package}", "            contents:"]
            lines.append(("              - " if package else "          - ") + page.path.relative_to(root / "nbs").as_posix())
    return "\n".join(lines) + "\n"


def make_files(root: Path) -> dict:
    """Return the text of each file by its name in nbs/."""
    return {"_quarto.yml": QUARTO, "nbdev.yml": NBDEV.format(**read_settings(root)), "sidebar.yml": make_sidebar(root)}


def find_traps(root: Path) -> list:
    """Return complaints about cells that nbdev would run, or leave out, against their author's wish."""
    complaints = []
    for page in (page for page in make_plan(root) if page.module):
        name = page.path.relative_to(root)
        for cell in page.cells:
            source, marks = cell["source"], directives(cell["source"])
            if cell["cell_type"] == "markdown" and DROPPED.search(source):
                complaints.append(f"{name}: cell {cell['id']} ends in ` -`, so nbdev leaves all of it out; split it.")
            if cell["cell_type"] != "code" or is_exported(source) or "eval:false" in marks or "nbdev_export()" in source: continue
            nodes = list(ast.walk(ast.parse(MAGIC.sub("", source))))
            if any(isinstance(node, IMPORTS) for node in nodes) and any(isinstance(node, (ast.Expr, ast.Assign)) for node in nodes):
                complaints.append(f"{name}: cell {cell['id']} imports and does more, so nbdev runs it for the documentation; split it.")
    return complaints


def process(root: Path) -> list:
    """Return a complaint for each notebook that nbdev cannot process."""
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        lib = read_settings(root)["lib_name"]
        for name in ("nbs", lib): shutil.copytree(root / name, copy / name)
        for name in ("settings.ini", "pyproject.toml"): shutil.copy(root / name, copy)
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        from execnb.nbio import read_nb
        from nbdev.processors import FilterDefaults
        for page in (page for page in make_plan(copy) if page.path.suffix == ".ipynb"):
            try: FilterDefaults()(read_nb(page.path))
            except Exception as error:
                reason = error.__cause__ or error
                complaints.append(f"{page.path.relative_to(copy)}: {str(error).splitlines()[0]} {type(reason).__name__}: {reason}")
        os.chdir(root)
    return complaints


def main(arguments: list | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; list what is out of date or would trip nbdev")
    parser.add_argument("--process", action="store_true", help="let nbdev process a copy of the notebooks")
    parser.add_argument("--root", type=lambda name: Path(name).resolve(), default=ROOT, help="the repository")
    args = parser.parse_args(arguments)
    try: files = make_files(args.root)
    except DocsError as error:
        print(error)
        return 1
    paths = {args.root / "nbs" / name: text for name, text in files.items()}
    stale = [path for path, text in paths.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    complaints = []
    if args.check:
        complaints = [f"{path.relative_to(args.root)} is out of date; run `python tools/quarto.py`." for path in stale]
        complaints += find_traps(args.root)
    if args.process:
        warnings.filterwarnings("ignore", message="Found cells containing imports")
        complaints += process(args.root)
    if not (args.check or args.process):
        for path in stale: path.write_text(paths[path], encoding="utf-8")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
