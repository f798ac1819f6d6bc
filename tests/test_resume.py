"""A training that is killed anywhere goes on and ends with the same weights."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from skimage import data
from worker import RECIPE, STAGES, STEPS, Work, at, crash, die_at_write, same_weights

from srfast.training.runs import Run, load_checkpoint

ENV = os.environ | {"OMP_NUM_THREADS": "1"}


def hidden(folder): return [p.name for p in folder.rglob(".*")]


def ends_like(whole, out, pictures):
    """Whether the run in `out`, gone on with, ends like the one that nobody interrupted, and leaves nothing unfinished."""
    assert Work(pictures, out).end() == "done"
    assert same_weights(out, whole.path)
    assert Run(out).history == whole.history
    files, wanted = ({p.name for p in folder.rglob("*") if p.suffix != ".pt"} for folder in (out, whole.path))
    assert (files, hidden(out), len(Run(out).checkpoints)) == (wanted, [], 1)
    return True


def test_killed_twenty_times_it_ends_with_the_same_weights(pictures, whole, tmp_path):
    chance, reached, seen = random.Random(2026), (0, 0), set()
    for life in range(20):
        steps = 0 if life < 3 else chance.randint(2, 3)
        work = Work(pictures, tmp_path, minutes=0, waits=True)
        for _ in range(steps):
            assert (now := work.step()) >= reached, "it began again from an earlier step"
            reached = now
            seen.add(now[0])
            work.go_on()
        time.sleep(chance.random() * (0.03 if steps else 0.3))
        work.kill()
        assert work.end() == signal.SIGKILL
    assert seen == {0, 1}
    assert ends_like(whole, tmp_path, pictures)


@pytest.mark.parametrize("cut", [False, True], ids=["written", "half written"])
def test_killed_at_each_write(cut, pictures, whole, tmp_path):
    for n in range(1, 10):
        assert Work(pictures, tmp_path, before=[partial(die_at_write, n, cut)]).end() == signal.SIGKILL
        assert len(hidden(tmp_path)) == 1
    assert ends_like(whole, tmp_path, pictures)


@pytest.mark.parametrize("step, minutes", [(1, 60), (13, 0), (29, 60), (30, 60)])
def test_a_crash_costs_nothing(step, minutes, pictures, whole, tmp_path):
    assert Work(pictures, tmp_path, minutes=minutes, cbs=[at(step, "after_batch", crash)]).end().endswith("crash")
    assert ends_like(whole, tmp_path, pictures)


def test_a_damaged_checkpoint_is_passed_over(pictures, whole, tmp_path, capsys):
    Work(pictures, tmp_path, minutes=0, cbs=[at(13, "after_batch", crash)]).end()
    newest = Run(tmp_path).checkpoints[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert load_checkpoint(Run(tmp_path))["step"] == 12 and newest.name in capsys.readouterr().err
    assert ends_like(whole, tmp_path, pictures)


def test_a_finished_run_is_left_alone(pictures, whole):
    files = {p: p.stat().st_mtime_ns for p in whole.path.rglob("*") if p.is_file()}
    assert Work(pictures, whole.path).end() == "done"
    assert {p: p.stat().st_mtime_ns for p in whole.path.rglob("*") if p.is_file()} == files


def test_folder_of_a_run(whole):
    told = json.loads((whole.path / "run.json").read_text())
    assert told["recipe"]["scale"] == RECIPE.scale and told["data"]["pictures"] == 16
    epochs = [(stage.name, str(epoch + 1)) for stage in STAGES for epoch in range(stage.epochs)]
    assert [(row["stage"], row["epoch"]) for row in whole.history] == epochs
    names = {str(p.relative_to(whole.path)) for p in whole.path.rglob("*") if p.is_file()}
    assert names == {f"samples/{i:02d}_{k * (10, 14)[i]:08d}.png" for i in (0, 1) for k in (1, 2, 3)} | {
        "checkpoints/01_00000042.pt", "checkpoints/lock", "history.csv", "model.safetensors", "run.json"}
    assert STEPS == 72


def test_checkpoints_every_few_minutes_the_last_three_kept(pictures, tmp_path):
    Work(pictures, tmp_path, minutes=0, cbs=[at(14, "after_batch", crash)]).end()
    assert [p.stem for p in Run(tmp_path).checkpoints] == ["00_00000012", "00_00000013", "00_00000014"]
    Work(pictures, tmp_path, minutes=60, cbs=[at(24, "after_batch", crash)]).end()
    assert [p.stem for p in Run(tmp_path).checkpoints] == ["00_00000013", "00_00000014", "00_00000020"]


@pytest.fixture(scope="module")
def stopped(pictures, tmp_path_factory):
    """`srfast train` stopped by Ctrl-C in its second epoch, then asked to go on: (run folder, first end, steps saved, second end)."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    code = "import sys; from srfast.cli import main; main()"
    asked = ["--generator", "house_small", "--scale", "2", "--epochs", "2", "--steps", "200", "--size", "32", "--bs", "2"]
    command = [sys.executable, "-c", code, "train", str(pictures), "-o", str(out), *asked, "--device", "cpu"]
    work = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    first = next(line for line in work.stderr if line.startswith("pixels 1/2") or work.poll() is not None)
    work.send_signal(signal.SIGINT)
    more, told = work.stderr.read(), work.stdout.read()
    work.wait()
    saved = Run(out).checkpoints[-1].stem
    again = subprocess.run(command, capture_output=True, text=True, env=ENV)
    return out, (work.returncode, told, first, more), saved, again


def test_ctrl_c_saves_and_says_so_in_one_line(stopped):
    out, (code, told, first, more), saved, _ = stopped
    assert re.match(r"pixels 1/2  step 200  loss [\d.]+  psnr_y [\d.]+", first)
    assert (code, told) == (130, "")
    assert 200 < int(saved.split("_")[1]) < 400
    assert len(more.splitlines()) == 1, more
    assert more.startswith("srfast: stopped") and str(out) in more


def test_the_same_command_goes_on(stopped):
    out, _, _, again = stopped
    assert again.returncode == 0, again.stderr
    start, epoch = again.stderr.splitlines()
    assert re.match(r"pixels: 400 steps, from step [23]\d\d$", start) and epoch.startswith("pixels 2/2  step 400")
    assert again.stdout.startswith(str(out)) and f"--model {out}" in again.stdout
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[2] for row in rows] == ["200", "400"]


def test_a_run_is_a_model(stopped):
    from srfast import upscale

    assert upscale(data.chelsea()[:20, :30], 2, model=stopped[0]).shape == (40, 60, 3)


def test_nothing_temporary_stays(stopped, whole):
    for folder in (stopped[0], whole.path):
        assert hidden(folder) == []
