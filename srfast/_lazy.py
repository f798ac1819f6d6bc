"""Packages whose names are imported on first use; each package's `__init__.pyi` is the one list of them."""
import ast
import sys
from importlib import import_module
from pathlib import Path


def attach(
    package: str,  # `__name__` of the package
    file: str,  # `__file__` of its `__init__.py`, beside which `__init__.pyi` lies
):  # `__getattr__`, `__dir__`, `__all__`
    "Return what makes a package lazy: `from .module import name as name` in the stub, imported when `name` is asked for."
    tree = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    origins = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.level for alias in node.names}

    def __getattr__(name: str):
        if name not in origins:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = origins[name]
        value = getattr(import_module(f".{module}", package), name) if module else import_module(f".{name}", package)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *origins})

    return __getattr__, __dir__, list(origins)
