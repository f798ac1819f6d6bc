"""A training that is killed anywhere goes on and ends with the same weights."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fastai.callback.core import Callback
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from srfast.training import Recipe, Stage, train

ENV = os.environ | {"OMP_NUM_THREADS": "1"}
STAGES = (
    Stage("short", size=32, bs=2, epochs=3, steps=20, warmup=5),
    Stage("last", size=32, bs=2, epochs=1, steps=6, warmup=2, loss="mse"),
)
RECIPE = Recipe("tiny", "house_small", 2, STAGES, n_valid=2, precision="float32")
STEPS = sum(stage.epochs * stage.steps for stage in STAGES)
# The same training in a process of its own; prints a line after each step and saves after each.
SCRIPT = f"""
import sys
from fastai.callback.core import Callback
from srfast.training import Recipe, Stage, train
class Tell(Callback):
    order = 90
    def after_batch(self):
        if self.training: print(self.keeper.index, self.keeper.done, flush=True)
train({RECIPE!r}, sys.argv[1], sys.argv[2], device="cpu", checkpoint_minutes=0, progress=False, cbs=[Tell()])
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Sixteen photographs of about 100 pixels, some of odd sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("chelsea", "coffee", "astronaut", "rocket"):
        img = Image.fromarray(getattr(data, name)())
        for i in range(4):
            x, y = 60 + 50 * i, 40 + 30 * i
            img.crop((x, y, x + 101 + i, y + 97)).save(folder / f"{name}_{i}.png")
    return folder


def same_weights(run, other):
    ours, theirs = (load_file(Path(folder) / "model.safetensors") for folder in (run, other))
    assert ours.keys() == theirs.keys()
    return all(ours[key].equal(theirs[key]) for key in ours)


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """The run that nobody interrupted."""
    return train(RECIPE, pictures, tmp_path_factory.mktemp("whole"), device="cpu", progress=False)


def begin(pictures, out):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(pictures), str(out)], stdout=subprocess.PIPE, text=True, env=ENV)


def test_killed_three_times_it_ends_with_the_same_weights(pictures, whole, tmp_path):
    chance = random.Random(2026)
    reached = (0, 0)
    for _ in range(3):
        work = begin(pictures, tmp_path)
        steps = [tuple(map(int, work.stdout.readline().split())) for _ in range(chance.randint(4, 18))]
        assert steps[0] > reached or reached == (0, 0), "it began again from the start"
        try: work.wait(chance.random() * 0.03)
        except subprocess.TimeoutExpired: pass
        work.kill()
        assert work.wait() == -signal.SIGKILL
        reached = steps[-1][0], steps[-1][1] - 1
    work = begin(pictures, tmp_path)
    last = work.communicate()[0].splitlines()[-1]
    assert (work.returncode, last) == (0, "1 6")
    assert same_weights(tmp_path, whole.path)
    assert [row["psnr_y"] for row in train(RECIPE, pictures, tmp_path).history] == [row["psnr_y"] for row in whole.history]


class Crash(Callback):
    """Breaks the training after so many steps."""
    order = 95

    def __init__(self, step):
        self.left = step

    def after_batch(self):
        self.left -= self.training
        if self.training and not self.left: raise RuntimeError("crash")


@pytest.mark.parametrize("step, minutes", [(1, 60), (13, 0), (20, 60), (47, 60), (60, 0), (61, 0), (STEPS, 60)])
def test_a_crash_at_any_step_costs_nothing(step, minutes, pictures, whole, tmp_path):
    with pytest.raises(RuntimeError, match="crash"):
        train(RECIPE, pictures, tmp_path, device="cpu", checkpoint_minutes=minutes, progress=False, cbs=[Crash(step)])
    run = train(RECIPE, pictures, tmp_path, device="cpu", checkpoint_minutes=minutes, progress=False)
    assert same_weights(tmp_path, whole.path)
    assert run.history == whole.history


