#!/usr/bin/env python
"""Measure videos: flicker of results, and memory by length.

    python research/measure_video.py flicker -o data/results/tables/video_flicker.csv
    python research/measure_video.py memory -o data/results/tables/video_memory.csv

flicker: the view moves over images of Kodak24 by half an LR pixel a frame, so that successive results lie two HR pixels apart at x4.
The figure is their mean absolute difference in grey levels when put on each other: 0 for the originals.
memory: peak memory of a process that enlarges a clip of 64 x 48 pixels, by its number of frames.
"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from srfast.evaluation.results import record
from srfast.images.resize import imresize
from srfast.inference.upscaler import Upscaler

METHODS = {"bicubic": lambda lr: imresize(lr, 4), **{name: (lambda lr, name=name: Upscaler(name)(lr, 4)) for name in ("fast", "photo")}}


def flicker(images: list, count: int) -> pd.DataFrame:
    """A row for each image and method."""
    rows = []
    for number in images:
        img = np.asarray(Image.open(Path(os.environ["SRFAST_DATA"]) / "benchmark" / "Kodak24" / f"kodim{number:02}.png").convert("RGB"))
        frames = [imresize(np.ascontiguousarray(img[160:352, 128 + 2 * k:384 + 2 * k]), 1 / 4) for k in range(count)]
        for name, method in METHODS.items():
            results = [method(frame).astype(float)[8:-8, 8:-8] for frame in frames]
            steps = [np.abs(a[:, 2:] - b[:, :-2]).mean() for a, b in zip(results, results[1:])]
            rows.append(dict(picture=f"kodim{number:02}.png", method=name, frames=count, flicker=np.mean(steps)))
            print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


def memory(counts: list) -> pd.DataFrame:
    """A row for each number of frames, each in a process of its own."""
    rows = []
    for count in counts:
        done = subprocess.run([sys.executable, __file__, "clip", str(count)], capture_output=True, text=True, check=True)
        rows.append(dict(frames=count, peak_mb=float(done.stdout.split()[-1])))
        print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


def clip(count: int) -> None:
    """Write a clip, enlarge it by 2 and print the peak memory in MB."""
    import av

    from srfast.inference.video import upscale_video

    y, x = np.mgrid[:48, :64]
    with tempfile.TemporaryDirectory() as folder:
        with av.open(f"{folder}/in.mkv", "w") as target:
            stream = target.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for k in range(count):
                img = np.stack([(x * c + y * 3 + k * 2) % 256 for c in (1, 2, 3)], -1).astype(np.uint8)
                target.mux(stream.encode(av.VideoFrame.from_ndarray(img)))
            target.mux(stream.encode(None))
        assert upscale_video(f"{folder}/in.mkv", f"{folder}/out.mkv", 2, preset="ultrafast").frames == count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("flicker", "memory", "clip"))
    parser.add_argument("counts", type=int, nargs="*", help="numbers of frames, for memory")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 5, 8, 15, 19, 23], help="numbers of Kodak images")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    if args.what == "clip": return clip(args.counts[0])
    record(flicker(args.images, 8) if args.what == "flicker" else memory(args.counts or [250, 1000, 4000]), args.out)


if __name__ == "__main__":
    main()
