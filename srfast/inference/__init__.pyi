"""Upscale any image with any model."""
from .upscaler import Upscaler as Upscaler
from .upscaler import upscale as upscale
from .confidence import trust_map as trust_map
from . import confidence as confidence
from . import exact as exact
from . import tiles as tiles
from . import upscaler as upscaler
