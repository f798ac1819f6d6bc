#!/usr/bin/env python
"""Measure SSIM of 512 x 512 images beside that of scikit-image, on one thread: the median processor time of both in turn.

    python benchmarks/bench_metrics.py --csv data/results/tables/bench_metrics.csv

scikit-image is given bytes, for which it computes in float64, and float32, with which it is faster. Ours is given float32 in
batches of `--batch`.
"""
import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from skimage.metrics import structural_similarity

from srfast.evaluation.results import record
from srfast.images.metrics import ssim

SIDE = 512
PAPER = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0)


def ms(work) -> float:
    """Processor milliseconds."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000


def compare(channels: int, batch: int, repeats: int) -> dict:
    """Milliseconds a picture of both, and how far apart they are."""
    rng = np.random.default_rng(0)
    hr = rng.random((batch, channels, SIDE, SIDE), np.float32)
    hr, sr = (np.round(img * 255).astype(np.float32) / 255 for img in (hr, np.clip(hr + rng.normal(0, .1, hr.shape), 0, 1)))
    bytes_ = [np.round(img[0] * 255).astype(np.uint8) for img in (hr, sr)]
    ways = {
        "srfast": lambda: ssim(torch.from_numpy(sr), torch.from_numpy(hr)),
        "float32": lambda: structural_similarity(hr[0], sr[0], **PAPER),
        "bytes": lambda: structural_similarity(*bytes_, **(PAPER | {"data_range": 255})),
    }
    found = {name: work() for name, work in ways.items()}
    turns = [{name: ms(work) for name, work in ways.items()} for _ in range(repeats)]
    median = {name: statistics.median(turn[name] for turn in turns) for name in ways}
    ours = median["srfast"] / batch
    row = {"metric": "ssim", "side": SIDE, "channels": channels, "batch": batch, "srfast_ms": ours, "skimage_ms": median["bytes"]}
    row |= {"skimage_float32_ms": median["float32"], "times": median["bytes"] / ours, "times_float32": median["float32"] / ours}
    return row | {"difference": abs(found["srfast"][0].item() - found["bytes"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--csv", type=Path, metavar="FILE.csv", help="write the table here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.DataFrame([compare(channels, batch, args.repeats) for channels in (1, 3) for batch in args.batch])
    words = table.assign(difference=table.difference.map("{:.1e}".format))
    if args.csv: record(words, args.csv)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
