"""Super-resolution for people who use fastai: one call that works, notebooks that teach."""

__version__ = "0.1.0"

from srfast._lazy import attach

# The public names stand in __init__.pyi, with the modules they live in. Nothing is imported until it is asked for.
__getattr__, __dir__, __all__ = attach(__name__, __file__)
