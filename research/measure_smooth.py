#!/usr/bin/env python
"""Measure PSNR and sharpness of SRCNN with a smoothness term, for each weight and image, applied once, twice and three times.

    python research/measure_smooth.py 0=runs/srcnn_smooth_0 0.001=runs/t91_srcnn_smooth -o data/results/tables/smooth.csv
"""
import argparse
from pathlib import Path

import pandas as pd
import torch

from srfast.core import rgb_to_y, to_tensor
from srfast.evaluation.measure import evaluate_pair
from srfast.evaluation.models import predict
from srfast.evaluation.results import record
from srfast.evaluation.benchmark import find_benchmark, load_set
from srfast.images.resize import imresize
from srfast.networks.weights import load_generator


def roughness(img) -> float:
    """Mean squared difference between neighbours in luminance."""
    y = rgb_to_y(to_tensor(img))
    return (y.diff(dim=-1).square().mean() + y.diff(dim=-2).square().mean()).item()


def enlarged(net, img, times: int):
    """`img` through `net`, `times` times over; bicubic where there is no network."""
    for _ in range(times):
        img = imresize(img, 2) if net is None else predict(net, img, 2)
    return img


def measure(weight: str, net, set_name: str, times: int) -> list:
    """A row a picture; `sharpness` is the result's roughness over the original's."""
    scale, rows = 2**times, []
    for picture, pair in load_set(find_benchmark(set_name), scale).items():
        sr = enlarged(net, pair.lr_img, times)
        row = dict(weight=weight, set=set_name, scale=scale, picture=picture, psnr_y=evaluate_pair(sr, pair.hr, scale)["psnr_y"])
        rows.append(row | {"sharpness": roughness(sr) / roughness(pair.hr)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="WEIGHT=RUN", help="weight of the smoothness term, and the run trained with it")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Kodak24"], help="names under $SRFAST_DATA/benchmark")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    nets = {"bicubic": None} | {weight: load_generator(run) for weight, run in (text.split("=", 1) for text in args.runs)}
    rows = [row for weight, net in nets.items() for name in args.sets for times in (1, 2, 3) for row in measure(weight, net, name, times)]
    table = pd.DataFrame(rows)
    record(table, args.out)
    print(table.groupby(["weight", "set", "scale"], sort=False)[["psnr_y", "sharpness"]].mean().round(3))


if __name__ == "__main__":
    main()
