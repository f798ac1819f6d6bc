#!/usr/bin/env python
"""Check the public interface of srfast/, as the exported modules have it.

Every public function, class and method has a docstring that begins with a verb (a class: with what it is); every public
parameter has a type and a comment on its line; every command-line parameter has `help=`. Names without an underscore are
public where `__all__` lists them: at most 249 in all. With `--sizes` the sizes of cells and functions are printed.
"""
import argparse
import ast
import re
import statistics
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_NAMES = 249
NO_VERB = set("a an the what whether how where which nothing of if this that all those its is no same mean scale one two".split())
NO_VERB |= set("everything every each it both as for in when".split())
ENDS_IN_S = {"pass", "express", "process", "compress", "discuss", "address"}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
QUIET = re.compile(r"^(before|after)_\w+$|^__\w+__$|^_")  # fastai's events and Python's own methods are known by name


def public_names(tree) -> list:
    """Return what `__all__` lists."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__": return ast.literal_eval(node.value)
    return []


def comment_lines(path: Path) -> set:
    """Return the numbers of the lines that carry a comment."""
    with tokenize.open(path) as file:
        return {token.start[0] for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT}


def parameters(function) -> list:
    """Return the arguments that a caller sees."""
    args = function.args
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
    return [arg for arg in found if arg.arg not in ("self", "cls", "ctx") and not arg.arg.startswith("_")]


def is_command(function) -> bool:
    """Return whether typer makes a command of it."""
    calls = [deco.func for deco in function.decorator_list if isinstance(deco, ast.Call)]
    return any(getattr(call, "attr", "") in ("command", "callback") for call in calls)


def check_function(where: str, function, comments: set, verb: bool = True) -> list:
    """Return complaints about one function."""
    found, doc = [], (ast.get_docstring(function) or "").strip()
    if not doc and function.name != "__init__": found.append(f"{where}: no docstring.")
    first = re.split(r"[\s,:;.]", doc, maxsplit=1)[0].lower().strip("`'\"")
    if verb and doc and (first in NO_VERB or not first.isalpha() or first.endswith("s") and first not in ENDS_IN_S):
        found.append(f"{where}: begins with {first!r}, expected a verb such as Return, Raise, Write.")
    if is_command(function):
        helped = {arg.arg: "help=" in ast.unparse(arg.annotation or ast.Constant("")) for arg in parameters(function)}
        return found + [f"{where}: {name} has no help." for name, fine in helped.items() if not fine]
    for arg in parameters(function):
        if arg.annotation is None and arg.lineno not in comments: found.append(f"{where}: {arg.arg} has neither type nor comment.")
        elif arg.lineno not in comments: found.append(f"{where}: {arg.arg} has no comment on its line.")
        elif arg.annotation is None and arg not in (function.args.vararg, function.args.kwarg):
            found.append(f"{where}: {arg.arg} has no type.")
    return found


def check_class(where: str, node, comments: set) -> list:
    """Return complaints about a class and its public methods; fields of a dataclass count as parameters."""
    found = [] if ast.get_docstring(node) else [f"{where}: no docstring."]
    is_data = any("dataclass" in ast.unparse(deco) for deco in node.decorator_list)
    for item in node.body:
        if isinstance(item, FUNCTION) and (item.name == "__init__" or not QUIET.match(item.name)):
            known = [ast.unparse(deco) for deco in item.decorator_list]
            is_property = any("property" in deco for deco in known)
            found += check_function(f"{where}.{item.name}", item, comments, verb=not is_property and item.name != "forward")
        if is_data and isinstance(item, ast.AnnAssign) and not item.target.id.startswith("_") and item.lineno not in comments:
            found.append(f"{where}.{item.target.id}: no comment on its line.")
    return found


def check_module(path: Path, root: Path) -> tuple:
    """Return the complaints about one module and its public names."""
    tree, name = ast.parse(path.read_text(encoding="utf-8")), ".".join(path.relative_to(root).with_suffix("").parts)
    names, comments, found = public_names(tree), comment_lines(path), []
    for node in tree.body:
        known = [ast.unparse(deco) for deco in getattr(node, "decorator_list", ())]
        if isinstance(node, FUNCTION) and (node.name in names or is_command(node) or any("patch" in deco for deco in known)):
            is_property = any("as_prop" in deco or "property" in deco for deco in known)
            found += check_function(f"{name}.{node.name}", node, comments, verb=not is_property)
        if isinstance(node, ast.ClassDef) and node.name in names: found += check_class(f"{name}.{node.name}", node, comments)
    return found, [f"{name}.{one}" for one in names]


def sizes(paths: list) -> str:
    """Return median and 90th percentile of lines, of exported cells and of function bodies."""
    cells, bodies = [], []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        cells += [len(part.strip().splitlines()) - 1 for part in re.split(r"(?m)^(?=# %% )", text)[2:]]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, FUNCTION):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                bodies.append(body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    def of(values): return f"median {statistics.median(values):g}, p90 {statistics.quantiles(values, n=10)[-1]:g}, largest {max(values)}"
    return f"cells: {of(cells)}; bodies: {of(bodies)}"


def modules(root: Path, names: list) -> list:
    """Return the exported modules under `root`/srfast, or those that begin with one of `names`."""
    found = [path for path in sorted((root / "srfast").rglob("*.py")) if not path.name.startswith("_")]
    dotted = {path: ".".join(path.relative_to(root / "srfast").with_suffix("").parts) for path in found}
    return [path for path in found if not names or any(dotted[path] == name or dotted[path].startswith(name + ".") for name in names)]


def check(root: Path = ROOT, names: list = ()) -> list:
    """Return all complaints about the modules, as sentences."""
    results = [check_module(path, root) for path in modules(root, names)]
    found, public = [line for one, _ in results for line in one], [name for _, one in results for name in one]
    if len(public) > MOST_NAMES:
        found.append(f"{len(public)} public names, expected at most {MOST_NAMES}: make private what no page teaches.")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="modules or packages, such as images or training.runs; none: all")
    parser.add_argument("--sizes", action="store_true", help="print sizes of cells and functions as well")
    args = parser.parse_args()
    found = check(ROOT, args.names)
    print(*found, sep="\n", end="\n" if found else "")
    if args.sizes: print(sizes(modules(ROOT, args.names)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
