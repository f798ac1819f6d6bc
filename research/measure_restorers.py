#!/usr/bin/env python
"""Measure restorers x4 on images of unknown history; $SRFAST_DATA says where Kodak24 and `real` are.

    python research/measure_restorers.py CACHE --models photo_real runs/new --labels former new --teacher DIR

CACHE is a folder of .npz files that `research/distill_real.py kodak` wrote: Kodak24 degraded by `BlindDegradation`, one file a seed,
with the outputs of the teacher. By default a seed has six images, and each image has two seeds. Columns of the table:
lpips: LPIPS (SqueezeNet) against the originals. psnr: RGB PSNR, no border left out.
flat: standard deviation of the error on 32 x 32 patches where the original is flat (deviation under 3 levels in each channel),
    the mean of the patch removed, in grey levels.
colour: distance of the mean colour from that of the input, grey levels, mean of the channels.
grid: energy at a period of 4 and 2 pixels against neighbouring frequencies, in parts of the originals'.
grain: on `real`, deviation of the output from itself blurred by sigma 8, in the flattest of the four corners (96 x 96 pixels),
    in parts of bicubic's; mean of the images.
seconds: CPU seconds for one of the inputs (125 x 125), float32, one thread.
With --known: LPIPS and RGB PSNR on every second image of Kodak24 and on drawn pages, clean or degraded in known ways.
"""
import argparse
import shlex
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from srfast.networks.backbones import load_lpips
from srfast.core import to_tensor
from srfast.data.pairs import find_pictures
from srfast.data.datasets import data_folder
from srfast.images.degrade import Degradation
from srfast.images.filters import gaussian_blur
from srfast.data.synthetic import draw_page
from srfast.evaluation.results import record
from srfast.images.resize import imresize
from srfast.networks.weights import load_generator

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"


def run(model, lr_img: np.ndarray) -> Tensor:
    """(1, 3, H, W) in [0, 1], rounded to grey levels as files are."""
    with torch.no_grad():
        return model(to_tensor(lr_img)).clamp(0, 1).mul(255).round().div(255)


def flat_patches(hr: Tensor, side: int = 32, most: float = 3 / 255) -> Tensor:
    """Which patches of the original are flat, (rows, columns) of bools."""
    patches = hr[0].unfold(1, side, side).unfold(2, side, side)
    return (patches.std((3, 4)) < most).all(0)


def flat_noise(sr: Tensor, hr: Tensor, side: int = 32) -> list[float]:
    """Variance of the error in each flat patch, squared grey levels."""
    error = (sr - hr)[0].unfold(1, side, side).unfold(2, side, side)
    return (error.var((3, 4)).mean(0)[flat_patches(hr)] * 255**2).tolist()


