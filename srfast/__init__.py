"""Super-resolution for people who use fastai: one call that works, notebooks that teach."""

__version__ = "0.1.0"

from importlib import import_module
from importlib.util import find_spec

# Every public name and the module it lives in. Nothing below is imported until it is asked for.
_MODULE_OF = {
    "upscale": "inference.upscaler",
    "Upscaler": "inference.upscaler",
    "imresize": "images.resize",
    "Degradation": "images.degrade",
    "crappify": "images.degrade",
    "psnr": "images.metrics",
    "ssim": "images.metrics",
    "ms_ssim": "images.metrics",
    "mse": "images.metrics",
    "l1": "images.metrics",
    "list_generators": "networks.zoo",
    "create_generator": "networks.zoo",
    "train": "training.trainer",
    "evaluate": "evaluation.measure",
    "benchmark": "evaluation.benchmark",
    "show_comparison": "display.compare",
    "before_after": "display.compare",
    "save_strip": "display.compare",
    "list_weights": "networks.weights",
    "load_generator": "networks.weights",
    "read_img": "images.read",
    "Picture": "images.sixteen",
    "write_img": "images.write",
    "widget": "display.widget",
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
