"""Packages whose names are imported on first use; each package's `__init__.pyi` is the one list of them."""
import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# What a base install lacks, by the name it is imported under, and the extra that brings it.
EXTRAS = {
    **dict.fromkeys(["fasthtml", "starlette", "uvicorn", "multipart"], "web"),
    **dict.fromkeys(["fastai", "plum", "torchvision", "matplotlib", "pandas", "skimage", "h5py", "pooch", "filelock"], "train"),
    "ipywidgets": "widget",
    "pillow_heif": "formats",
    "spandrel": "foreign",
    "ray": "ray",
    "av": "video",
}


def _stand_in(name: str, missing: str):
    """Return a function in place of `name` that says when it is called which extra it needs."""
    def needs_extra(*args, **kwargs):
        raise ImportError(message, name=missing)

    message = f"{name} needs {missing}: pip install 'srfast[{EXTRAS[missing]}]'"
    needs_extra.__name__ = needs_extra.__qualname__ = name.rpartition(".")[2]
    needs_extra.__doc__ = f"Not available: {message}"
    return needs_extra


class _Package(ModuleType):
    """A package in which a public name wins over the module of that name, such as `srfast.display.widget`."""
    def __setattr__(self, name: str, value):
        if isinstance(value, ModuleType) and name in self._own_names: value = getattr(value, name)
        super().__setattr__(name, value)


def attach(
    package: str,  # `__name__` of the package
    file: str,  # `__file__` of its `__init__.py`, beside which `__init__.pyi` lies
):  # `__getattr__`, `__dir__`, `__all__`
    "Return what makes a package lazy: `from .module import name as name` in the stub, imported when `name` is asked for."
    tree = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    origins = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.level for alias in node.names}

    own = {name for name, module in origins.items() if module == name}
    if own:
        sys.modules[package].__dict__["_own_names"] = own
        sys.modules[package].__class__ = _Package

    def __getattr__(name: str):
        if name not in origins:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = origins[name]
        if not module:
            return import_module(f".{name}", package)
        try:
            value = getattr(import_module(f".{module}", package), name)
        except ModuleNotFoundError as e:
            missing = (e.name or "").partition(".")[0]
            if missing not in EXTRAS: raise
            return _stand_in(f"{package}.{name}", missing)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*origins, *(name for name in vars(sys.modules[package]) if name.startswith("__"))})

    return __getattr__, __dir__, [name for name, module in origins.items() if module]
