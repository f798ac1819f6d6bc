#!/usr/bin/env python
"""Measure `srfast.images.estimate` on images degraded by known amounts. $SRFAST_DATA names the folder that has them.

kodak24: Kodak24, downscaled by 4 to be sharp and clean, then blur, noise and JPEG of random strength: together, each alone, and
none. Each JPEG is given as the file and as a PNG of its pixels.
enlarged: the same images downscaled by 2 and enlarged by known factors, as PNG and as JPEG.
wide: noise of 20 to 50 grey levels, with and without JPEG, on every third image, as PNG.
blind: `BlindDegradation` of five strengths, one with noise of 20 to 40 after it: the estimates, and which model `auto` chooses.
law: fits the spectrum of sharp photographs (beta, p and softness in srfast/images/estimate.py) to the training images and prints it.
"""
import argparse
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

import srfast.images.estimate as match
from srfast.data.pairs import read_rgb
from srfast.images.blind import BlindDegradation
from srfast.images.degrade import Degradation
from srfast.images.filters import gaussian_blur
from srfast.evaluation.results import record
from srfast.images.estimate import estimate
from srfast.images.resize import imresize
from srfast.inference.upscaler import choose_model

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results" / "tables"
KINDS = {
    "all": ["blur", "noise", "jpeg"], "blur_noise": ["blur", "noise"], "blur": ["blur"], "noise": ["noise"], "jpeg": ["jpeg"], "clean": [],
}


def pictures(folder: str, shrink: float):
    """(name, shrunk picture) of a folder under $SRFAST_DATA."""
    for file in sorted((Path(os.environ["SRFAST_DATA"]) / folder).iterdir()):
        yield file.name, imresize(read_rgb(file), 1 / shrink) if shrink != 1 else read_rgb(file)


def as_file(img, kind: str, quality: int | None = None) -> bytes:
    """The bytes of a file of that kind."""
    file = BytesIO()
    Image.fromarray(img).save(file, kind, **({"quality": quality} if quality else {}))
    return file.getvalue()


def draw(kind: str, rng) -> Degradation:
    """Strengths for a picture, evenly from blur 0 to 3, noise 0 to 20, JPEG 20 to 95."""
    drawn = dict(blur=rng.uniform(0, 3), noise=rng.uniform(0, 20), jpeg=int(rng.integers(20, 96)))
    return Degradation(scale=1, **{name: drawn[name] for name in KINDS[kind]})


def files(img, strengths: Degradation, seed: int):
    """(format, bytes) of what the strengths make of `img`."""
    yield "PNG", as_file(strengths(img, seed), "PNG")
    if strengths.jpeg:
        before = Degradation(scale=1, blur=strengths.blur, noise=strengths.noise)
        yield "JPEG", as_file(before(img, seed), "JPEG", strengths.jpeg)


def found_columns(got: match.Match) -> dict:
    return {f"found_{key}": value for key, value in vars(got).items()}


def measure(folder: str, shrink: float, counts: dict, seed: int) -> pd.DataFrame:
    """A row a file: what was done and what is found."""
    found, rng, rows = list(pictures(folder, shrink)), np.random.default_rng(seed), []
    for kind, count in counts.items():
        for i in range(count):
            (name, img), strengths = found[i % len(found)], draw(kind, rng)
            for form, content in files(img, strengths, i):
                got = estimate(content)
                truth = {key: getattr(strengths, key) for key in ("blur", "noise", "jpeg")}
                rows.append(dict(shrink=shrink, kind=kind, picture=name, format=form) | truth | found_columns(got))
    return pd.DataFrame(rows)


