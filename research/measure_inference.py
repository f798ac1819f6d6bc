#!/usr/bin/env python
"""Measure the options of `upscale` on images whose originals are known. $SRFAST_DATA names the folder that has them.

kodak24: PSNR in float32, in bfloat16, and in bfloat16 with `ensemble` and `consistent`; how well trust ranks the error.
bf16: the first two of these.
consistent: the difference between the downscaled result and the input, with and without `consistent=True`, on every test image.
Where it is more than one level, two bounds by linear programmes: `proven_worst`, below which no result gets, by the six worst
places; `proven_share`, how many of the values that are off (of 40 sampled) lie in a 9 x 9 patch that no result matches.
views: PSNR and processor time (256 x 256, one thread) of `photo` with one view and two, with back-projection and without.
onnx: the same model in torch and in ONNX Runtime on Set14 and Kodak24 (PSNR, largest difference in levels), and processor time
(256 x 256, one thread, in turns) of torch in float32 and bfloat16 and of ONNX Runtime.
record: writes what bfloat16 changes, by the tables of kodak24 and bf16, into the bundled weights; `precision="auto"` uses it.
"""
import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.optimize import linprog

from srfast.evaluation.costs import cpu_times
from srfast.evaluation.measure import evaluate, evaluate_pair
from srfast.evaluation.results import record
from srfast.evaluation.benchmark import find_benchmark, load_set
from srfast.images.read import read_img
from srfast.inference.upscaler import Upscaler
from srfast.images.resize import imresize, resize_matrix
from srfast.inference.export import export_onnx
from srfast.networks.onnx import load_onnx
from srfast.networks.weights import add_bundled, find_weights, list_weights, load_generator

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"
KINDS = {"float32": dict(precision="float32"), "bf16": {}, "ensemble": dict(ensemble=True), "consistent": dict(consistent=True)}


def psnr(sr, hr, scale): return evaluate_pair(sr, hr, scale)["psnr_y"]


def misses(sr, lr_img):
    """By how many grey levels each value of the shrunk result is off."""
    return np.abs(imresize(sr, size=lr_img.shape[:2]).astype(int) - lr_img)


def spearman(x, y):
    """Correlation of ranks; ties share their mean rank."""
    return pd.Series(x.ravel()).corr(pd.Series(y.ravel()), method="spearman")


def bf16(model: str, scale: int) -> pd.DataFrame:
    return kodak24(model, scale, ("float32", "bf16"))


def kodak24(model: str, scale: int, kinds: tuple[str, ...] = tuple(KINDS)) -> pd.DataFrame:
    upscalers, rows = {kind: Upscaler(model, **{"precision": "bf16"} | KINDS[kind]) for kind in kinds}, []
    for name, pair in load_set(find_benchmark("Kodak24"), scale).items():
        row = {"model": model, "scale": scale, "picture": name}
        for kind, upscaler in upscalers.items():
            sr = upscaler(pair.lr_img, scale, return_trust=kind == "ensemble")
            if kind == "ensemble":
                sr, trust = sr
                row |= {"spearman": spearman(1 - trust, np.abs(sr.astype(float) - pair.hr).mean(-1)), "mean_trust": trust.mean()}
            row[f"psnr_{kind}"] = psnr(sr, pair.hr, scale)
        rows.append(row)
    return pd.DataFrame(rows)


def views(model: str, scale: int) -> pd.DataFrame:
    wanted = {f"{n} {kind}": (n, kind == "back") for n in (1, 2) for kind in ("alone", "back")}
    nets = {name: load_generator(model, scale).to(memory_format=torch.channels_last) for name in wanted}
    for name, net in nets.items():
        net.views, back = wanted[name]
        net.back = net.back if back else None
    ms, rows = cpu_times(nets), []
    for name in ("Set5", "Set14", "Kodak24"):
        means = evaluate(nets, load_set(find_benchmark(name), scale), scale, ["psnr_y"], baselines=[], progress=False).means
        for kind, psnr in zip(means.model, means.psnr_y):
            n, back = wanted[kind]
            rows.append(dict(model=model, scale=scale, set=name, views=n, backproject=back, ms=ms[kind], psnr_y=psnr))
    return pd.DataFrame(rows)


def test_pictures(scale: int):
    """(set, name, small picture, original or None) of all there are."""
    for name in ("Set5", "Set14", "Kodak24"):
        for picture, pair in load_set(find_benchmark(name), scale).items(): yield name, picture, pair.lr_img, pair.hr
    for file in sorted((Path(os.environ["SRFAST_DATA"]) / "real").iterdir()):
        yield "real", file.name, np.asarray(read_img(file).convert("RGB")), None
    rng = np.random.default_rng(0)
    yield "noise", "64 to 191", rng.integers(64, 192, (100, 120, 3), np.uint8), None
    yield "noise", "0 to 255", rng.integers(0, 256, (100, 120, 3), np.uint8), None
    for value in (0, 1, 128, 254, 255): yield "flat", str(value), np.full((40, 50, 3), value, np.uint8), None


