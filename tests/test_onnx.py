"""The hook-free U-Nets leave Python as ONNX, with height and width left open."""
import numpy as np
import pytest
import torch

import srfast

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime, onnx and onnxscript come with the dev extra")
pytest.importorskip("onnxscript")


@pytest.mark.parametrize("name, options", [("lr_unet", {}), ("unet", {"encoder": "resnet18"})])
def test_onnx_gives_the_same_at_other_sizes(name, options, tmp_path):
    torch.manual_seed(0)
    net = srfast.create_generator(name, 2, **options).eval()
    size = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    torch.onnx.export(net, (torch.rand(1, 3, 20, 22),), tmp_path / "net.onnx", dynamo=True, dynamic_shapes=(size,), verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for h, w in ((20, 22), (37, 53)):
        lr_imgs = torch.rand(1, 3, h, w)
        (sr,) = session.run(None, {session.get_inputs()[0].name: lr_imgs.numpy()})
        with torch.no_grad(): expected = net(lr_imgs).numpy()
        assert sr.shape == (1, 3, 2 * h, 2 * w)
        assert np.abs(sr - expected).max() < 1e-4
