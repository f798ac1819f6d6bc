"""Several processes train as one: the same weights in each to the bit, and nobody waits for ever."""
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from worker import RECIPE, Work, at, same_weights, set_environ, spoil_input

from srfast.training.runs import Run, load_checkpoint
from srfast.training.stages import Stage
from srfast.training.trainer import Recipe, train
from srfast.networks.weights import read_state

STAGES = Stage("short", size=32, bs=2, epochs=2, steps=6, warmup=5), Stage("last", size=32, bs=2, epochs=1, steps=4)
SHORT = replace(RECIPE, stages=STAGES)


class Keep(Callback):
    """Keeps the weights each rank ends with."""
    order = 99

    def __init__(self, folder):
        self.folder = folder

    def after_fit(self):
        torch.save(self.model.state_dict(), self.folder / f"rank{os.environ['RANK']}.pt")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def pair(pictures, out, keep=None, cbs=((), ()), **options):
    """Two trainings in one, told by the environment who they are, as launchers do."""
    common = dict(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port(), GLOO_SOCKET_IFNAME="lo")
    kept = [partial(Keep, keep)] if keep else []
    told = [partial(set_environ, common | {"RANK": str(rank)}) for rank in range(2)]
    return [Work(pictures, out, SHORT, before=[told[rank]], cbs=[*cbs[rank], *kept], **options) for rank in range(2)]


@pytest.fixture(scope="module")
def both(pictures, tmp_path_factory):
    """The run of two ranks that nobody interrupted; their last weights beside it."""
    out = tmp_path_factory.mktemp("both")
    assert [work.end() for work in pair(pictures, out / "run", out)] == ["done", "done"]
    return out


def test_both_ranks_end_equal(both):
    first, second = (torch.load(both / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert all(first[key].equal(second[key]) for key in first)


def test_they_learn_from_different_patches(both, pictures, tmp_path):
    assert Work(pictures, tmp_path, SHORT).end() == "done"
    assert not same_weights(tmp_path, both / "run")


class Joined:
    """The batches of both ranks as one."""

    def __init__(self, first, second): self.parts, self.seed = (first, second), 0

    def __len__(self): return len(self.parts[0])

    def __iter__(self): return (tuple(torch.cat(imgs) for imgs in zip(*batches)) for batches in zip(*self.parts))


class JoinedRecipe(Recipe):
    """One process that sees what two saw."""

    def loaders(self, split, stage, seed=0, first=0):
        dls = [super(JoinedRecipe, self).loaders(split, stage, seed + million, first) for million in (0, 1_000_000)]
        return DataLoaders(Joined(dls[0].train, dls[1].train), dls[0].valid)


def test_two_ranks_are_one_process_with_both_batches(both, pictures, tmp_path):
    train(JoinedRecipe(**vars(SHORT)), pictures, tmp_path, device="cpu", progress=False)
    ours, theirs = (read_state(folder / "model.safetensors") for folder in (tmp_path, both / "run"))
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=1e-4)
    rows = zip(Run(tmp_path).history, Run(both / "run").history)
    assert all(float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), abs=1e-4) for a, b in rows)


def test_only_the_first_writes(both):
    assert {p.name for p in (both / "run").iterdir()} == {"checkpoints", "history.csv", "model.safetensors", "run.json", "samples"}
    assert len(Run(both / "run").history) == 3


def goes_on(pictures, out, both):
    """Whether both, called again, end like the pair that nobody interrupted."""
    return [work.end() for work in pair(pictures, out)] == ["done", "done"] and same_weights(out, both / "run")


@pytest.mark.parametrize("victim", [0, 1])
def test_one_is_killed_and_the_other_does_not_wait(victim, both, pictures, tmp_path):
    works = pair(pictures, tmp_path, minutes=0, waits=True)
    for _ in range(3):
        for work in works: work.step()
        for work in works: work.go_on()
    works[victim].kill()
    assert works[victim].end() == signal.SIGKILL
    assert works[1 - victim].end() != "done"
    assert goes_on(pictures, tmp_path, both)


@pytest.mark.parametrize("asked", [0, 1])
def test_asked_to_stop_both_stop_and_save(asked, both, pictures, tmp_path):
    works = pair(pictures, tmp_path, waits=True)
    for work in works: work.step()
    works[asked].kill(signal.SIGTERM)
    for work in works: work.go_on()
    ends = [work.end() for work in works]
    assert all(end.startswith("KeyboardInterrupt: stopped") for end in ends), ends
    assert load_checkpoint(Run(tmp_path))["step"] in (1, 2)
    assert goes_on(pictures, tmp_path, both)


def test_no_number_in_one_is_none_in_all(both, pictures, tmp_path):
    ends = [work.end() for work in pair(pictures, tmp_path, cbs=((), (at(8, "before_batch", spoil_input),)))]
    assert all("the loss is not finite at step 8" in end for end in ends), ends
    assert load_checkpoint(Run(tmp_path))["step"] == 6
    assert goes_on(pictures, tmp_path, both)


def test_a_finished_run_is_finished_for_both(both, pictures):
    files = {p: p.stat().st_mtime_ns for p in (both / "run").rglob("*") if p.is_file()}
    assert [work.end() for work in pair(pictures, both / "run")] == ["done", "done"]
    assert {p: p.stat().st_mtime_ns for p in (both / "run").rglob("*") if p.is_file()} == files


def test_the_command_under_torchrun(pictures, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
    srfast = [sys.executable, "-c", "from srfast.cli import main; main()"]
    asked = ["--generator", "house_small", "--scale", "2", "--epochs", "1", "--steps", "9", "--size", "32", "--bs", "2", "--device", "cpu"]
    command = [*torchrun, *srfast, "train", str(pictures), "-o", str(tmp_path / "run"), *asked]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("use it: srfast upscale") == 1 and done.stderr.count("step 9") == 1
    assert len(Run(tmp_path / "run").history) == 1
