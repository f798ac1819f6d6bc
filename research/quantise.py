#!/usr/bin/env python
"""Quantise a model to 8 bits and say whether that is worth it.

    python research/quantise.py photo fast --scale 4

ONNX Runtime's static quantisation (weights by channel, signed 8 bits; activations unsigned 8 bits), calibrated on patches of the training
images in $SRFAST_DATA/train. Written to data/results/tables/int8.csv: PSNR on Kodak24 in float32 and in 8 bits, and processor time
(256 x 256, one thread, in turns) of ONNX Runtime in both and of torch in bfloat16. A quantised model is worth shipping if it loses less
than .05 dB and is at least 1.5 times faster than bfloat16.
"""
import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure_inference import in_bf16, psnr
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from srfast.core import to_tensor
from srfast.data import find_pictures
from srfast.evaluation.benchmark import find_benchmark, load_set
from srfast.evaluation.costs import cpu_times
from srfast.evaluation.results import record
from srfast.images.read import read_img
from srfast.images.resize import imresize
from srfast.inference.export import export_onnx
from srfast.inference.upscaler import Upscaler
from srfast.networks.onnx import load_onnx
from srfast.networks.weights import load_generator

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"


class Patches(CalibrationDataReader):
    """Patches of 64 x 64 of downscaled training images."""

    def __init__(self, scale: int, count: int = 48):
        rng, files = np.random.default_rng(0), find_pictures(Path(os.environ["SRFAST_DATA"]) / "train")
        self.patches = iter(self.patch(files[i], scale, rng) for i in rng.permutation(len(files))[:count])

    def patch(self, file: Path, scale: int, rng) -> dict:
        img = imresize(np.asarray(read_img(file).convert("RGB")), 1 / scale)
        y, x = (rng.integers(0, max(1, side - 64)) for side in img.shape[:2])
        return {"lr_imgs": to_tensor(img[y : y + 64, x : x + 64]).numpy()}

    def get_next(self): return next(self.patches, None)


def quantised(model: str, scale: int, folder: Path) -> tuple[Path, Path]:
    """Return a model as ONNX files in float32 and in 8 bits."""
    full, prepared, small = (folder / name for name in ("full.onnx", "prepared.onnx", "int8.onnx"))
    export_onnx(model, full, scale)
    quant_pre_process(full, prepared, skip_symbolic_shape=True)
    kinds = dict(weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8, per_channel=True, quant_format=QuantFormat.QDQ)
    quantize_static(prepared, small, Patches(scale), op_types_to_quantize=["Conv"], **kinds)
    return full, small


def measure(model: str, scale: int, folder: Path) -> dict:
    full, small = quantised(model, scale, folder)
    net = load_generator(model, scale).to(memory_format=torch.channels_last)
    ms = cpu_times({"float32": load_onnx(full), "int8": load_onnx(small), "bf16": in_bf16(net)})
    pairs = load_set(find_benchmark("Kodak24"), scale).values()
    means = {}
    for kind, file in (("float32", full), ("int8", small)):
        upscaler = Upscaler(file)
        means[kind] = np.mean([psnr(upscaler(pair.lr_img, scale), pair.hr, scale) for pair in pairs])
    row = {"model": model, "scale": scale, "set": "Kodak24"} | {f"psnr_{kind}": value for kind, value in means.items()}
    row |= {f"ms_{kind}": value for kind, value in ms.items()}
    return row | {"loss": means["float32"] - means["int8"], "faster_than_bf16": ms["bf16"] / ms["int8"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="bundled names, run folders or weights files")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("-o", "--out", type=Path, default=RESULTS / "int8.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder: rows.append(measure(model, args.scale, Path(folder)))
    table = pd.DataFrame(rows)
    record(table, args.out)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__": main()
