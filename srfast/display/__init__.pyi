"""Compare images and upscale them inside a notebook."""
from .compare import BeforeAfter as BeforeAfter
from .compare import before_after as before_after
from .compare import save_strip as save_strip
from .compare import show_comparison as show_comparison
from .widget import widget as widget
from . import compare as compare
