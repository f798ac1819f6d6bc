"""Models leave srfast as ONNX files, with height and width left open, and come back through ONNX Runtime."""
import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import srfast
from srfast import cli
from srfast.inference.export import export_onnx
from srfast.networks.weights import list_weights, save_weights

pytest.importorskip("onnxruntime", reason="onnxruntime, onnx and onnxscript come with the extra onnx")
pytest.importorskip("onnxscript")

MODELS = [(model, max(scales)) for model, scales in list_weights().items() if model not in ("vdsr", "srcnn_smooth")]  # as drcn and srcnn


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return export_onnx("fast", tmp_path_factory.mktemp("onnx") / "fast_x4.onnx")


def levels(a, b) -> int:
    """Return the largest difference of two images in levels."""
    assert np.asarray(a).shape == np.asarray(b).shape
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


def noise(h, w, *channels, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (h, w, *channels), dtype, endpoint=True)


@pytest.mark.parametrize("name, options", [("lr_unet", {}), ("unet_squeezenet", {"pretrained": False})])
def test_unets_export_without_hooks(name, options, tmp_path):
    torch.manual_seed(0)
    save_weights(srfast.create_generator(name, 2, **options).eval(), tmp_path / "net.safetensors", options=options)
    file = export_onnx(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    img = noise(37, 53, 3)
    assert levels(srfast.upscale(img, 2, model=file), srfast.upscale(img, 2, model=tmp_path / "net.safetensors", precision="float32")) <= 1


@pytest.mark.parametrize("model, scale", MODELS, ids=[f"{model}-x{scale}" for model, scale in MODELS])
def test_every_bundled_model_is_within_a_level(model, scale, tmp_path):
    file, img = export_onnx(model, tmp_path / "net.onnx", half=True), noise(31, 26, 3)
    expected = srfast.upscale(img, scale, model=model, tile=16, precision="float32")
    assert levels(srfast.upscale(img, scale, model=file, tile=16), expected) <= 1


@pytest.mark.parametrize("img", [
    noise(30, 31), noise(30, 31, 4), noise(30, 31, 3, dtype=np.uint16), noise(2, 3, 3), np.full((20, 20, 3), 77, np.uint8),
], ids=["grey", "alpha", "16 bits", "tiny", "flat"])
def test_kinds_of_images(img, fast):
    unit = 257 if img.dtype == np.uint16 else 1
    assert levels(srfast.upscale(img, model=fast), srfast.upscale(img, model="fast", precision="float32")) <= unit


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(20, 30, 3)).save("a.png", dpi=(300, 300))
    assert cli.run(["export", "fast", "--scale", "3", "--half"]) == 0
    assert "fast_x3.onnx" in capsys.readouterr().out
    assert cli.run(["export", "fast", "--scale", "3"]) == 2
    assert "already exists; use --force" in capsys.readouterr().err
    assert cli.run(["upscale", "a.png", "--scale", "3", "--model", "fast_x3.onnx"]) == 0
    with Image.open("a_x3.png") as img: assert (img.size, round(img.info["dpi"][0])) == ((90, 60), 900)
    assert cli.run(["upscale", "a.png", "--model", "fast_x3.onnx", "--device", "abacus", "-o", "b.png"]) == 2
    assert "expected a device of ONNX Runtime" in capsys.readouterr().err
    assert cli.run(["upscale", "a.png", "--model", "gone.onnx", "-o", "b.png"]) == 2
    assert "gone.onnx: no such file" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a_x3.png", "fast_x3.onnx"}


def test_threads_and_processes_share_a_file(fast):
    upscaler, img = srfast.Upscaler(fast), noise(40, 40, 3)
    expected, found = upscaler(img), []
    threads = [threading.Thread(target=lambda: found.append(upscaler(img))) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(found) == 4 and all(levels(one, expected) == 0 for one in found)
    again = pickle.loads(pickle.dumps(upscaler))
    assert levels(again(img), expected) == 0


def test_a_network_of_another_project(tmp_path):
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    net = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)
    file, img = export_onnx(net, tmp_path / "compact.onnx"), noise(21, 34, 3)
    assert levels(srfast.upscale(img, 2, model=file), srfast.upscale(img, 2, model=net)) <= 1
