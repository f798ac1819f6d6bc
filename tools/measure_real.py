#!/usr/bin/env python
"""Measure the weights for real photographs and the slider for detail on Kodak24; $SRFAST_DATA says where it is.

real: Y-PSNR by the protocol of bicubic, `photo`, `photo_real` and `auto`, on small pictures made clean, and spoiled in known ways.
`real_share` is the share of pictures for which `auto` took `photo_real`; it sees pixels, no files.
detail: Y-PSNR, LPIPS (SqueezeNet) and the round trip, how far shrunk results are from the input in grey levels, along the slider.
"""
import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from srfast.data import make_pair
from srfast.degrade import Degradation
from srfast.evaluation import evaluate, save_results
from srfast.inference import AUTO, Upscaler, choose_model
from srfast.protocol import find_set, load_set
from srfast.recipes import UNKNOWN
from srfast.resize import imresize

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results"
SPOILED = {
    "clean": None,
    "noise 5, JPEG 40": Degradation(noise=5, jpeg=40),
    "noise 5": Degradation(noise=5),
    "noise 10": Degradation(noise=10),
    "JPEG 40": Degradation(jpeg=40),
    "JPEG 75": Degradation(jpeg=75),
    "JPEG 90": Degradation(jpeg=90),
    "blur 2": Degradation(blur=2),
    "blur 3": Degradation(blur=3),
    "unknown": UNKNOWN,
}


def spoil(scale: int, degradation: Degradation | None) -> dict:
    """Kodak24 by the protocol, its small pictures spoiled."""
    pairs = load_set(find_set("Kodak24"), scale)
    return {name: make_pair(p.hr, scale, degradation, i) if degradation else p for i, (name, p) in enumerate(pairs.items())}


def real(scale: int) -> pd.DataFrame:
    upscalers = {name: Upscaler(name) for name in (*AUTO, "auto")}
    models = {name: lambda imgs, upscaler=upscaler: upscaler(imgs, scale) for name, upscaler in upscalers.items()}
    rows = []
    for name, degradation in SPOILED.items():
        pairs = spoil(scale, degradation)
        means = evaluate(models, pairs, scale, ["psnr_y"], baselines=["bicubic"], progress=False).means
        share = np.mean([choose_model(pair.lr_img) == AUTO[1] for pair in pairs.values()])
        rows += [dict(scale=scale, spoiled=name, model=m, psnr_y=p, real_share=share) for m, p in zip(means.model, means.psnr_y)]
        print(means[["model", "psnr_y"]].assign(spoiled=name, share=share).to_string(index=False, header=False), flush=True)
    return pd.DataFrame(rows)


def detail(scale: int) -> pd.DataFrame:
    pairs, rows = spoil(scale, None), []
    for share in np.linspace(0, 1, 6).round(1).tolist():
        upscaler = Upscaler("photo", detail=share)
        model = {"photo": lambda imgs, upscaler=upscaler: upscaler(imgs, scale)}
        means = evaluate(model, pairs, scale, ["psnr_y", "lpips"], baselines=[], progress=False).means
        back = [np.abs(imresize(upscaler(p.lr_img, scale), 1 / scale).astype(float) - p.lr_img).mean() for p in pairs.values()]
        rows.append(dict(scale=scale, detail=share, psnr_y=means.psnr_y[0], lpips=means.lpips[0], round_trip=np.mean(back)))
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "detail"))
    parser.add_argument("scales", nargs="+", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for scale in args.scales:
        table = {"real": real, "detail": detail}[args.what](scale)
        save_results(table, RESULTS / f"{args.what}_x{scale}.csv", command=shlex.join(["python", *sys.argv]))


if __name__ == "__main__":
    main()
