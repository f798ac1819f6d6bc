"""The web page and the REST service."""
from . import jobs as jobs
from . import page as page
from . import rest as rest
from . import security as security
from . import serve as serve
from . import worker as worker
from . import standalone as standalone
