#!/usr/bin/env python
"""Check what the exported cells of nbs/<package>/NN_name.ipynb import.

A module imports only from packages before its own in `ORDER`, and inside its package only from notebooks with a lower
number. Nothing is imported with a star; a cell that imports does nothing else; modules are named in full, not built by
`import_module`; and the modules that `srfast.upscale`, the command line and the web page load import no heavy package at
top level, neither themselves nor through what they import.
"""
import argparse
import ast
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "srfast"
ORDER = ("core", "images", "networks", "inference", "display", "data", "training", "evaluation", "web", "cli")
USING = ("core", "images", "networks.generators.house", "networks.zoo", "networks.weights", "networks.models", "inference", "web", "cli")
HEAVY = {"fastai", "torchvision", "pandas", "matplotlib", "skimage"}
IMPORT = (ast.Import, ast.ImportFrom)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
EXPORT = re.compile(r"^#\s*\|\s*export[is]?\b", re.MULTILINE)
DEFAULT_EXP = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)", re.MULTILINE)
MAGIC = re.compile(r"^\s*%.*$", re.MULTILINE)


@dataclass
class Notebook:
    """One notebook: its path under nbs/, module, and the syntax trees of its exported cells by cell id."""
    name: str
    module: str
    cells: dict = field(default_factory=dict)

    @property
    def package(self) -> str: return self.module.partition(".")[0]

    @property
    def place(self) -> tuple:
        """Package and number: what it may import has a smaller one."""
        return (ORDER.index(self.package) if self.package in ORDER else -1, int(Path(self.name).name[:2]))

    def __str__(self): return self.name


def read_notebook(path: Path, root: Path) -> Notebook:
    """Return the notebook at `path`; a SyntaxError names it."""
    name = path.relative_to(root / "nbs").as_posix()
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = {cell.get("id", str(place)): "".join(cell["source"]) for place, cell in enumerate(cells)}
    module = next((found[1] for found in map(DEFAULT_EXP.search, sources.values()) if found), "")
    exported = {cell: MAGIC.sub("", source) for cell, source in sources.items() if EXPORT.search(source)}
    return Notebook(name, module, {cell: ast.parse(source, f"{name}, cell {cell}") for cell, source in exported.items()})


def outside_functions(node):
    """Yield the imports under `node` that run when the module is imported."""
    if isinstance(node, IMPORT): yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTION): yield from outside_functions(child)


def is_import_module(node) -> bool:
    """Return whether `node` is a call of `import_module`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"


def text_of(node) -> str:
    """Return a string or f-string up to its first gap, else ''."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def targets(node, module: str) -> list:
    """Return the full dotted names that an import, or a call of `import_module`, in `module` asks for."""
    if is_import_module(node): return [text_of(node.args[0]).rstrip(".")] if node.args else []
    if isinstance(node, ast.Import): return [alias.name for alias in node.names]
    base = [PACKAGE, *module.split(".")][:-node.level] if node.level else []
    prefix = ".".join(base + ([node.module] if node.module else []))
    return [f"{prefix}.{alias.name}" for alias in node.names]


def notebook_of(target: str, books: dict):
    """Return the notebook of the module that `target` (a module, or a name in one) belongs to, or None."""
    parts = target.split(".")[1:]
    found = (books.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return next((book for book in found if book), None)


def check_cell(book: Notebook, cell: str, tree) -> list:
    """Return complaints about the form of one exported cell."""
    where, found = f"{book}, cell {cell}", []
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        found.append(f"{where}: star import; name what is imported.")
    imports = [node for node in tree.body if isinstance(node, IMPORT)]
    others = [node for node in tree.body if not isinstance(node, IMPORT)]
    if imports and others: found.append(f"{where}: imports and code in one cell; give the imports a cell of their own.")
    if any(True for node in others if not isinstance(node, FUNCTION) for _ in outside_functions(node)):
        found.append(f"{where}: a guarded import; import plainly, or inside the function that needs it.")
    return found


def check_order(book: Notebook, books: dict) -> list:
    """Return complaints about imports of a later package, of the same or a higher number, or of what no notebook makes."""
    found = []
    folder = Path(book.name).parent.as_posix()
    if book.package not in ORDER: found.append(f"{book}: makes {book.module}, whose package is none of {', '.join(ORDER)}.")
    if folder != book.package: found.append(f"{book}: makes {book.module}; it belongs into nbs/{book.package}/.")
    for cell, tree in book.cells.items():
        nodes = [node for node in ast.walk(tree) if isinstance(node, IMPORT) or is_import_module(node)]
        for target in (target for node in nodes for target in targets(node, book.module)):
            if target.startswith(f"{PACKAGE}._"): continue  # written by hand
            if target.split(".")[0] != PACKAGE or target in (PACKAGE, f"{PACKAGE}.__version__"): continue
            inside = [other for other in books.values() if other.module.startswith(target.removeprefix(f"{PACKAGE}.") + ".")]
            other, where = notebook_of(target, books), f"{book}, cell {cell}: imports {target}"
            if other is None and not inside: found.append(f"{where}, which no numbered notebook makes; name its module.")
            for late in [one for one in ([other] if other else inside) if one.place >= book.place]:
                found.append(f"{where} from {late}; only packages before {book.package}, and lower numbers, are allowed.")
    return found


def check_using(book: Notebook, books: dict) -> list:
    """Return complaints about heavy packages that importing the module would load, with the way there."""
    found, seen, todo = [], set(), [(book, book.module)]
    while todo:
        here, way = todo.pop()
        if here.module in seen: continue
        seen.add(here.module)
        nodes = [node for tree in here.cells.values() for node in outside_functions(tree)]
        for target in (target for node in nodes for target in targets(node, here.module)):
            top, other = target.split(".")[0], notebook_of(target, books)
            if top in HEAVY: found.append(f"{book}: is needed for upscaling, yet loads {top} at import ({way} -> {target}).")
            elif top == PACKAGE and other: todo.append((other, f"{way} -> {other.module}"))
    return found


def is_using(book: Notebook) -> bool:
    """Return whether upscaling, the command line or the web page may load the module."""
    return any(book.module == name or book.module.startswith(f"{name}.") for name in USING)


def check(root: Path = ROOT) -> list:
    """Return all complaints about the notebooks under `root`/nbs, as sentences."""
    try: every = [read_notebook(path, root) for path in sorted((root / "nbs").glob("*/[0-9][0-9]_*.ipynb"))]
    except SyntaxError as error: return [f"{error.filename}: expected Python, got {error.msg} in line {error.lineno}."]
    found = [f"{book}: exports cells but has no `#| default_exp`." for book in every if book.cells and not book.module]
    every = [book for book in every if book.module]
    books = {book.module: book for book in every}
    found += [f"{book}: {books[book.module]} makes the module {book.module} too." for book in every if books[book.module] is not book]
    places = {book.place: book for book in every}
    found += [f"{book}: {places[book.place]} has that number too." for book in every if places[book.place] is not book]
    for book in every:
        for cell, tree in book.cells.items(): found += check_cell(book, cell, tree)
        found += check_order(book, books)
        if is_using(book): found += check_using(book, books)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    complaints = check(parser.parse_args().root)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
