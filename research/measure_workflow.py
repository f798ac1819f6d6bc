#!/usr/bin/env python
"""Measure the generator and the up-sampler of a workflow on held-out faces, as `run_workflow` does on its validation images.

    python research/measure_workflow.py runs/faces --pictures $SRFAST_DATA/faces/valid -o data/results/tables/faces_unet_gan.csv

Faces are scaled and cropped to `--size` and degraded as in training. `low-res` is enlarged by bicubic, `before gan` is the generator
after its stages on pixels, `generated` at the end, `enhanced` the up-sampler's result of that. At one and a half times the size all
are compared with larger originals.
"""
import argparse
from pathlib import Path

import torch

from srfast.data.pairs import find_pictures, make_pair, middle_of, read_rgb, shrink_to
from srfast.evaluation.results import record
from srfast.networks.weights import read_info
from srfast.training.recipes import get_recipe
from srfast.training.workflow import _results, _rows


def pairs_at(recipe, files: list[Path], side: int):
    """Pairs of squares, made as in training."""
    pairs = (make_pair(shrink_to(read_rgb(f), side), recipe.scale, recipe.degradation, i) for i, f in enumerate(files))
    return [middle_of(pair, side) for pair in pairs]


def main() -> None:
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128, help="side of the originals, pixels")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe, files = get_recipe(read_info(args.run / "model.safetensors").metadata["recipe"]), find_pictures(args.pictures)
    pairs, large = (pairs_at(recipe, files, side) for side in (args.size, args.size * 3 // 2))
    imgs = _results(recipe, args.run, [pair.lr_img for pair in pairs])
    table = pd.DataFrame(_rows(imgs, [pair.hr for pair in pairs], [pair.hr for pair in large]))
    record(table, args.out)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
