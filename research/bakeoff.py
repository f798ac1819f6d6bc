#!/usr/bin/env python
"""Compare small networks that take equal time to predict, each trained for equal time.

    python research/bakeoff.py $SRFAST_DATA/train runs/bakeoff -o data/results/tables/bakeoff.csv

Each candidate has the head, the tail and the bicubic skip of the `house` network, and a body of its own. The body is as wide as takes
the time of `house` for 256 x 256 at x4 on one thread (`ms`; `ratio`: time, that of `house` being 1; measured in turns). Each is
trained on the same images for as many steps as take the time of `--steps` steps of `house` (`step_ms`: processor time of a step).
Then Y-PSNR is measured on Kodak24. Rows are written one by one, and a row that is there is not measured again. Use a quiet machine.
"""
import argparse
import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from srfast.evaluation.costs import cpu_times
from srfast.evaluation.measure import evaluate
from srfast.evaluation.results import record
from srfast.networks.generators.house import House
from srfast.networks.layers import identity_conv
from srfast.evaluation.benchmark import find_benchmark, load_set
from srfast.training.recipes import adjust
from srfast.training.stages import Stage
from srfast.training.trainer import Recipe, train
from srfast.networks.weights import read_state
from srfast.networks.zoo import create_generator, get_spec


class Residual(nn.Module):
    """Two convolutions and a skip. Source: He et al. (2016), without batch norms as in EDSR (2017)."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        nn.init.kaiming_normal_(self.convs[0].weight)
        nn.init.kaiming_normal_(self.convs[1].weight)
        with torch.no_grad():
            self.convs[1].weight.mul_(0.1)

    def forward(self, x):
        return x + self.convs[1](F.relu(self.convs[0](x)))


class Folded(nn.Module):
    """A 3 x 3 convolution learned as a sum of branches: 3 x 3, 1 x 1 into 3 x 3, identity. Source: Zhang et al., ECBSR (2021)."""

    def __init__(self, width: int):
        super().__init__()
        self.plain, self.into = identity_conv(width), nn.Conv2d(width, 2 * width, 1, bias=False)
        self.out = nn.Conv2d(2 * width, width, 3, padding=1, bias=False)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def forward(self, x):
        wide = torch.einsum("omhw,mi->oihw", self.out.weight, self.into.weight[:, :, 0, 0])
        return F.relu(F.conv2d(x, self.plain.weight + wide, padding=1))


class Attention(nn.Module):
    """Three convolutions, weighed by what they found, without parameters, and a skip. Source: Wan et al., SPAN (2024)."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(3))

    def forward(self, x):
        found = self.convs[2](F.silu(self.convs[1](F.silu(self.convs[0](x)))))
        return x + (found + x) * (torch.sigmoid(found) - 0.5)


class Distilled(nn.Module):
    """Three convolutions, a skip, and attention on a quarter of the picture (ESA). Source: Kong et al., RLFN (2022)."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(identity_conv(width) for _ in range(3))
        few = width // 4
        self.into, self.shrink, self.look = nn.Conv2d(width, few, 1), nn.Conv2d(few, few, 3, 2), nn.Conv2d(few, few, 3, padding=1)
        self.out, self.mix = nn.Conv2d(few, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        y = x
        for conv in self.convs:
            y = F.leaky_relu(conv(y), 0.05)
        y = self.mix(y + x)
        small = self.into(y)
        seen = self.look(F.max_pool2d(self.shrink(small), 7, 3))
        return y * torch.sigmoid(self.out(F.interpolate(seen, small.shape[-2:], mode="bilinear") + small))


class LargeKernel(nn.Module):
    """7 x 7 by channel, then 1 x 1 to twice the channels and back, and a skip. Source: Liu et al., ConvNeXt (2022)."""

    def __init__(self, width: int):
        super().__init__()
        self.wide = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.into, self.out = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)

    def forward(self, x):
        return x + self.out(F.relu(self.into(self.wide(x))))


class Active(nn.Module):
    """The house's convolution under another activation."""

    def __init__(self, width: int, name: str):
        super().__init__()
        self.conv = identity_conv(width)
        self.act = {"leaky": nn.LeakyReLU(0.1), "prelu": nn.PReLU(width), "silu": nn.SiLU(), "gelu": nn.GELU()}[name]

    def forward(self, x):
        return self.act(self.conv(x))


BLOCKS = {"residual": Residual, "folded": Folded, "attention": Attention, "distilled": Distilled, "large kernel": LargeKernel}
BLOCKS |= {name: lambda width, name=name: Active(width, name) for name in ("leaky", "prelu", "silu", "gelu")}


