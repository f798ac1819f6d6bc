"""Super-resolution for people who use fastai: one call that works, notebooks that teach."""

__version__ = "0.1.0"

from importlib import import_module
from importlib.util import find_spec

# Every public name and the module it lives in. Nothing below is imported until it is asked for.
_MODULE_OF = {
    "upscale": "inference",
    "Upscaler": "inference",
    "imresize": "resize",
    "Degradation": "degrade",
    "crappify": "degrade",
    "psnr": "metrics",
    "ssim": "metrics",
    "ms_ssim": "metrics",
    "mse": "metrics",
    "l1": "metrics",
    "list_generators": "zoo",
    "create_generator": "zoo",
    "train": "training",
    "evaluate": "evaluation",
    "benchmark": "protocol",
    "show_comparison": "compare",
    "before_after": "compare",
    "save_strip": "compare",
    "list_weights": "weights",
    "load_generator": "weights",
    "read_img": "image",
    "Picture": "image",
    "write_img": "write",
    "widget": "notebook",
    "ImageError": "core",
    "PixelLimitError": "core",
    "WeightsError": "core",
    "UnknownNameError": "core",
}
__all__ = list(_MODULE_OF)


def __getattr__(name: str):
    """A public name, or a submodule (`srfast.resize`), imported when first used."""
    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list:
    """What is there already and what can be asked for."""
    return sorted({*globals(), *__all__})
