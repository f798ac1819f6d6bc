"""What `import srfast` gives, and what it does not load."""
import subprocess
import sys

import pytest
import torch

import srfast
from srfast.networks import create_generator, save_weights


def run_python(code: str, *options: str) -> str:
    """What `code` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", "import srfast"], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "srfast" in loaded
    assert not loaded & {"torch", "fastai", "numpy", "PIL"}


def test_import_takes_under_50_ms_and_warns_of_nothing():
    code = "import time; start = time.process_time(); import srfast; print(time.process_time() - start)"
    assert float(run_python(code)) < 0.05
    run_python("import srfast", "-W", "error")


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="module 'srfast' has no attribute 'upscalr'"): srfast.upscalr
    assert not hasattr(srfast, "_nothing")
    with pytest.raises(ImportError): exec("from srfast import upscalr")


@pytest.mark.parametrize("name", srfast.__all__)
def test_every_public_name_resolves(name):
    assert getattr(srfast, name).__name__ == name
    assert name in dir(srfast)


def test_dir_lists_public_names_and_packages_only():
    names = [name for name in dir(srfast) if not name.startswith("__")]
    assert set(names) >= {*srfast.__all__, "images", "training"} and not {"attach", "_lazy"} & set(names)


def test_star_import_gives_no_modules():
    names = run_python("import types; from srfast import *; print(*[n for n, v in globals().items() if isinstance(v, types.ModuleType)])")
    assert names.split() == ["__builtins__", "types"]


WITHOUT_TRAIN = """
import sys
for name in ("fastai", "torchvision", "pandas", "matplotlib", "skimage"): sys.modules[name] = None
"""


def test_a_base_install_has_every_name():
    code = WITHOUT_TRAIN + """
import inspect, io
from contextlib import redirect_stdout
from srfast import *
import srfast
from srfast.networks import create_generator, save_weights
assert not set(srfast.__all__) - set(dict(inspect.getmembers(srfast)))
with redirect_stdout(io.StringIO()) as page: help(srfast)
assert "upscale(" in page.getvalue() and "srfast[train]" in page.getvalue()
"""
    run_python(code)


@pytest.mark.parametrize("name, package", [("train", "fastai"), ("evaluate", "pandas"), ("benchmark", "pandas")])
def test_names_of_an_extra_say_which_one_when_called(name, package):
    code = WITHOUT_TRAIN + f"""
import srfast
from srfast.networks import create_generator, save_weights
try: srfast.{name}("pictures")
except ImportError as error: print(error)
"""
    assert run_python(code).strip() == f"srfast.{name} needs {package}: pip install 'srfast[train]'"


def test_an_unforeseen_missing_package_is_an_error():
    code = "import sys; sys.modules['PIL'] = None; import srfast; srfast.upscale"
    with pytest.raises(AssertionError, match="ModuleNotFoundError"): run_python(code)


def test_python_m_srfast():
    done = subprocess.run([sys.executable, "-m", "srfast", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"srfast {srfast.__version__}"


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



@pytest.mark.parametrize("name, options", [("lr_unet", {"width": 8}), ("unet", {"encoder": "resnet18"})])
def test_a_unet_upscales_without_fastai_and_torchvision(tmp_path, name, options):
    torch.manual_seed(0)
    net = create_generator(name, 2, **options).eval()
    for parameter in net.parameters():
        if parameter.shape == (1,): torch.nn.init.ones_(parameter)  # attention that does something
    save_weights(net, tmp_path / "model.safetensors", options=options)
    code = WITHOUT_TRAIN + f"""
import torch, srfast
from PIL import Image
from srfast.networks import load_generator
net = load_generator({str(tmp_path)!r})
torch.save((net.state_dict(), net(torch.linspace(0, 1, 3 * 17 * 23).view(1, 3, 17, 23))), {str(tmp_path / "out.pt")!r})
print(srfast.upscale(Image.new("RGB", (20, 30)), 2, model={str(tmp_path)!r}).size)
"""
    assert run_python(code) == "(40, 60)\n"
    state, sr = torch.load(tmp_path / "out.pt")
    assert list(state) == list(net.state_dict())
    with torch.no_grad(): assert torch.allclose(net(torch.linspace(0, 1, 3 * 17 * 23).view(1, 3, 17, 23)), sr, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name, options", [
    ("lr_unet", {}), ("unet_resnet34", {}), ("unet", {"encoder": "squeezenet1_1", "weight_norm": False, "y_range": None})])
def test_the_layers_of_a_unet_are_those_of_fastai(monkeypatch, name, options):
    theirs = create_generator(name, 4, **options).eval()
    for module in ("fastai", "fastai.layers", "fastai.vision.models.unet", "torchvision"): monkeypatch.setitem(sys.modules, module, None)
    ours, img = create_generator(name, 4, **options).eval(), torch.rand(1, 3, 9, 13)
    assert (type(theirs.net).__name__, type(ours.net).__name__) == ("HookFreeUnet", "_SkipUnet")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad(): assert torch.allclose(ours(img), theirs(img), rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoder, package", [("resnet50", "torchvision"), ("timm/resnet18", "timm")])
def test_an_encoder_that_needs_a_package_names_it(monkeypatch, encoder, package):
    for module in ("fastai", "torchvision", "timm"): monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{encoder}.* needs {package}: pip install"): create_generator("unet", 4, encoder=encoder)


@pytest.mark.parametrize("package, name", [("display", "widget")])
def test_a_function_wins_over_the_module_of_its_name(package, name):
    code = f"import srfast.{package}.{name}; from srfast.{package} import {name}; assert callable({name}) and srfast.{name} is {name}"
    subprocess.run([sys.executable, "-c", code], check=True)