class NearestSkip(nn.Module):
    """The picture itself, `scale` squared times: nearest enlargement after the shuffle."""

    def __init__(self, scale: int):
        super().__init__()
        self.times = scale**2

    def forward(self, imgs):
        return imgs.repeat_interleave(self.times, 1)


class Candidate(House):
    """The house with a body of other blocks, or another skip."""

    def __init__(self, scale: int, width: int, depth: int, block: str, skip: str = "bicubic", views: int = 1):
        super().__init__(scale, width, depth if block == "plain" else 0, views)
        self.blocks = nn.Sequential(*(BLOCKS[block](width) for _ in range(depth if block != "plain" else 0)))
        if skip == "nearest":
            self.skip = NearestSkip(scale)

    def deepen(self, x): return self.blocks(super().deepen(x))


@dataclass(frozen=True)
class BakeoffRecipe(Recipe):
    """A recipe for a candidate."""

    made_of: dict = field(default_factory=dict)  # of `Candidate`; none: the generator of the zoo

    def create(self) -> nn.Module:
        net = Candidate(self.scale, **self.made_of) if self.made_of else create_generator(self.generator, self.scale, **self.options)
        net.spec = get_spec(self.generator)
        return net


PLAIN = dict(block="plain", width=48, depth=16)
NETWORKS = {  # photo's budget: the house's 0.35 M parameters, or as many as take its time
    "plain": PLAIN,
    "plain, wide": dict(block="plain", width=64, depth=8),
    "plain, deep": dict(block="plain", width=32, depth=34),
    "residual": dict(block="residual", width=48, depth=8),
    "folded": dict(block="folded", width=48, depth=16),
    "attention": dict(block="attention", width=48, depth=5),
    "distilled": dict(block="distilled", width=40, depth=4),
    "large kernel": dict(block="large kernel", width=48, depth=8),
    "leaky": dict(block="leaky", width=48, depth=16),
    "prelu": dict(block="prelu", width=48, depth=16),
    "silu": dict(block="silu", width=48, depth=15),
    "nearest skip": PLAIN | dict(skip="nearest"),
    "two views": PLAIN | dict(views=2),  # three that take twice the time of the house
    "twice as deep": PLAIN | dict(depth=32),
    "wider": PLAIN | dict(width=64),
}
FAST = {  # fast's budget, an eighth of it
    "plain, fast": dict(block="plain", width=16, depth=9),
    "plain, fast, wide": dict(block="plain", width=32, depth=2),
    "folded, fast": dict(block="folded", width=16, depth=9),
    "residual, fast": dict(block="residual", width=16, depth=4),
    "attention, fast": dict(block="attention", width=16, depth=3),
    "plain, fast, small": dict(block="plain", width=24, depth=6),
}
MUON = dict(optimizer="muon", lr_max=0.01)
TRAININGS = {  # of the plain network, or another
    "muon": MUON,
    "muon, rate 2e-2": MUON | dict(lr_max=0.02),
    "muon, rate 5e-3": MUON | dict(lr_max=0.005),
    "muon, then mse": MUON | dict(then="mse", then_rate=0.002),
    "muon, folded": MUON | dict(made_of=NETWORKS["folded"]),
    "muon, residual": MUON | dict(made_of=NETWORKS["residual"]),
    "muon, plain, 64": MUON | dict(made_of=dict(block="plain", width=64, depth=16)),
    "muon, plain, fast": MUON | dict(made_of=FAST["plain, fast"]),
    "muon, plain, fast, small": MUON | dict(made_of=FAST["plain, fast, small"]),
    "muon, folded, fast": MUON | dict(made_of=FAST["folded, fast"]),
    "mse": dict(loss="mse"),
    "charbonnier": dict(loss="charbonnier"),
    "patch 48": dict(size=192, bs=8),
    "patch 24": dict(size=96, bs=24),
    "batch 8": dict(bs=8, lr_max=7e-4),
    "batch 32": dict(bs=32, lr_max=1.4e-3),
    "rate 2e-3": dict(lr_max=2e-3),
    "rate 5e-4": dict(lr_max=5e-4),
    "L1, then mse": dict(then="mse"),
    "colours exchanged": dict(colors=True),
    "smaller ones too": dict(shrunk=(0.8, 0.6)),
    "drawn pages": dict(drawn=40),
    "not averaged": dict(ema=0.0),
}


