#!/usr/bin/env python
"""Measure what published networks cost beside `photo`: processor time for 256 x 256 at x4, one thread, float32, in turns.

    python research/measure_peers.py

Time does not depend on the weights, so networks that do not come with srfast are built as their papers describe them, with random
weights. A network whose number of parameters differs from the published one stops the run.
"""
import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from srfast.evaluation.costs import cpu_times, multiply_adds
from srfast.evaluation.models import load_models
from srfast.evaluation.results import record
from srfast.evaluation.benchmark import published

conv, leaky = partial(nn.Conv2d, padding="same"), partial(nn.LeakyReLU, 0.05)


class FSRCNN(nn.Module):
    """FSRCNN(56, 12, 4) on luminance. Source: Dong et al. (2016)."""

    def __init__(self):
        super().__init__()
        sizes = (1, 56, 5), (56, 12, 1), *[(12, 12, 3)] * 4, (12, 56, 1)
        self.body = nn.Sequential(*(m for size in sizes for m in (conv(*size, bias=False), nn.PReLU(size[1]))))
        self.up = nn.ConvTranspose2d(56, 1, 9, 4, padding=4, output_padding=3, bias=False)

    def forward(self, x): return self.up(self.body(x[:, :1]))


class Cascade(nn.Module):
    """Three steps, each fused with the results of all before it. Source: Ahn et al., CARN (2018), figure 3."""

    def __init__(self, make):
        super().__init__()
        self.steps = nn.ModuleList(make() for _ in range(3))
        self.fuse = nn.ModuleList(nn.Sequential(conv(64 * n, 64, 1), nn.ReLU()) for n in (2, 3, 4))

    def forward(self, x):
        seen = x
        for step, fuse in zip(self.steps, self.fuse):
            seen = torch.cat([seen, step(x)], 1)
            x = fuse(seen)
        return x


class Residual(nn.Sequential):
    def __init__(self): super().__init__(conv(64, 64, 3), nn.ReLU(), conv(64, 64, 3))

    def forward(self, x): return F.relu(super().forward(x) + x)


class CARN(nn.Module):
    """One body and a tail for each scale, of which that of x4 is used. Source: Ahn et al., CARN (2018)."""

    def __init__(self):
        super().__init__()
        self.head, self.body, self.last = conv(3, 64, 3), Cascade(partial(Cascade, Residual)), conv(64, 3, 3)
        self.up = nn.Sequential(*[m for _ in range(2) for m in (conv(64, 256, 3), nn.ReLU(), nn.PixelShuffle(2))])
        self.unused = nn.ModuleList([conv(64, 256, 3), conv(64, 576, 3)])

    def forward(self, x): return self.last(self.up(self.body(self.head(x))))


class ContrastAttention(nn.Module):
    """Weighs channels by their contrast. Source: Hui et al., IMDN (2019), CCA layer."""

    def __init__(self):
        super().__init__()
        self.weigh = nn.Sequential(conv(64, 4, 1), nn.ReLU(), conv(4, 64, 1), nn.Sigmoid())

    def forward(self, x): return x * self.weigh(x.mean((2, 3), keepdim=True) + x.std((2, 3), keepdim=True, correction=0))


class Distill(nn.Module):
    """Splits off a quarter of the channels, three times. Source: Hui et al., IMDN (2019), IMDB."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([conv(64, 64, 3), conv(48, 64, 3), conv(48, 64, 3)])
        self.last, self.attend, self.mix = conv(48, 16, 3), ContrastAttention(), conv(64, 64, 1)

    def forward(self, x):
        rest, kept = x, []
        for layer in self.convs:
            part, rest = F.leaky_relu(layer(rest), 0.05).split((16, 48), 1)
            kept.append(part)
        return self.mix(self.attend(torch.cat([*kept, self.last(rest)], 1))) + x


class IMDN(nn.Module):
    """Six blocks whose results are joined. Source: Hui et al., IMDN (2019)."""

    def __init__(self):
        super().__init__()
        self.head, self.blocks = conv(3, 64, 3), nn.ModuleList(Distill() for _ in range(6))
        self.join, self.tail = nn.Sequential(conv(384, 64, 1), leaky(), conv(64, 64, 3)), nn.Sequential(conv(64, 48, 3), nn.PixelShuffle(4))

    def forward(self, x):
        first = x = self.head(x)
        seen = [x := block(x) for block in self.blocks]
        return self.tail(self.join(torch.cat(seen, 1)) + first)


class SpatialAttention(nn.Module):
    """Weighs places by what lies around them. Source: Liu et al., RFANet (2020), as in RLFN."""

    def __init__(self):
        super().__init__()
        self.narrow, self.across, self.widen = conv(52, 16, 1), conv(16, 16, 1), conv(16, 52, 1)
        self.around = nn.Sequential(nn.Conv2d(16, 16, 3, 2), nn.MaxPool2d(7, 3), conv(16, 16, 3))

    def forward(self, x):
        small = self.narrow(x)
        around = F.interpolate(self.around(small), small.shape[2:], mode="bilinear")
        return x * self.widen(around + self.across(small)).sigmoid()


class Local(nn.Module):
    """Three convolutions, a skip, attention. Source: Kong et al., RLFN (2022), RLFB."""

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(*(m for _ in range(3) for m in (conv(52, 52, 3), leaky())))
        self.mix, self.attend = conv(52, 52, 1), SpatialAttention()

    def forward(self, x): return self.attend(self.mix(self.convs(x) + x))


class RLFN(nn.Module):
    """Six blocks 52 wide. Source: Kong et al., RLFN (2022), winner of the challenge on efficient super-resolution."""

    def __init__(self):
        super().__init__()
        self.head, self.blocks, self.join = conv(3, 52, 3), nn.Sequential(*(Local() for _ in range(6))), conv(52, 52, 3)
        self.tail = nn.Sequential(conv(52, 48, 3), nn.PixelShuffle(4))

    def forward(self, x):
        first = self.head(x)
        return self.tail(self.join(self.blocks(first)) + first)


def create_peers() -> dict[str, nn.Module]:
    """The networks by their published names; a `ValueError` if one has not the published number of parameters."""
    peers = {net.__name__: net() for net in (FSRCNN, CARN, IMDN, RLFN)}
    counts = published().query("scale == 4").groupby("model").parameters.first()
    for name, net in peers.items():
        count = sum(p.numel() for p in net.parameters() if p.ndim > 1 or name != "FSRCNN")  # its paper counts kernels alone
        if abs(count / counts[name] - 1) > 0.04: raise ValueError(f"expected {counts[name]:,.0f} parameters of {name}, got {count:,}")
    return {name: net.eval().to(memory_format=torch.channels_last) for name, net in peers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("data/results/tables/peers.csv"))
    args = parser.parse_args()
    models = load_models(["bicubic", "fast", "photo"], 4) | create_peers() | {"VDSR": load_models("vdsr", 4)["vdsr"]}
    ms = cpu_times(models)
    table = pd.DataFrame({"model": list(models), "ms": list(ms.values()), "ratio": [t / ms["photo"] for t in ms.values()]})
    table["multiply_adds"] = [multiply_adds(net, 4) if isinstance(net, nn.Module) else None for net in models.values()]
    record(table, args.out)
    print(table.round(3).to_string())


if __name__ == "__main__": main()
