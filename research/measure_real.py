#!/usr/bin/env python
"""Measure `photo`, `photo_real`, `fast` and `detail` on degraded images and on print. $SRFAST_DATA names the folder with Kodak24.

real: Y-PSNR of bicubic, `photo`, `photo_real` and `auto` on Kodak24, clean and degraded in nine ways. `real_share` is the share of
images for which `auto` chose `photo_real`; it is given pixels, not files.
text: Y-PSNR of bicubic, `fast`, `photo` and the weights given by --without, on two scans of print from scikit-image, on 24 synthetic
pages that no training used, and on Kodak24.
detail: Y-PSNR, LPIPS (SqueezeNet) and the round trip for six values of `detail`. The round trip is the mean difference in grey
levels between the downscaled result and the input.
"""
import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from skimage import data

from srfast.data.pairs import make_pair
from srfast.images.degrade import Degradation
from srfast.data.synthetic import draw_page
from srfast.evaluation.measure import evaluate
from srfast.evaluation.results import record
from srfast.inference.upscaler import AUTO, Upscaler, choose_model
from srfast.evaluation.benchmark import find_benchmark, load_set
from srfast.training.recipes import UNKNOWN
from srfast.images.resize import imresize

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"
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
    pairs = load_set(find_benchmark("Kodak24"), scale)
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


def text(scale: int, without: str | None) -> pd.DataFrame:
    scans = {name: np.stack([getattr(data, name)()] * 3, -1) for name in ("page", "text")}
    drawn = {f"page {seed}": draw_page(seed=seed) for seed in range(1000, 1024)}
    models, rows = {"fast": "fast", "photo": "photo"} | ({"without pages": without} if without else {}), []
    kinds = {kind: {name: make_pair(img, scale) for name, img in imgs.items()} for kind, imgs in (("scanned", scans), ("drawn", drawn))}
    for kind, pairs in (kinds | {"photographs": spoil(scale, None)}).items():
        means = evaluate(models, pairs, scale, ["psnr_y"], baselines=["bicubic"], progress=False).means
        rows += [dict(scale=scale, pictures=kind, model=m, psnr_y=p) for m, p in zip(means.model, means.psnr_y)]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "text", "detail"))
    parser.add_argument("scales", nargs="+", type=int)
    parser.add_argument("--without", help="for text: other weights to measure, a file or run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for scale in args.scales:
        table = {"real": real, "text": partial(text, without=args.without), "detail": detail}[args.what](scale)
        record(table, RESULTS / f"{args.what}_x{scale}.csv")


if __name__ == "__main__":
    main()
