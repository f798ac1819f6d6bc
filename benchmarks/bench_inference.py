#!/usr/bin/env python
"""Measure time and memory of `upscale` on one thread and write them to data/results/tables/bench_inference.csv.

    OMP_NUM_THREADS=1 python benchmarks/bench_inference.py

Times are processor times, the least of several turns, so that other work on the machine counts little. The roofline is the best
rate of plain 3 x 3 convolutions on this machine. The `house` networks upscale an image of 512 pixels, at once and in tiles of 256.
`tile_overhead` is the time that tiles add there; `tile_overhead_inside` is the same for a tile with neighbours on all sides.
The other networks upscale the largest image that fits `BUDGET`, at once.
"""
import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image

from srfast.core import wants_bf16
from srfast.evaluation.costs import multiply_adds
from srfast.evaluation.results import record
from srfast.images.resize import imresize
from srfast.inference.tiles import upscale_tiled
from srfast.networks.weights import list_weights, load_generator

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"
TILE, SIDE, BUDGET = 256, 512, 40e9  # pixels, pixels, floating-point operations


def least(work, turns: int) -> float:
    """Least processor seconds of `turns`, after one to warm up at a time."""
    def once():
        start = time.process_time()
        work()
        return time.process_time() - start
    return min(once() for _ in range(turns + 1))


def nhwc(x): return x.contiguous(memory_format=torch.channels_last)


def roofline(dtype, turns: int) -> float:
    """FLOP/s of a stack of 3 x 3 convolutions, the best of two widths."""
    rates = []
    for width in (48, 64):
        x, kernel = nhwc(torch.rand(1, width, 292, 292)).to(dtype), nhwc(torch.rand(width, width, 3, 3) / 1000).to(dtype)
        def stack(y=x, kernel=kernel):
            for _ in range(8): y = F.conv2d(y, kernel, padding=1)
        rates.append(8 * 2 * 9 * width**2 * 292**2 / least(stack, turns))
    return max(rates)


def noise(side: int): return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def bench_network(model: str, scale: int, bf16: bool, peak: float, turns: int) -> dict:
    """What one bundled network takes."""
    net = load_generator(model, scale).to(memory_format=torch.channels_last)
    flop = 2e9 * multiply_adds(net, scale) / (1280 * 720) * scale**2  # for one pixel of the small picture
    house = net.spec.name.startswith("house")
    side = SIDE if house else min(SIDE, int((BUDGET / flop) ** 0.5))
    def enlarging(side, tile): return least(lambda img=noise(side): upscale_tiled(net, img, tile, bf16=bf16), turns)
    def plain(side):
        lr_imgs = nhwc(torch.rand(1, 3, side, side))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16): return least(lambda: net(lr_imgs), turns)
    at_once, torch_alone = enlarging(side, None), plain(side)
    inner = TILE + 2 * net.spec.overlap if house else side
    inside = plain(inner) if house else torch_alone
    found = {"pixels_a_side": side, "gflop_per_s": flop * inner**2 / inside / 1e9, "share_of_roofline": flop * inner**2 / inside / peak,
             "against_plain_torch": at_once / torch_alone}
    usual = at_once
    if house:
        usual, quarter = enlarging(side, TILE), enlarging(side // 2, TILE)
        found |= {"tile_overhead": usual / at_once - 1, "tile_overhead_inside": inside / TILE**2 / (torch_alone / side**2) - 1,
                  "four_times_the_pixels": usual / quarter}
    return found | {"ms_per_megapixel_in": usual * 1e9 / side**2, "ms_per_megapixel_out": usual * 1e9 / (side * scale) ** 2}


def bench_bicubic(scale: int, turns: int) -> dict:
    """Milliseconds per megapixel of the result."""
    img = noise(SIDE)
    imgs, pil, size = torch.rand(1, 3, SIDE, SIDE), Image.fromarray(img), (SIDE * scale, SIDE * scale)
    ways = {"imresize": lambda: imresize(img, scale), "PIL": lambda: pil.resize(size, Image.BICUBIC),
            "torch": lambda: F.interpolate(imgs, size=size, mode="bicubic")}
    return {f"ms_per_megapixel_out_{name}": least(work, turns) * 1e9 / size[0] ** 2 for name, work in ways.items()}


CHILD = "import sys, numpy as np, resource, srfast; tile = eval(sys.argv[2]); side = int(sys.argv[1]);" \
    "srfast.upscale(np.zeros((side, side, 3), np.uint8) + np.arange(side, dtype=np.uint8)[:, None], 4, tile=tile);" \
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def child(side: int, tile: str) -> tuple[float, float]:
    """Processor seconds and greatest memory in MB of a process that enlarges one picture of `side` pixels by 4."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", CHILD, str(side), tile], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(done.stdout) / 1024


def bench(turns: int, models: list[str] | None) -> pd.DataFrame:
    rows = []
    def tell(found: dict, **which): rows.extend(which | {"what": what, "value": value} for what, value in found.items())
    for precision in ("float32", "bf16") if wants_bf16("auto", "cpu") else ("float32",):
        peak = roofline(torch.bfloat16 if precision == "bf16" else torch.float32, turns)
        tell({"gflop_per_s": peak / 1e9}, model="roofline", precision=precision)
        for model, scales in list_weights().items():
            for scale in scales if not models or model in models else ():
                tell(bench_network(model, scale, precision == "bf16", peak, turns), model=model, scale=scale, precision=precision)
    for scale in (2, 4): tell(bench_bicubic(scale, turns), model="bicubic", scale=scale)
    (start, base), (_, tiled), (_, whole) = child(16, str(TILE)), child(SIDE, str(TILE)), child(SIDE, "None")
    tell({"start_up_cpu_s": start, "memory_mb_16_pixels": base, f"memory_mb_{SIDE}_pixels_tiled": tiled,
          f"memory_mb_{SIDE}_pixels_at_once": whole}, model="photo", scale=4)
    return pd.DataFrame(rows)[["model", "scale", "precision", "what", "value"]].astype({"scale": "Int64"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2, help="turns of each measurement, after one to warm up")
    parser.add_argument("--models", nargs="+", help="bundled models; default: all")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS / "bench_inference.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = bench(args.turns, args.models)
    record(table, args.out)
    wide = table.pivot_table("value", "what", ["precision", "model", "scale"], dropna=False, sort=False).dropna(axis=1, how="all")
    print(wide.round(3).fillna("").to_string())


if __name__ == "__main__": main()
