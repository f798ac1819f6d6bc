"""Files of networks that srfast does not know, read by spandrel: enlarged as the network itself would, measured, refused."""
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from skimage import data

from srfast import upscale
from srfast.networks.backbones import import_torchvision
from srfast.core import WeightsError
from srfast.evaluation.benchmark import benchmark
from srfast.evaluation.measure import evaluate
from srfast.evaluation.models import serves
from srfast.networks import external, models
from test_cli import srfast

PAGE = np.ascontiguousarray(data.astronaut()[40:76, 180:226])


@pytest.fixture(scope="module")
def networks():
    """Small ones of four kinds: plain, residual with its tensors named in two ways, attention in windows, a U-Net."""
    import_torchvision()
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN
    from spandrel.architectures.RealCUGAN import UpCunet2x
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    windows = dict(img_size=16, window_size=8, depths=[2], embed_dim=12, num_heads=[2], mlp_ratio=2, upsampler="pixelshuffledirect")
    nets = {
        "compact": (Compact(num_in_ch=3, num_out_ch=3, num_feat=16, num_conv=4, upscale=4), 4),
        "esrgan": (ESRGAN(num_filters=16, num_blocks=2, scale=4), 4),
        "swinir": (SwinIR(upscale=2, **windows), 2),
        "cugan": (UpCunet2x(), 2),
    }
    return {name: (net.eval(), scale) for name, (net, scale) in nets.items()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "srfast" / "overlaps"


@pytest.fixture
def saved(networks, tmp_path):
    """Writes the tensors of a network to a file; its path."""

    def save(name: str, kind: str):
        path, state = tmp_path / f"{name}.{kind}", {k: v.contiguous() for k, v in networks[name][0].state_dict().items()}
        save_file(state, path) if kind == "safetensors" else torch.save({"params_ema": state}, path)
        return path

    return save


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
@pytest.mark.parametrize("name", ["compact", "esrgan", "swinir", "cugan"])
def test_upscale_gives_what_the_network_gives(networks, saved, name, kind):
    net, scale = networks[name]
    with torch.inference_mode():
        own = net(torch.from_numpy(PAGE).permute(2, 0, 1)[None] / 255)
    own = (own[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    enlarged = upscale(PAGE, scale, model=saved(name, kind), tile=None)
    assert enlarged.shape == own.shape
    assert np.abs(enlarged - own).max() <= 1  # another layout of memory rounds otherwise


def test_files_are_measured_by_name_and_scale(saved):
    path, crops = saved("compact", "safetensors"), {"crop": np.ascontiguousarray(data.coffee()[:96, :96])}
    assert (serves(path, 4), serves(path, 2)) == (True, False)
    means = evaluate(path, crops, 4, baselines=["bicubic"]).means.set_index("model")
    assert means.psnr_y["compact"] < means.psnr_y["bicubic"]  # it has learned nothing
    with pytest.raises(WeightsError, match="expected weights for x2, got weights for x4"):
        evaluate(path, crops, 2)


def test_a_file_is_loaded_once(saved, tmp_path, monkeypatch):
    """By a benchmark of two sets and two scales, by an evaluation and by an upscale."""
    path, loaded = saved("compact", "safetensors"), []
    load = models.load_external
    monkeypatch.setattr(models, "load_external", lambda model: loaded.append(model) or load(model))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(data.coffee()[:96, :96])).save(tmp_path / name / "crop.png")
    benchmark([path, "fast"], ("a", "b"), (2, 4), data=tmp_path)
    evaluate(path, tmp_path / "a", 4)
    assert upscale(PAGE, 4, model=path).shape[0] == 4 * len(PAGE)
    assert len(loaded) == 1


def counted(monkeypatch):
    """The calls of the function that measures, and of the one that tries channels and sizes."""
    calls = []
    for name in ("_measure_overlap", "_probe"):
        whole = getattr(external, name)
        monkeypatch.setattr(external, name, lambda *args, name=name, whole=whole: calls.append(name) or whole(*args))
    return calls


def test_a_file_is_measured_once_and_says_so(saved, cache, monkeypatch, capsys):
    calls, path = counted(monkeypatch), saved("compact", "pth")
    first = external.load_external(path).spec
    assert "compact.pth: measuring how far the network sees, once for this file" in capsys.readouterr().err
    other = path.rename(path.with_name("renamed.pth"))  # its content counts
    assert external.load_external(other).spec == first and calls == ["_measure_overlap"]
    assert capsys.readouterr().err == "" and len(list(cache.iterdir())) == 1
    next(cache.iterdir()).write_text('{"overlap": "far"}')
    assert external.load_external(other).spec == first and calls == ["_measure_overlap"] * 2


def test_a_network_of_the_table_is_not_measured(saved, monkeypatch):
    calls = counted(monkeypatch)
    assert external.load_external(saved("swinir", "pth")).spec.overlap == 64 and not calls


def test_a_cache_that_cannot_be_written_only_costs_time(saved, cache, monkeypatch):
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file where the folder should be")
    assert external.load_external(saved("compact", "pth")).spec.overlap > 0


def test_unknown_tensors_are_refused(tmp_path):
    save_file({"unheard.of": torch.zeros(2)}, path := tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="neither srfast nor spandrel knows"):
        upscale(PAGE, model=path)


def test_without_spandrel_it_says_what_to_install(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(WeightsError, match=r"install spandrel: pip install 'srfast\[foreign\]'"):
        upscale(PAGE, model=saved("esrgan", "pth"))


def test_command_line_takes_files_of_others(saved, tmp_path):
    Image.fromarray(PAGE).save(tmp_path / "page.png")
    told = srfast(tmp_path, "upscale", "page.png", "--model", str(saved("esrgan", "pth")), "-o", "large.png")
    assert told.returncode == 0, told.stderr
    assert Image.open(tmp_path / "large.png").size == (4 * PAGE.shape[1], 4 * PAGE.shape[0])
