"""Measure and compare models."""
from .models import load_models as load_models
from .costs import cpu_times as cpu_times
from .costs import multiply_adds as multiply_adds
from .results import Results as Results
from .results import lineage as lineage
from .results import read_history as read_history
from .results import read_results as read_results
from .results import record as record
from .measure import evaluate as evaluate
from .measure import evaluate_pair as evaluate_pair
from .measure import measure as measure
from . import benchmark as benchmark
from . import costs as costs
from . import models as models
from . import results as results