def recipes() -> dict[str, BakeoffRecipe]:
    """All candidates, one step long."""
    base = BakeoffRecipe("bakeoff", "house", 4, (Stage("pixels", 128, 16, 1, 1),))
    made = {name: replace(base, made_of=made_of) for name, made_of in (NETWORKS | FAST).items()}
    made["U-Net"] = replace(base, generator="lr_unet", options={"width": 32})
    for name, change in TRAININGS.items():
        rest = {key: value for key, value in change.items() if key not in ("made_of", "then", "then_rate")}
        made[name] = adjust(replace(base, made_of=change.get("made_of", PLAIN)), **rest)
        if then := change.get("then"):
            (first,) = made[name].stages
            made[name] = replace(made[name], stages=(first, replace(first, name="then", loss=then, lr_max=change.get("then_rate", 2e-4))))
    return made


def step_time(recipe: Recipe, split, steps: int = 4) -> float:
    """Milliseconds of processor time of a training step, the median of a few."""
    net, found = recipe.create(), []
    learn = recipe.learner(net, split)
    learn.create_opt()
    batches = iter(learn.dls.train)
    for _, (x, y) in zip(range(steps), batches):
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            out = net(x)
        F.l1_loss(out.float(), y).backward()
        learn.opt.step()
        found.append(1000 * (time.process_time() - start))
    return statistics.median(found)


def long_as(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with so many steps in all, of several stages four fifths in the first."""
    parts = [steps] if len(recipe.stages) == 1 else [steps * 4 // 5, steps // 5]
    return replace(recipe, stages=tuple(replace(s, epochs=10, steps=max(1, n // 10)) for s, n in zip(recipe.stages, parts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000, help="training steps of the house network")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--only", help="candidates, separated by ';'")
    args = parser.parse_args()
    torch.set_num_threads(1)
    plans = recipes() if not args.only else {name: recipes()[name] for name in args.only.split(";")}
    costs = measure_costs(plans, args)
    pairs = load_set(find_benchmark("Kodak24"), 4)
    for seed in map(int, args.seeds.split(",")):
        for name, recipe in plans.items():
            done = rows_of(args.out)
            if ((done.candidate == name) & (done.seed == seed)).any():
                continue
            cost = costs.loc[name]
            recipe = long_as(replace(recipe, seed=seed), round(args.steps * cost.house_step_ms / cost.step_ms))
            run = train(recipe, args.pictures, args.runs / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}", progress=False)
            row = dict(candidate=name, seed=seed, steps=sum(s.total for s in recipe.stages)) | cost.to_dict()
            row |= dict(psnr_y=kodak_psnr(recipe, run.path / "model.safetensors", pairs), made_of=str(recipe.made_of or recipe.options))
            table = pd.concat([rows_of(args.out), pd.DataFrame([row])])  # read again: another process may do the other seed
            record(table, args.out)
            print(f"{name}, seed {seed}: {row['psnr_y']:.3f} dB, {row['ms']:.0f} ms", flush=True)


def rows_of(file: Path) -> pd.DataFrame:
    """What was measured before, without where and how."""
    found = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["candidate", "seed"])
    return found.drop(columns=["commit", "threads", "command"], errors="ignore")


def measure_costs(plans: dict, args) -> pd.DataFrame:
    """Processor time of use and of a step, each beside the house's in the same turn; kept in the folder of runs."""
    kept = args.runs / "costs.csv"
    costs = pd.read_csv(kept, index_col=0) if kept.exists() else pd.DataFrame()
    house, split = recipes()["plain"], None
    for name, recipe in plans.items():
        if name in costs.index:
            continue
        split = split or house.read(args.pictures)
        ms = cpu_times({"house": house.create().eval(), name + " ": recipe.create().eval()})
        turns = [(step_time(house, split), step_time(recipe, split)) for _ in range(5)]
        steps = [statistics.median(column) for column in zip(*turns)]
        found = dict(ms=ms[name + " "], ratio=ms[name + " "] / ms["house"], step_ms=steps[1], house_step_ms=steps[0])
        found["parameters"] = sum(p.numel() for p in recipe.create().parameters())
        costs = pd.concat([costs, pd.DataFrame([found], index=[name])])
        args.runs.mkdir(parents=True, exist_ok=True)
        costs.to_csv(kept)
        print(name, {key: round(value, 2) for key, value in found.items()}, flush=True)
    return costs


def kodak_psnr(recipe: Recipe, file: Path, pairs) -> float:
    """Mean Y-PSNR by the benchmark protocol."""
    net = recipe.create().eval()
    net.load_state_dict(read_state(file))
    return evaluate({"it": net}, pairs, 4, ["psnr_y"], baselines=[], progress=False).means.psnr_y[0]


if __name__ == "__main__":
    main()
