"""The networks that upscale, one module a paper."""
from . import dcgan as dcgan
from . import drcn as drcn
from . import house as house
from . import srcnn as srcnn
from . import srresnet as srresnet
from . import unet as unet
from . import vdsr as vdsr
