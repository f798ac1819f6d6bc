"""What `import srfast` gives, and what it does not load."""
import subprocess
import sys

import pytest

import srfast


def run_python(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", "import srfast"], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "srfast" in loaded
    assert not loaded & {"torch", "fastai", "numpy", "PIL"}


def test_version_is_that_of_the_settings():
    from configparser import ConfigParser
    from pathlib import Path
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(Path(__file__).parents[1] / "settings.ini", encoding="utf-8")
    assert srfast.__version__ == parser["DEFAULT"]["version"]


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="module 'srfast' has no attribute 'upscalr'"): srfast.upscalr
    assert not hasattr(srfast, "_nothing")
    with pytest.raises(ImportError): exec("from srfast import upscalr")


@pytest.mark.parametrize("name", srfast.__all__)
def test_every_public_name_resolves(name):
    assert getattr(srfast, name).__name__ == name
    assert name in dir(srfast)


def test_submodules_load_on_demand():
    code = "import sys, srfast; before = 'srfast.images.resize' in sys.modules; print(before, srfast.images.resize.__name__)"
    assert run_python(code).split() == ["False", "srfast.images.resize"]


def test_help_is_light():
    code = """
import sys
from srfast.cli import main
sys.argv = ["srfast", "--help"]
try: main()
except SystemExit as end: assert not end.code, end.code
print("loaded:", *sorted({"torch", "fastai"} & set(sys.modules)))
"""
    assert run_python(code).splitlines()[-1].strip() == "loaded:"


def test_evaluation_does_without_fastai():
    code = """
import sys
for name in ("fastai", "torchvision", "matplotlib", "skimage"): sys.modules[name] = None
import numpy as np, srfast
img = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
print(*srfast.evaluate([], {"noise": img}, 2, "all").means.model, srfast.evaluation.benchmark.benchmark.__name__)
"""
    assert run_python(code).split() == ["nearest", "bilinear", "bicubic", "lanczos3", "fourier", "unsharp", "benchmark"]


MODULES = """
import importlib, pkgutil, srfast
names = [module.name for module in pkgutil.walk_packages(srfast.__path__, "srfast.") if not module.name.endswith(("_modidx", "__main__"))]
def load(): return [importlib.import_module(name) for name in names]
"""


def test_importing_registers_nothing_for_forks():
    code = MODULES + """
import os, sys
asked, register = [], os.register_at_fork
def noted(**kwargs):
    asked.append(sys._getframe(1).f_globals.get("__name__", ""))
    register(**kwargs)
os.register_at_fork = noted
load()
print([name for name in asked if name.split(".")[0] == "srfast"])
"""
    assert run_python(code) == "[]\n"


def test_importing_changes_nothing_in_the_process():
    code = MODULES + """
import os, random, signal, sys, warnings
from srfast.networks.backbones import import_torchvision
import_torchvision()
import fasthtml.common, fastai.vision.all, filelock, matplotlib.pyplot, numpy as np, PIL.Image, skimage, torch, tqdm, typer, uvicorn
def state():
    torch_random, numpy_random = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    return dict(torch_random=torch_random, numpy_random=numpy_random, random=random.getstate(), threads=torch.get_num_threads(),
        filters=list(warnings.filters), limit=PIL.Image.MAX_IMAGE_PIXELS, environment=dict(os.environ), path=list(sys.path),
        signals=[signal.getsignal(number) for number in signal.valid_signals()], hook=sys.excepthook, grad=torch.is_grad_enabled(),
        type=torch.get_default_dtype(), heif="HEIF" in PIL.Image.OPEN, backend=matplotlib.get_backend())
before = state()
load()
print([name for name, value in state().items() if value != before[name]])
"""
    assert run_python(code) == "[]\n"

