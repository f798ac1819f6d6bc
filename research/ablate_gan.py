#!/usr/bin/env python
"""Train a DCGAN with three losses: L1 to the original, L1 of the downscaled result to the input, and the critic alone.

    python research/ablate_gan.py $SRFAST_DATA/digits -o data/results/tables/gan_ablation.csv --strip nbs/assets/gan_ablation.png

Each row measures 200 held-out digits after so many steps of generator and critic. The strip shows synthetic digits, a row for each
loss: bicubic, then the result after each number of steps, then the original.
"""
import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from measure_gans import in_batches, measure, pairs_of
from PIL import Image

from srfast.networks.backbones import load_lpips
from srfast.core import to_tensor, to_uint8
from srfast.training.digits import drawn_digits
from srfast.evaluation.results import record
from srfast.training.gan_recipes import digit_pairs
from srfast.training.recipes import get_recipe
from srfast.images.resize import imresize
from srfast.training.trainer import train

STEPS = (10, 50, 200, 500, 1500)
WAYS = {"L1 to the original": {"l1": 0.9}, "L1 of the shrunken result": {"consistency": 0.9}, "the game alone": {"l1": 0.0, "mse": 1e-12}}


class Watch(Callback):
    """Looks at the generator after `STEPS`."""

    order = 60

    def __init__(self, look):
        self.look, self.n = look, 0

    def after_batch(self):
        if self.training:
            self.n += 1
            if self.n in STEPS:
                net, was = self.model.generator, self.model.generator.training
                self.look(self.n, net.eval())
                net.train(was)


def enlarged(imgs: torch.Tensor) -> np.ndarray:
    """Pictures side by side, four times as large, pixel by pixel."""
    return np.concatenate([to_uint8(img).repeat(4, 0).repeat(4, 1) for img in imgs], 1)


def ablate(way: str, loss: dict, digits: Path, drawn: tuple, folder: Path) -> tuple[list[dict], np.ndarray]:
    """Rows of the table, and a row of the strip."""
    recipe = get_recipe("digits_dcgan_small")
    game = replace(recipe.stages[-1], loss=loss, epochs=6, steps=250, critic_lr=1.0, guarded=False, freeze_norm=False)
    recipe, rows = replace(recipe, stages=[game]), []
    lr_imgs, hr, _ = (t[:200] for t in pairs_of(recipe, digits))
    judges, columns = dict(lpips=load_lpips()), [enlarged(imresize(drawn[0], 4))]

    def look(step: int, net):
        rows.append(dict(way=way, step=step, **measure("", in_batches(net, lr_imgs), hr, judges, None)))
        columns.append(enlarged(in_batches(net, drawn[0])))

    train(recipe, digits, folder / way.replace(" ", "_"), progress=False, cbs=[Watch(look)])
    return rows, np.concatenate([*columns, enlarged(drawn[1])], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path, help="folder with MNIST's files")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--strip", type=Path, required=True, help="PNG to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pairs = digit_pairs(to_tensor(drawn_digits(3, seed=2)[0].transpose(1, 2, 0)).transpose(0, 1))
    drawn = tuple(torch.cat([to_tensor(img) for img in imgs]) for imgs in zip(*((p.lr_img, p.hr) for p in pairs)))
    with tempfile.TemporaryDirectory() as folder:
        results = [ablate(way, loss, args.digits, drawn, Path(folder)) for way, loss in WAYS.items()]
    table = pd.DataFrame([row for rows, _ in results for row in rows]).drop(columns="result")
    record(table, args.out)
    args.strip.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([row for _, row in results], 0)).save(args.strip)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