def grid(img: Tensor) -> float:
    """Energy of rows and columns at a period of 4 and of 2 pixels, against the neighbouring frequencies."""
    values, found = img[0].mean(0)[:500, :500], []
    for lines in (values, values.T):
        lines = lines - lines.mean(1, keepdim=True)
        power = torch.fft.rfft(lines * torch.hann_window(lines.shape[1])).abs().square().mean(0)
        n = lines.shape[1]
        for k in (n // 4, n // 2):
            near = torch.cat([power[k - 12 : k - 3], power[k + 4 : k + 13]])
            found.append((power[k - 1 : k + 2].mean() / near.mean()).item())
    return float(np.mean(found))


def corner(bicubic: Tensor, side: int = 96) -> tuple[slice, slice]:
    """The corner where the blurred enlargement varies least."""
    blurred = gaussian_blur(bicubic, 8)
    places = [(y, x) for y in (slice(0, side), slice(-side, None)) for x in (slice(0, side), slice(-side, None))]
    return min(places, key=lambda place: blurred[0][:, place[0], place[1]].std((1, 2)).max().item())


def grain(img: Tensor, place: tuple[slice, slice]) -> float:
    fine = img - gaussian_blur(img, 8)
    return fine[0][:, place[0], place[1]].std().item()


def measure_kodak(models: dict, cache: list[Path], lpips) -> tuple[dict, dict]:
    sums = {name: {key: [] for key in ("lpips", "psnr", "flat", "colour", "grid")} for name in models}
    originals = []
    for file in cache:
        held = np.load(file)
        for lr_img, hr_img, taught in zip(held["lr"], held["hr"], held["sr"]):
            hr = to_tensor(hr_img)
            originals.append(grid(hr))
            for name, model in models.items():
                sr = to_tensor(taught) if model is None else run(model, lr_img)
                row = sums[name]
                with torch.no_grad():
                    row["lpips"].append(lpips(sr, hr).item())
                row["psnr"].append(-10 * np.log10((sr - hr).square().mean().item()))
                row["flat"] += flat_noise(sr, hr)
                row["colour"].append((sr.mean((0, 2, 3)) - to_tensor(lr_img).mean((0, 2, 3))).abs().mean().item() * 255)
                row["grid"].append(grid(sr))
        print(file.name, {name: round(float(np.mean(row["lpips"])), 4) for name, row in sums.items()}, flush=True)
    return sums, dict(grid=float(np.mean(originals)))


def measure_grain(models: dict, folder: Path) -> dict[str, float]:
    """Of the teacher too, where `models` has it as a network."""
    parts = {name: [] for name in models}
    for file in sorted(f for f in folder.iterdir() if f.suffix in (".png", ".jpg")):
        lr_img = np.asarray(Image.open(file).convert("RGB"))
        bicubic = imresize(to_tensor(lr_img), 4).clamp(0, 1)
        place, small = corner(bicubic), 40  # LR pixels beyond the corner that a network may look at
        y, x = (slice(0, 24 + small) if p.start == 0 else slice(-24 - small, None) for p in place)
        own = tuple(slice(0, 96) if p.start == 0 else slice(-96, None) for p in place)
        lr_img = np.ascontiguousarray(lr_img[y, x])
        base = grain(imresize(to_tensor(lr_img), 4).clamp(0, 1), own)
        for name, model in models.items():
            parts[name].append(grain(run(model, lr_img), own) / base)
        print(file.name, {name: round(values[-1], 2) for name, values in parts.items()}, flush=True)
    return {name: float(np.mean(values)) for name, values in parts.items()}


def seconds(model, times: int = 2) -> float:
    lr_img = np.random.default_rng(0).integers(0, 256, (125, 125, 3), dtype=np.uint8)
    run(model, lr_img)
    found = []
    for _ in range(times):
        start = time.process_time()
        run(model, lr_img)
        found.append(time.process_time() - start)
    return min(found)


def measure_known(models: dict, lpips) -> pd.DataFrame:
    """What restoring costs where there is little or nothing to restore."""
    files = sorted(find_pictures(data_folder() / "benchmark/Kodak24"))[::2]
    sets = {"Kodak24": [np.asarray(Image.open(f).convert("RGB"))[:500, :500] for f in files]}
    sets["pages"] = [draw_page(seed=seed) for seed in range(1000, 1006)]
    ways, rows = {"clean": None, "noise 5, JPEG 40": Degradation(noise=5, jpeg=40), "JPEG 75": Degradation(jpeg=75)}, []
    for (name, imgs), (way, rule), (label, model) in product(sets.items(), ways.items(), models.items()):
        found = []
        for i, hr_img in enumerate(imgs):
            hr, sr = to_tensor(hr_img), run(model, rule(hr_img, i) if rule else imresize(hr_img, 1 / 4))
            with torch.no_grad():
                found.append((lpips(sr, hr).item(), -10 * np.log10((sr - hr).square().mean().item())))
        rows.append(dict(images=name, degraded=way, model=label) | dict(zip(("lpips", "psnr"), np.mean(found, 0).round(4).tolist())))
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--labels", nargs="+", required=True)
    parser.add_argument("--teacher", type=Path, help="folder of its files; without it no grain and no seconds of the teacher")
    parser.add_argument("--known", action="store_true", help="on images degraded in known ways instead; CACHE is not read")
    parser.add_argument("--out", default="restorers_x4")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = {"bicubic": lambda imgs: imresize(imgs, 4)}
    networks |= {label: load_generator(model, 4) for label, model in zip(args.labels, args.models, strict=True)}
    if args.known:
        table = measure_known(networks, load_lpips(download=False))
        record(table, RESULTS / f"{args.out}.csv", command=shlex.join(["python", *sys.argv]))
        return
    sums, original = measure_kodak(networks | {"teacher": None}, sorted(args.cache.glob("*.npz")), load_lpips(download=False))
    if args.teacher:
        from distill_real import read_ncnn

        networks["teacher"] = read_ncnn(args.teacher)
    grains = measure_grain(networks, data_folder() / "real")
    times = {name: seconds(model) for name, model in networks.items()}
    table = pd.DataFrame([
        dict(
            model=name,
            lpips=round(float(np.mean(row["lpips"])), 4),
            psnr=round(float(np.mean(row["psnr"])), 3),
            flat=round(float(np.sqrt(np.mean(row["flat"]))), 3),
            colour=round(float(np.mean(row["colour"])), 3),
            grid=round(float(np.mean(row["grid"])) / original["grid"], 3),
            grain=round(grains[name], 3) if name in grains else None,
            seconds=round(times[name], 3) if name in times else None,
        )
        for name, row in sums.items()
    ])
    print(table.to_string(index=False))
    record(table, RESULTS / f"{args.out}.csv", command=shlex.join(["python", *sys.argv]))


if __name__ == "__main__":
    main()