def test_a_damaged_checkpoint_is_passed_over(pictures, whole, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="crash"):
        train(RECIPE, pictures, tmp_path, device="cpu", checkpoint_minutes=0, progress=False, cbs=[Crash(33)])
    newest = max((tmp_path / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    train(RECIPE, pictures, tmp_path, device="cpu", progress=False)
    assert newest.name in capsys.readouterr().err
    assert same_weights(tmp_path, whole.path)


def test_a_finished_run_is_left_alone(pictures, whole):
    files = {p: p.stat().st_mtime_ns for p in whole.path.rglob("*") if p.is_file()}
    train(RECIPE, pictures, whole.path, device="cpu", progress=False)
    assert {p: p.stat().st_mtime_ns for p in whole.path.rglob("*") if p.is_file()} == files


def test_another_training_does_not_enter_the_folder(pictures, whole, tmp_path):
    other = Recipe("tiny", "house_small", 2, STAGES, n_valid=2, precision="float32", seed=1)
    with pytest.raises(ValueError, match="holds another training .*seed"):
        train(other, pictures, whole.path, device="cpu", progress=False)
    shutil.copytree(pictures, tmp_path / "more")
    Image.new("RGB", (100, 100)).save(tmp_path / "more/new.png")
    with pytest.raises(ValueError, match="holds another training .*data"):
        train(RECIPE, tmp_path / "more", whole.path, device="cpu", progress=False)


def test_another_seed_gives_other_weights(pictures, whole, tmp_path):
    other = Recipe("tiny", "house_small", 2, STAGES, n_valid=2, precision="float32", seed=1)
    train(other, pictures, tmp_path, device="cpu", progress=False)
    assert not same_weights(tmp_path, whole.path)


def test_folder_of_a_run(whole):
    told = json.loads((whole.path / "run.json").read_text())
    assert told["recipe"]["scale"] == 2 and told["data"]["pictures"] == 16
    assert [(row["stage"], row["epoch"]) for row in whole.history] == [("short", "1"), ("short", "2"), ("short", "3"), ("last", "1")]
    names = {str(p.relative_to(whole.path)) for p in whole.path.rglob("*") if p.is_file()}
    samples = {f"samples/{name}.png" for name in ("0_0001", "0_0002", "0_0003", "1_0001")}
    assert names - samples == {f"checkpoints/{name}.pt" for name in ("0_00000040", "0_00000060", "1_00000006")} | {
        "history.csv", "model.safetensors", "run.json"}
    assert samples < names


@pytest.fixture(scope="module")
def stopped(pictures, tmp_path_factory):
    """`srfast train` stopped by Ctrl-C in its second epoch, then asked to go on: (run folder, first end, steps saved, second end)."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    code = "import sys; from srfast.cli import main; main()"
    asked = ["train", pictures, "-o", out, "--generator", "house_small", "--scale", "2", "--epochs", "2", "--size", "32", "--bs", "2"]
    command = [sys.executable, "-c", code, *map(str, [*asked, "--device", "cpu"])]
    work = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    first = next(line for line in work.stderr if line.startswith("pixels 1/2") or work.poll() is not None)
    work.send_signal(signal.SIGINT)
    more, told = work.stderr.read(), work.stdout.read()
    work.wait()
    saved = max((out / "checkpoints").glob("*.pt")).stem
    again = subprocess.run(command, capture_output=True, text=True, env=ENV)
    return out, (work.returncode, told, first, more), saved, again


def test_ctrl_c_saves_and_says_so_in_one_line(stopped):
    out, (code, told, first, more), saved, _ = stopped
    assert re.match(r"pixels 1/2  step 500  loss [\d.]+  psnr_y [\d.]+", first)
    assert (code, told) == (130, "")
    assert 500 < int(saved.split("_")[1]) < 1000
    assert len(more.splitlines()) == 1, more
    assert more.startswith("srfast: stopped") and str(out) in more


def test_the_same_command_goes_on(stopped):
    out, _, _, again = stopped
    assert again.returncode == 0, again.stderr
    start, epoch = again.stderr.splitlines()
    assert re.match(r"pixels: 1000 steps, from step [5-9]\d\d$", start) and epoch.startswith("pixels 2/2  step 1000")
    assert again.stdout.startswith(str(out)) and f"--model {out}" in again.stdout
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[2] for row in rows] == ["500", "1000"]


def test_a_run_is_a_model(stopped):
    from srfast import upscale

    assert upscale(data.chelsea()[:20, :30], 2, model=stopped[0]).shape == (40, 60, 3)


def test_nothing_temporary_stays(stopped, whole):
    for folder in (stopped[0], whole.path):
        assert [p.name for p in folder.rglob(".*")] == []
