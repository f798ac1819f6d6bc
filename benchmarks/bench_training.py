#!/usr/bin/env python
"""Measure the processor time of a training step beside a bare PyTorch loop: same network, batches and optimizer, one thread.

    python benchmarks/bench_training.py -o data/results/tables/bench_training.csv

Both run in one process in turn, an epoch each. The least time of all epochs counts, since other work on the machine only adds.
"""
import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from PIL import Image
from skimage import data

from srfast.evaluation.results import record
from srfast.training.stages import Stage, stage_loss
from srfast.training.trainer import Recipe, train
from srfast.networks.zoo import create_generator

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")
# generator, its options, scale, side of a patch, patches a batch: as the recipes have them, and three small networks
ROWS = (
    ("house", {}, 4, 128, 16),
    ("srcnn_955", {}, 3, 33, 128),
    ("srcnn", {}, 3, 48, 16),
    ("vdsr", {}, 2, 42, 8),
    ("house_small", {}, 2, 64, 16),
    ("vdsr", {"depth": 10, "width": 16}, 2, 42, 8),
    ("vdsr", {"depth": 3, "width": 8}, 2, 24, 2),
)


class Beside(Callback):
    """Before each epoch runs as many steps of a bare loop, without and with clipping and averaged weights; notes processor times."""
    order = -1000

    def __init__(self, net, stage: Stage):
        self.net, self.stage, self.loss = net.to(memory_format=torch.channels_last), stage, stage_loss(stage)
        self.adam = torch.optim.Adam(net.parameters(), stage.lr_max, betas=(stage.momentum, 0.99))
        self.ema = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999))
        self.times = {"bare_ms": [], "bare_full_ms": [], "batch_ms": [], "step_ms": []}

    def note(self, name: str, start: float) -> None:
        self.times[name].append(1e3 * (time.process_time() - start) / self.stage.steps)

    def before_epoch(self):
        loader, start = self.dls.train, time.process_time()
        batches = [loader.batch(i) for i in range(self.stage.steps)]
        self.note("batch_ms", start)
        self.bare("bare_ms", batches, False)
        self.bare("bare_full_ms", batches, True)

    def bare(self, name: str, batches: list, full: bool) -> None:
        start = time.process_time()
        for lr_imgs, hr in batches:
            self.adam.zero_grad()
            self.loss(self.net(lr_imgs), hr).backward()
            if full: torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.stage.clip)
            self.adam.step()
            if full: self.ema.update_parameters(self.net)
        self.note(name, start)

    def before_train(self):
        self.start = time.process_time()

    def after_train(self):
        self.note("step_ms", self.start)


def measure(folder: Path, generator: str, options: dict, scale: int, size: int, bs: int, epochs: int, steps: int) -> dict:
    """A row of the table."""
    stage = Stage(size=size, bs=bs, epochs=epochs, steps=steps)
    recipe = Recipe("bench", generator, scale, (stage,), options, n_valid=1, valid_size=32, precision="float32")
    net = create_generator(generator, scale, **options)
    beside = Beside(net.train(), stage)
    with tempfile.TemporaryDirectory() as out:
        train(recipe, folder, out, device="cpu", progress=False, cbs=[beside])
    best = {name: min(times) for name, times in beside.times.items()}
    row = dict(generator=generator, options=" ".join(f"{k}={v}" for k, v in options.items()), scale=scale, size=size, bs=bs)
    row |= dict(parameters=sum(p.numel() for p in net.parameters())) | {name: f"{value:.2f}" for name, value in best.items()}
    more = best["step_ms"] - best["bare_ms"] - best["batch_ms"]
    percents = dict(more_percent=100 * more / best["bare_ms"], batch_percent=100 * best["batch_ms"] / best["step_ms"])
    return row | dict(more_ms=f"{more:.2f}") | {name: f"{value:.1f}" for name, value in percents.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--epochs", type=int, default=7, help="epochs of each measurement")
    parser.add_argument("--seconds", type=float, default=2, help="processor time of a bare epoch, about")
    parser.add_argument("--only", help="generators to measure")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in PICTURES:
            Image.fromarray(np.asarray(getattr(data, name)())[:300, :400]).save(Path(folder) / f"{name}.png")
        for row in ROWS:
            if asked.only and row[0] not in asked.only.split(","):
                continue
            first = measure(Path(folder), *row, epochs=1, steps=3)
            steps = max(5, int(1e3 * asked.seconds / float(first["bare_ms"])))
            rows.append(measure(Path(folder), *row, epochs=asked.epochs, steps=steps))
            print(rows[-1], flush=True)
    record(pd.DataFrame(rows).assign(torch=torch.__version__), asked.out)


if __name__ == "__main__":
    main()
