#!/usr/bin/env python
"""Measure `merge` on synthetic bursts of Kodak24 with known shifts, turns and noise.

    python research/measure_merge.py --scale 2 -o data/results/tables/merge_x2.csv

The middle of each image is shifted by up to two LR pixels and turned by up to two degrees (spline of order 5), scaled down, noise is
added, values are rounded. The first frame has no shift. PSNR is that of luminance without 8 border pixels. `error` is the median
distance in LR pixels by which a registration misplaces pixels, over the frames of a burst.
"""
import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import affine_transform

from srfast.core import to_tensor
from srfast.evaluation.results import record
from srfast.images.metrics import psnr
from srfast.images.resize import imresize
from srfast.inference.multiframe import _places, merge
from srfast.inference.upscaler import Upscaler

MARGIN = 48  # HR pixels around the part that is seen


def shot(hr: np.ndarray, pose: tuple, scale: int, noise: float, rng) -> np.ndarray:
    """What a frame of this pose (angle, x, y) shows of `hr`, which has a margin."""
    angle, x, y = pose
    c, s, middle = math.cos(angle), math.sin(angle), (np.array(hr.shape[:2]) - 1) / 2
    matrix = np.array([[c, -s], [s, c]])  # back from the frame to `hr`: rows, columns
    shift = -np.array([y * c - x * s, x * c + y * s]) * scale
    offset = middle - matrix @ middle + shift
    moved = hr if pose == (0, 0, 0) else np.stack([affine_transform(hr[..., k], matrix, offset, order=5) for k in range(3)], -1)
    small = imresize(moved[MARGIN:-MARGIN, MARGIN:-MARGIN].clip(0, 1).astype(np.float32), 1 / scale)
    return np.rint((small + rng.normal(0, noise / 255, small.shape)).clip(0, 1) * 255).astype(np.uint8)


def quality(sr: np.ndarray, hr: np.ndarray) -> float:
    """PSNR of luminance in dB."""
    return psnr(to_tensor(sr), to_tensor(hr), y_only=True, crop_border=8).item()


def misplaced(fit, pose: tuple, h: int, w: int) -> float:
    """Median distance in LR pixels between where a fit and the truth put the pixels."""
    (x, y), (a, b, tx, ty), (angle, px, py) = _places(h, w), fit.pose, pose
    turn, across = a - math.cos(angle), b - math.sin(angle)
    return torch.hypot(turn * x - across * y + tx - px, across * x + turn * y + ty - py).median().item()


def measure(path: Path, scale: int, noise: float, counts: list, side: tuple) -> list:
    """A row for each number of frames."""
    width, height = side
    img = np.asarray(Image.open(path).convert("RGB")) / 255
    top, left = (img.shape[0] - height) // 2 - MARGIN, (img.shape[1] - width) // 2 - MARGIN
    hr = img[top:top + height + 2 * MARGIN, left:left + width + 2 * MARGIN]
    rng = np.random.default_rng(int(path.stem[-2:]))
    poses = [(0, 0, 0)] + [(math.radians(rng.uniform(-2, 2)), *rng.uniform(-2, 2, 2)) for _ in range(max(counts) - 1)]
    frames, true = [shot(hr, pose, scale, noise, rng) for pose in poses], np.rint(hr[MARGIN:-MARGIN, MARGIN:-MARGIN] * 255).astype(np.uint8)
    rows = []
    for model in ("photo", "photo_real") if noise else ("photo",):
        start = time.process_time()
        single = Upscaler(model)(frames[0], scale)
        rows.append(dict(method=model, frames=1, psnr_y=quality(single, true), seconds=time.process_time() - start))
    for count in counts:
        start = time.process_time()
        merged, fits = merge(frames[:count], scale, return_fits=True)
        seconds, used = time.process_time() - start, [(fit, pose) for fit, pose in zip(fits[1:], poses[1:]) if not fit.reason]
        errors = [misplaced(fit, pose, *frames[0].shape[:2]) for fit, pose in used]
        found = dict(used=1 + len(used), psnr_y=quality(merged, true), seconds=seconds, error=np.median(errors))
        rows.append(dict(method="merge", frames=count) | found)
    return [dict(scale=scale, noise=noise, picture=path.name, side=f"{width}x{height}") | row for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--noise", type=float, nargs="+", default=[0, 5])
    parser.add_argument("--frames", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--images", type=int, nargs="+", default=[1, 5, 15, 23], help="numbers of Kodak images")
    parser.add_argument("--size", type=int, nargs=2, default=[192, 160], help="width and height of the part")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    folder, rows = Path(os.environ["SRFAST_DATA"]) / "benchmark" / "Kodak24", []
    for number in args.images:
        for noise in args.noise:
            rows += measure(folder / f"kodim{number:02}.png", args.scale, noise, args.frames, args.size)
            print(*rows[-1].values(), flush=True)
            record(pd.DataFrame(rows), args.out)


if __name__ == "__main__":
    main()