def kodak24(args) -> pd.DataFrame:
    counts = {kind: args.count if kind == "all" else max(args.count // 4, 1) for kind in KINDS}
    return pd.concat([measure(args.folder, shrink, counts, args.seed) for shrink in args.shrink], ignore_index=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Median errors, and how many JPEGs were missed, imagined, or taken for enlarged."""
    errors = {f"{name}_error": (table[f"found_{name}"] - table[name]).abs() for name in ("blur", "noise", "jpeg")}
    was, found = table.jpeg.notna(), table.found_jpeg.notna()
    faults = dict(jpeg_missed=was & ~found, jpeg_imagined=found & ~was, enlarged_imagined=table.found_enlarged > 1)
    groups = table.assign(**errors, **faults).groupby(["shrink", "kind", "format"], sort=False)
    last = groups[["blur_error", "noise_error"]].quantile(0.9).add_suffix("_90")
    return pd.concat([groups[list(errors)].median(), last, groups[list(faults)].sum(), groups.size().rename("files")], axis=1)


def enlarged(args) -> pd.DataFrame:
    rows = []
    for name, img in list(pictures(args.folder, 2))[: args.count]:
        for factor in (1, 1.5, 2, 3, 4):
            for method in ("bicubic", "bilinear", "lanczos3") if factor > 1 else ("none",):
                large = img if factor == 1 else imresize(img[:160, :160], factor, method=method)
                for quality in (None, 90, 70):
                    got = estimate(Degradation(scale=1, jpeg=quality)(large))
                    rows.append(dict(picture=name, factor=factor, method=method, jpeg=quality) | found_columns(got))
    return pd.DataFrame(rows)


def enlarged_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Share of pictures whose factor was found within .06, and of those found enlarged at all."""
    table = table.assign(jpeg=table.jpeg.fillna(0), right=(table.found_enlarged - table.factor).abs() < 0.06, any=table.found_enlarged > 1)
    return table.groupby(["factor", "method", "jpeg"], sort=False)[["right", "any"]].mean().unstack("jpeg")


def wide(args) -> pd.DataFrame:
    rows = []
    for i, (name, img) in enumerate(list(pictures(args.folder, 4))[::3]):
        for noise in (20, 30, 40, 50):
            for quality in (None, 60, 30):
                got = estimate(Degradation(scale=1, noise=noise, jpeg=quality)(img, i))
                rows.append(dict(picture=name, noise=noise, jpeg=quality) | found_columns(got))
    return pd.DataFrame(rows)


def wide_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Median of the noise found, and share of images whose JPEG was found to within 5."""
    right = (table.found_jpeg - table.jpeg).abs() < 5
    groups = table.assign(right=right | (table.jpeg.isna() & table.found_jpeg.isna()), jpeg=table.jpeg.fillna(0)).groupby(["noise", "jpeg"])
    return groups[["found_noise", "found_blur", "right"]].agg(dict(found_noise="median", found_blur="median", right="mean"))


def blind(args) -> pd.DataFrame:
    rows, ways = [], [(0, 0), (0.1, 0), (0.25, 0), (0.5, 0), (1, 0), (0.25, 40)]
    for i, (name, img) in enumerate(pictures(args.folder, 1)):
        for strength, late in ways:
            small = BlindDegradation(strength=strength, late=(late / 2, late))(img, i)
            found = found_columns(estimate(small)) | dict(chosen=choose_model(small))
            rows.append(dict(picture=name, strength=strength, late=late) | found)
    return pd.DataFrame(rows)


def blind_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Medians of what is found, and the share for which `auto` restores."""
    groups = table.assign(restored=table.chosen == "photo_real").groupby(["strength", "late"])
    return groups[["found_noise", "found_blur", "found_jpeg", "restored"]].agg(
        dict(found_noise="median", found_blur="median", found_jpeg="median", restored="mean"))


def law() -> None:
    blurs, folders = (0, 0.7, 1, 1.5, 2, 2.5, 3), [("train/sunhays80", 4, slice(0, 60, 2)), ("train/bsds400", 2, slice(0, 400, 10))]
    sharp = [img for folder, shrink, some in folders for _, img in list(pictures(folder, shrink))[some]]
    powers = [torch.tensor(np.mean([mean_log_power(img, blur) for img in sharp], 0)) for blur in blurs]
    unknowns = torch.tensor([2.0, 1.3, 0.35, 0.0], dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([unknowns], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        descent.zero_grad()
        total = 0
        for blur, power in zip(blurs, powers):
            seen = power > power[0, 1] - 9
            seen[0, 0] = False
            total = total + ((law_power(*unknowns[:3], blur).log() + unknowns[3] - power)[seen] ** 2).sum()
        total.backward()
        return total

    descent.step(loss)
    print(", ".join(f"{name} {value:.3f}" for name, value in zip(("beta", "p", "softness"), unknowns.tolist())))


def law_power(beta, p, softness, blur: float):
    """`match._expected` of other constants, on one scale for all blurs."""
    passed = match._passed(torch.tensor(max(blur, 0.05)).double()) ** 2 * torch.exp(-((softness * match._OMEGA) ** 2))
    side = match._OMEGA.abs() ** p
    return match._POWER @ ((side[:, None] + side) ** (-beta / p) * torch.outer(passed, passed)) @ match._POWER.T


def mean_log_power(img, blur: float) -> np.ndarray:
    """(8, 8) logarithm of the mean power of the amplitudes."""
    luma = gaussian_blur(torch.from_numpy(match._luma(img))[None, None], blur)[0, 0].numpy()
    blocks = match._blocks(luma[..., None] + 128)[..., 0] - 128
    return np.log(((match._BASIS @ blocks @ match._BASIS.T) ** 2).mean(0))


DONE = {
    "kodak24": (kodak24, summary), "enlarged": (enlarged, enlarged_summary), "wide": (wide, wide_summary), "blind": (blind, blind_summary),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*DONE, "law"))
    parser.add_argument("--folder", default="benchmark/Kodak24", help="folder of images under $SRFAST_DATA")
    parser.add_argument("--shrink", type=float, nargs="+", default=[4], help="factors to downscale by first")
    parser.add_argument("--count", type=int, default=100, help="images of kind 'all', a quarter as many of each other; or to enlarge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "law": return law()
    make, show = DONE[args.what]
    table = make(args)
    if args.out: record(table, args.out)
    print(show(table).round(2).to_string())


if __name__ == "__main__": main()
