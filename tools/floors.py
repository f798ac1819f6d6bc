#!/usr/bin/env python
"""Check the floors: what the exported cells of nbs/NN_*.ipynb import.

A notebook's number is its place and the first digit its floor. A module imports only from modules with a strictly
lower number; nothing is imported with a star; a cell that imports does nothing else; and the modules on the using
path load none of the heavy packages at top level, neither themselves nor through what they import.
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
USING = ("core", "image", "planes", "write", "resize", "match", "degrade", "layers", "generators.house", "zoo", "weights", "tiles",
         "inference", "cli", "worker", "jobs", "guard", "page", "rest", "app")
HEAVY = {"fastai", "torchvision", "pandas", "matplotlib", "skimage"}
IMPORT = (ast.Import, ast.ImportFrom)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
EXPORT = re.compile(r"^#\s*\|\s*export[is]?\b", re.MULTILINE)
DEFAULT_EXP = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)", re.MULTILINE)
MAGIC = re.compile(r"^\s*%.*$", re.MULTILINE)


@dataclass
class Room:
    """One notebook: its name, number, module, and the syntax trees of its exported cells by cell id."""
    name: str
    number: int
    module: str
    cells: dict = field(default_factory=dict)

    def __str__(self): return f"{self.name} (floor {self.number // 10})"


def read_room(path: Path) -> Room:
    """The notebook at `path` as a Room; a SyntaxError names it."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = {cell.get("id", str(place)): "".join(cell["source"]) for place, cell in enumerate(cells)}
    module = next((found[1] for found in map(DEFAULT_EXP.search, sources.values()) if found), "")
    exported = {name: MAGIC.sub("", source) for name, source in sources.items() if EXPORT.search(source)}
    trees = {name: ast.parse(source, f"{path.name}, cell {name}") for name, source in exported.items()}
    return Room(path.name, int(path.name[:2]), module, trees)


def outside_functions(node):
    """The imports under `node` that run when the module is imported."""
    if isinstance(node, IMPORT): yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTION): yield from outside_functions(child)


def targets(node, module: str) -> list:
    """Full dotted names an import statement in `module` asks for, relative ones resolved."""
    if isinstance(node, ast.Import): return [alias.name for alias in node.names]
    base = [PACKAGE, *module.split(".")][:-node.level] if node.level else []
    prefix = ".".join(base + ([node.module] if node.module else []))
    return [f"{prefix}.{alias.name}" for alias in node.names]


def room_of(target: str, rooms: dict):
    """The Room of the module that `target` (a module, or a name in one) belongs to, or None."""
    parts = target.split(".")[1:]
    found = (rooms.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return next((room for room in found if room), None)


def check_cell(room: Room, name: str, tree) -> list:
    """Complaints about the form of one exported cell."""
    where, found = f"{room}, cell {name}", []
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        found.append(f"{where}: star import; name what is imported.")
    imports = [node for node in tree.body if isinstance(node, IMPORT)]
    others = [node for node in tree.body if not isinstance(node, IMPORT)]
    if imports and others: found.append(f"{where}: imports and code in one cell; give the imports a cell of their own.")
    if any(True for node in others if not isinstance(node, FUNCTION) for _ in outside_functions(node)):
        found.append(f"{where}: a guarded import; import plainly, or inside the function that needs it.")
    return found


def check_floors(room: Room, rooms: dict) -> list:
    """Complaints about imports from the same or a higher number, or from nowhere."""
    found = []
    for name, tree in room.cells.items():
        wanted = [target for node in ast.walk(tree) if isinstance(node, IMPORT) for target in targets(node, room.module)]
        for target in (target for target in wanted if target.split(".")[0] == PACKAGE and target != f"{PACKAGE}.__version__"):
            other, where = room_of(target, rooms), f"{room}, cell {name}: imports {target}"
            if other is None: found.append(f"{where}, which no numbered notebook makes; name its module.")
            elif other.number >= room.number: found.append(f"{where} from {other}; only lower numbers are allowed.")
    return found


def check_using(room: Room, rooms: dict) -> list:
    """Complaints about heavy packages that `import srfast.<module>` would load, with the way there."""
    found, seen, todo = [], set(), [(room, room.module)]
    while todo:
        here, way = todo.pop()
        if here.module in seen: continue
        seen.add(here.module)
        nodes = [node for tree in here.cells.values() for node in outside_functions(tree)]
        for target in (target for node in nodes for target in targets(node, here.module)):
            top, other = target.split(".")[0], room_of(target, rooms)
            if top in HEAVY: found.append(f"{room}: on the using path, yet loads {top} at import ({way} -> {target}).")
            elif top == PACKAGE and other: todo.append((other, f"{way} -> {other.module}"))
    return found


def check(root: Path = ROOT) -> list:
    """All complaints about the notebooks under `root`/nbs, as sentences."""
    try: every = [read_room(path) for path in sorted((root / "nbs").glob("[0-9][0-9]_*.ipynb"))]
    except SyntaxError as error: return [f"{error.filename}: expected Python, got {error.msg} in line {error.lineno}."]
    found = [f"{room}: exports cells but has no `#| default_exp`." for room in every if room.cells and not room.module]
    every = [room for room in every if room.module]
    rooms = {room.module: room for room in every}
    found += [f"{room}: {rooms[room.module]} makes the module {room.module} too." for room in every if rooms[room.module] is not room]
    for room in every:
        for name, tree in room.cells.items(): found += check_cell(room, name, tree)
        found += check_floors(room, rooms)
        if room.module in USING: found += check_using(room, rooms)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    complaints = check(parser.parse_args().root)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
