#!/usr/bin/env python
"""Measure generators before and after their GAN stages, beside bicubic, on held-out images.

    python research/measure_gans.py runs/faces_srgan_small --pictures $SRFAST_DATA/faces/valid -o data/results/tables/gans_faces.csv
    python research/measure_gans.py runs/digits_dcgan_small --pictures $SRFAST_DATA/digits --reader runs/digits_classifier_small -o ...

Images are scaled and cropped to each `--size`, by default that of the recipe, then degraded as in its training. `--clean`
adds inputs made by bicubic alone. Columns besides the usual metrics:

- `lpips` is that of SqueezeNet; images under 64 pixels a side are enlarged to 64 by repeating pixels.
- `kid` compares SqueezeNet's pooled features of all results with those of all originals; 0 means the same distribution.
- `colour` is the error of the mean colour of all results, in grey levels, of the worst channel.
- `grid` is the energy at the frequencies of a pattern that repeats with the scale, relative to the originals'.
- `peak` is that energy relative to the energy at neighbouring frequencies, again relative to the originals'.
- `blots` counts blocks of 4 x 4 pixels that are off by more than 96 levels in a channel where bicubic is off by less than 48.
- `judged_false` and `judged_true` are the shares of results and of originals that the critic of the run classified correctly.
- `read` is the share of digits classified correctly.

`--sheet FILE` writes 16 images: bicubic, before, after, original, each twice as large.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image

from srfast.networks.backbones import load_lpips
from srfast.core import rgb_to_y, to_tensor, to_uint8
from srfast.data.pairs import find_pictures, make_pair, middle_of, read_rgb, shrink_to
from srfast.training.digits import load_digits_classifier, read_digits, share_read
from srfast.evaluation.results import record
from srfast.training.gan import before_file
from srfast.training.gan_recipes import digit_pairs
from srfast.images.metrics import l1, ms_ssim, mse, psnr
from srfast.training.recipes import get_recipe
from srfast.images.resize import imresize
from srfast.networks.weights import load_generator, read_info, read_state


def pairs_of(recipe, pictures: Path, size: int | None = None):
    """Originals and small pictures (N, 3, H, W), and labels where they are digits."""
    side, labels = size or recipe.stages[-1].size, None
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


def kid(x, y) -> torch.Tensor:
    """The unbiased squared MMD with a cubic kernel of features (N, C). Source: Binkowski et al., Demystifying MMD GANs (2018)."""
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3  # noqa: E731
    total = kernel(x, x) + kernel(y, y) - kernel(x, y) - kernel(y, x)
    return (total.sum() - total.trace()) / (len(x) * (len(x) - 1))


def distances(sr, hr, lpips) -> dict:
    """LPIPS of each pair, and KID of the pooled features of all: SqueezeNet sees each image once."""
    found = [], [], []
    for pair in zip(sr.split(50), hr.split(50)):
        last = []
        hook = lpips.features[-1].register_forward_hook(lambda *args: last.append(args[2].mean((2, 3))))
        found[0].append(lpips(*pair))
        hook.remove()
        found[1].append(last[0]), found[2].append(last[1])
    each, x, y = map(torch.cat, found)
    return dict(lpips=each, kid=kid(x, y))


def period_energy(imgs, period: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Energy of luminance at the frequencies of a pattern that repeats after `period` pixels, and at their neighbours."""
    n = imgs.shape[-1] // (4 * period) * 4 * period
    window = torch.hann_window(n, periodic=True)
    power = torch.fft.fft2(rgb_to_y(imgs[..., :n, :n])[:, 0] * window * window[:, None]).abs().square().mean(0)
    line = torch.zeros(n, dtype=torch.bool)
    line[:: n // period] = True
    at = line[:, None] & line
    at[0, 0] = False
    near = F.max_pool2d(F.pad(at.float()[None, None], (4, 4, 4, 4), mode="circular"), 9, 1)[0, 0] > 0
    inner = F.max_pool2d(F.pad(at.float()[None, None], (1, 1, 1, 1), mode="circular"), 3, 1)[0, 0] > 0
    return power[at].mean(), power[near & ~inner].mean()


def blots(sr, hr, bicubic, side: int = 4) -> torch.Tensor:
    """The number of blocks that are off by more than 96 levels where bicubic is off by less than 48."""
    off, usual = (255 * F.avg_pool2d(imgs - hr, side).abs() for imgs in (sr, bicubic))
    return ((off > 96) & (usual < 48)).any(1).sum()


def measure(name: str, sr, hr, judges: dict, labels, scale: int = 4) -> dict:
    """A row of the table."""
    sr = sr.clamp(0, 1).mul(255).round().div(255)
    times = -(-64 // hr.shape[-1])
    seen = [F.interpolate(imgs, scale_factor=times) if times > 1 else imgs for imgs in (sr, hr)]
    row = dict(psnr=psnr(sr, hr), psnr_y=psnr(sr, hr, y_only=True, crop_border=4), mse=mse(sr, hr), l1=l1(sr, hr))
    if hr.shape[-1] >= 44:
        row["ms_ssim"] = ms_ssim(sr, hr)
    row |= distances(*seen, judges["lpips"])
    row["colour"] = 255 * (sr.mean((0, 2, 3)) - hr.mean((0, 2, 3))).abs().max()
    (grid, around), (own, own_around) = (period_energy(imgs, scale) for imgs in (sr, hr))
    row |= dict(grid=grid / own, peak=(grid / around) / (own / own_around))
    if "bicubic" in judges:
        row["blots"] = blots(sr, hr, judges["bicubic"])
    if "critic" in judges:
        row |= dict(judged_false=in_batches(judges["critic"], sr) < 0, judged_true=in_batches(judges["critic"], hr) > 0)
    if "reader" in judges:
        row["read"] = torch.tensor(share_read(judges["reader"], imresize(sr, size=(28, 28)), labels))
    return {"result": name} | {key: value.float().mean().item() for key, value in row.items()}


def results_of(run: Path, recipe, lr_imgs, hr) -> dict:
    """Bicubic, the generator before and after each GAN stage, originals."""
    results = {"bicubic": imresize(lr_imgs, recipe.scale).clamp(0, 1)}
    for stage in recipe.stages:
        file = before_file(run, stage)
        if file.exists():
            results[f"before {stage.name}"] = in_batches(load_generator(file), lr_imgs)
    return results | {"after": in_batches(load_generator(run), lr_imgs), "originals": hr}


def table_of(run: Path, size: int | None, clean: bool, args) -> pd.DataFrame:
    """A row for each result."""
    recipe = get_recipe(args.recipe or read_info(run / "model.safetensors").metadata["recipe"])
    recipe = replace(recipe, degradation=None) if clean else recipe
    lr_imgs, hr, labels = pairs_of(recipe, args.pictures, size)
    gan = recipe.create()
    judges = dict(lpips=load_lpips())
    if (run / "critic.safetensors").exists():
        gan.critic.load_state_dict(read_state(run / "critic.safetensors"))
        judges["critic"] = gan.critic.eval()
    if args.reader and labels is not None:
        judges["reader"] = load_digits_classifier(args.reader)
    results = results_of(run, recipe, lr_imgs, hr)
    judges["bicubic"] = results["bicubic"]
    if args.sheet:
        write_sheet(results, args.sheet)
    with torch.no_grad():
        shown = {name: sr for name, sr in results.items() if name != "originals" or labels is not None}
        rows = [measure(name, sr, hr, judges, labels, recipe.scale) for name, sr in shown.items()]
    inputs = "bicubic" if recipe.degradation is None else "as in training"
    return pd.DataFrame(rows).assign(run=args.name or run.name, pictures=len(hr), size=hr.shape[-1], inputs=inputs)


def write_sheet(results: dict, file: Path, n: int = 16, times: int = 2) -> None:
    """Write `n` images of each result side by side, four images a row."""
    places = torch.linspace(0, len(results["originals"]) - 1, n).long()
    rows = [torch.cat([imgs[i] for imgs in results.values()], 2) for i in places]
    sheet = torch.cat([torch.cat(rows[i : i + 2], 2) for i in range(0, n, 2)], 1)
    Image.fromarray(to_uint8(F.interpolate(sheet[None], scale_factor=times))).save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--reader", type=Path, help="run of the digit classifier")
    parser.add_argument("--recipe", help="name of the recipe; default: that in the weights")
    parser.add_argument("--name", help="name of the run in the table; default: that of its folder")
    parser.add_argument("--size", type=int, nargs="+", default=[None], help="sides of the originals, pixels; default: the recipe's")
    parser.add_argument("--clean", action="store_true", help="also make inputs by bicubic alone, at the last size")
    parser.add_argument("--sheet", type=Path, help="PNG to write, to look at")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ways = [(size, False) for size in args.size] + [(args.size[-1], True)] * args.clean
    table = pd.concat([table_of(run, *way, args) for run in args.runs for way in ways])
    record(table, args.out)
    print(table.drop(columns=["pictures"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
