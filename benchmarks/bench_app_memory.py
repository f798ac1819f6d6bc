#!/usr/bin/env python
"""Measure how much memory the processes of `srfast app` need for an image, above that of a process at rest (Linux).

    python benchmarks/bench_app_memory.py
"""
import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from attack_app import deep_picture, largest_memory  # noqa: E402
from PIL import Image  # noqa: E402

from srfast.evaluation.results import record  # noqa: E402
from srfast.web.worker import Worker, convert_file, upscale_file  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def photo(w: int, h: int) -> bytes:
    """A photograph-like JPEG."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    waves = np.stack([127 + 90 * np.sin(x / 31 + k) * np.cos(y / 43 - k) for k in range(3)], -1)
    file = io.BytesIO()
    Image.fromarray((waves + np.random.default_rng(0).normal(0, 5, (h, w, 1))).clip(0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def peak(do, task: dict) -> tuple[float, dict]:
    """The most MB that a new process needs for a task, above what it has at rest, and the outcome."""
    worker = Worker(do)
    worker.wait()
    before = largest_memory(worker.process.pid)
    outcome = worker.run(task, lambda done: None, 3600, lambda: False)
    found = largest_memory(worker.process.pid) - before
    worker.stop()
    return found, outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "data/results/tables/app_memory.csv")
    args = parser.parse_args()
    cases = {"RGB, 8 bits": (photo(2000, 1500), 2), "RGBA, 16 bits": (deep_picture(250), 8)}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "picture"
        for name, (picture, scale) in cases.items():
            source.write_bytes(picture)
            task = dict(source=str(source), options={"scale": scale, "model": "fast"}, format="png")
            used, outcome = peak(upscale_file, task)
            megapixels = outcome["size"][0] * outcome["size"][1] / 1e6
            task = dict(source=outcome["result"], format="webp", max_pixels=10**9)
            converted, _ = peak(convert_file, task)
            rows.append({"image": name, "result (MP)": round(megapixels, 1),
                         "upscale (MB)": round(used), "upscale (MB/MP)": round(used / megapixels),
                         "as WebP (MB)": round(converted), "as WebP (MB/MP)": round(converted / megapixels)})
            print(rows[-1], flush=True)
    record(pd.DataFrame(rows), args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
