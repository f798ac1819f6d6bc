#!/usr/bin/env python
"""Measure generators before and after their GAN stages, beside bicubic, on held-out images.

    python research/measure_gans.py runs/faces_srgan_small --pictures $SRFAST_DATA/faces/valid -o data/results/tables/gans_faces.csv
    python research/measure_gans.py runs/digits_dcgan_small --pictures $SRFAST_DATA/digits --reader runs/digits_classifier_small -o ...

Images are scaled and cropped to the size of the recipe, then degraded as in its training. `lpips` is that of SqueezeNet; images under
64 pixels a side are enlarged to 64 by repeating pixels. `colour` is the error of the mean colour of all results, in grey levels, of
the worst channel. `judged_false` and `judged_true` are the shares of results and of originals that the critic of the run classified
correctly, `read` is the share of digits classified correctly.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from srfast.networks.backbones import load_lpips
from srfast.core import to_tensor
from srfast.data.pairs import find_pictures, make_pair, middle_of, read_rgb, shrink_to
from srfast.training.digits import load_digits_classifier, read_digits, share_read
from srfast.evaluation.results import record
from srfast.training.gan_recipes import digit_pairs
from srfast.images.metrics import l1, ms_ssim, mse, psnr
from srfast.training.recipes import get_recipe
from srfast.images.resize import imresize
from srfast.networks.weights import load_generator, read_info, read_state


def pairs_of(recipe, pictures: Path):
    """Originals and small pictures (N, 3, H, W), and labels where they are digits."""
    side, labels = recipe.stages[-1].size, None
    if "digits" in recipe.name:
        digits = read_digits(pictures)[1]
        pairs, labels = digit_pairs(digits.imgs, side, recipe.scale), digits.labels
    else:
        files = find_pictures(pictures)
        whole = [make_pair(shrink_to(read_rgb(f), side), recipe.scale, recipe.degradation, i) for i, f in enumerate(files)]
        pairs = [middle_of(pair, side) for pair in whole]
    return *(torch.cat([to_tensor(np.ascontiguousarray(img)) for img in imgs]) for imgs in zip(*((p.lr_img, p.hr) for p in pairs))), labels


def in_batches(net, imgs, n: int = 50):
    """What `net` gives, a few pictures at a time, without gradients."""
    with torch.no_grad():
        return torch.cat([net(part) for part in imgs.split(n)])


def measure(name: str, sr, hr, judges: dict, labels) -> dict:
    """A row of the table."""
    sr = sr.clamp(0, 1).mul(255).round().div(255)
    times = -(-64 // hr.shape[-1])
    seen = [F.interpolate(imgs, scale_factor=times) if times > 1 else imgs for imgs in (sr, hr)]
    row = dict(psnr=psnr(sr, hr), psnr_y=psnr(sr, hr, y_only=True, crop_border=4), mse=mse(sr, hr), l1=l1(sr, hr))
    if hr.shape[-1] >= 44:
        row["ms_ssim"] = ms_ssim(sr, hr)
    row["lpips"] = torch.cat([judges["lpips"](a, b) for a, b in zip(*(imgs.split(50) for imgs in seen))])
    row["colour"] = 255 * (sr.mean((0, 2, 3)) - hr.mean((0, 2, 3))).abs().max()
    if "critic" in judges:
        row |= dict(judged_false=in_batches(judges["critic"], sr) < 0, judged_true=in_batches(judges["critic"], hr) > 0)
    if "reader" in judges:
        row["read"] = torch.tensor(share_read(judges["reader"], imresize(sr, size=(28, 28)), labels))
    return {"result": name} | {key: value.float().mean().item() for key, value in row.items()}


def table_of(run: Path, pictures: Path, reader: Path | None) -> pd.DataFrame:
    """Bicubic, the generator before and after each game, originals."""
    recipe = get_recipe(read_info(run / "model.safetensors").metadata["recipe"])
    lr_imgs, hr, labels = pairs_of(recipe, pictures)
    gan = recipe.create()
    gan.critic.load_state_dict(read_state(run / "critic.safetensors"))
    judges = dict(lpips=load_lpips(), critic=gan.critic.eval())
    if reader and labels is not None:
        judges["reader"] = load_digits_classifier(reader)
    results = {"bicubic": imresize(lr_imgs, recipe.scale)}
    for stage in recipe.stages:
        file = run / f"before_{stage.name.replace(' ', '_')}.safetensors"
        if file.exists():
            results[f"before {stage.name}"] = in_batches(load_generator(file), lr_imgs)
    results |= {"after": in_batches(load_generator(run), lr_imgs), "originals": hr}
    with torch.no_grad():
        rows = [measure(name, sr, hr, judges, labels) for name, sr in results.items()]
    return pd.DataFrame(rows).assign(run=run.name, pictures=len(hr), size=hr.shape[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--reader", type=Path, help="run of the digit classifier")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.concat([table_of(run, args.pictures, args.reader) for run in args.runs])
    record(table, args.out)
    print(table.drop(columns=["pictures"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