def least_miss(plane, shape, y: int, x: int, radius: int = 4) -> float:
    """How near, in levels, a picture of `shape` can come to the values of `plane` round (y, x) when shrunk, before the last rounding.

    Values are free from black to white. After the first side they may be rounded either way, and clipping is
    loosened to what lies between its curve and the chords of it: what cannot be had so, cannot be had.
    """
    sides, parts = [slice(max(i - radius, 0), i + radius + 1) for i in (y, x)], []
    for n_small, n_large, side in zip(plane.shape, shape, sides):
        matrix = resize_matrix(n_large, n_small).numpy()[side]
        parts.append(matrix[:, matrix.any(0)])
    (down, across), wanted = parts, plane[tuple(sides)].ravel() / 255
    low = np.repeat(np.minimum(down, 0).sum(1), across.shape[1])[:, None]
    first = sparse.kron(down, sparse.eye(across.shape[1])).tocsr() / (1 - low)
    last, same, half = sparse.kron(sparse.eye(len(down)), across).tocsr(), sparse.eye(len(low)), np.full(len(low), 0.5 / 255)
    above, below, miss = wanted < 1, wanted > 0, -np.ones((len(wanted), 1))
    rows = sparse.bmat([[-first, same, None], [first, -same, None], [None, last[above], miss[above]], [None, -last[below], miss[below]]])
    limits = np.r_[-(low / (1 - low))[:, 0] + half, half, wanted[above], -wanted[below]]
    free = first.shape[1] + len(low)
    return linprog(np.eye(free + 1)[-1], rows.tocsc(), limits, bounds=[(0, 1)] * free + [(0, None)], method="highs-ipm").fun * 255


def proven(off, lr_img, shape) -> dict:
    """What no picture of `shape` can do better, where values of `lr_img` are more than one level `off`."""
    far = np.argwhere(off > 1)
    if not len(far): return {}
    left, places = off.copy(), []
    for _ in range(6):
        places.append(np.unravel_index(left.argmax(), left.shape))
        left[tuple(slice(max(i - 4, 0), i + 5) for i in places[-1][:2])] = 0
    def least(places): return np.array([least_miss(lr_img[..., c], shape, y, x) for y, x, c in places])
    drawn = np.random.default_rng(0).permutation(far)[:40]
    return {"proven_worst": np.ceil(least(places).max() - 0.5), "proven_share": (least(drawn) > 1.5).mean()}


def consistent(model: str, scale: int) -> pd.DataFrame:
    upscalers, rows = {"plain": Upscaler(model), "consistent": Upscaler(model, consistent=True)}, []
    for set_name, name, lr_img, hr in test_pictures(scale):
        row = {"model": model, "scale": scale, "set": set_name, "picture": name}
        for kind, upscaler in upscalers.items():
            sr = upscaler(lr_img, scale)
            off = misses(sr, lr_img)
            row |= {f"worst_{kind}": off.max(), f"beyond_1_{kind}": (off > 1).mean()}
            row[f"psnr_{kind}"] = None if hr is None else psnr(sr, hr, scale)
        row |= proven(off, lr_img, sr.shape[:2])
        rows.append(row)
    return pd.DataFrame(rows)


def in_bf16(net):
    def call(imgs):
        with torch.autocast("cpu", torch.bfloat16): return net(imgs)
    return call


def onnx(model: str, scale: int) -> pd.DataFrame:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = export_onnx(model, Path(folder) / "model.onnx", scale, half=True)
        net = load_generator(model, scale).to(memory_format=torch.channels_last)
        ms = cpu_times({"float32": net, "bf16": in_bf16(net), "onnx": load_onnx(file)})
        upscalers = {"float32": Upscaler(model, precision="float32"), "onnx": Upscaler(file)}
        for name in ("Set14", "Kodak24"):
            for picture, pair in load_set(find_benchmark(name), scale).items():
                results = {kind: upscaler(pair.lr_img, scale) for kind, upscaler in upscalers.items()}
                worst = np.abs(results["float32"].astype(int) - results["onnx"]).max()
                row = {"model": model, "scale": scale, "set": name, "picture": picture, "largest_difference": worst}
                row |= {f"psnr_{kind}": psnr(sr, pair.hr, scale) for kind, sr in results.items()}
                rows.append(row | {f"ms_{kind}": value for kind, value in ms.items()})
    return pd.DataFrame(rows)


def store_change(model: str) -> None:
    files = [RESULTS / f"inference_{what}.csv" for what in ("kodak24", "bf16")]
    table = pd.concat([pd.read_csv(file) for file in files if file.exists()]).query("model == @model")
    changes = (table.psnr_bf16 - table.psnr_float32).groupby(table.scale).mean()
    for scale, change in changes.items():
        print(add_bundled(find_weights(model, scale), model, metadata={"bf16_psnr_change": round(change, 4)}).name, f"{change:+.4f} dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kodak24", "bf16", "views", "consistent", "onnx", "record"))
    parser.add_argument("--model", nargs="+", default=["photo"], help="bundled names, run folders or weights files")
    parser.add_argument("--scale", nargs="+", type=int, default=[2, 3, 4])
    parser.add_argument("-o", "--out", type=Path, help="default: data/results/tables/inference_WHAT.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "record": return [store_change(model) for model in args.model]
    tables = []
    for model, scale in ((m, s) for m in args.model for s in args.scale if s in list_weights().get(m, [s])):
        measure = {"kodak24": kodak24, "bf16": bf16, "views": views, "consistent": consistent, "onnx": onnx}[args.what]
        tables.append(measure(model, scale))
        table = pd.concat(tables, ignore_index=True)
        record(table, args.out or RESULTS / f"inference_{args.what}.csv")
    groups = {"consistent": ["set", "scale"], "views": ["set", "scale", "views", "backproject"], "onnx": ["model", "scale"]}
    print(table.groupby(groups.get(args.what, ["scale"])).mean(numeric_only=True).round(4).to_string())


if __name__ == "__main__": main()
