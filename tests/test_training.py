"""A training in bad circumstances: it says clearly what is wrong, and nothing is lost."""
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback
from PIL import Image
from safetensors.torch import load_file
from worker import RECIPE, STAGES, Work, at, crash, limit_files, same_weights, spoil_gradient, spoil_input

from srfast.training.recipes import get_recipe, list_recipes
from srfast.training.runs import Run, load_checkpoint
from srfast.training.trainer import parameter_groups, train
from srfast.networks.weights import load_generator


def goes_on(pictures, out, whole):
    """Whether the same call ends like the run that had no trouble."""
    return Work(pictures, out).end() == "done" and same_weights(out, whole.path) and Run(out).history == whole.history


@pytest.mark.parametrize("size, written", [
    (300, set()), (3_000, {"run.json"}), (250_000, {"run.json", "history.csv", "model.safetensors"}),
])
def test_a_full_disk(size, written, pictures, whole, tmp_path):
    out = tmp_path / "run"
    told = Work(pictures, out, before=[partial(limit_files, size)]).end()
    assert told.startswith("OSError") and "run the same call again" in told and str(out) in told
    assert {p.name for p in out.iterdir() if p.is_file()} == written
    assert list(out.rglob(".*")) == []
    assert goes_on(pictures, out, whole)


def test_a_disk_that_fills_later_leaves_the_last_checkpoint(pictures, whole, tmp_path):
    Work(pictures, tmp_path, minutes=0, cbs=[at(13, "before_batch", spoil_input)]).end()
    told = Work(pictures, tmp_path, before=[partial(limit_files, 250_000)]).end()
    assert told.startswith("OSError")
    assert load_checkpoint(Run(tmp_path))["step"] == 12
    assert goes_on(pictures, tmp_path, whole)


def test_a_place_that_cannot_be_written(pictures, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/run"):
        train(RECIPE, pictures, tmp_path / "file/run", progress=False)
    if Path("/sys").is_mount():
        with pytest.raises(OSError, match="/sys/srfast"):
            train(RECIPE, pictures, "/sys/srfast", progress=False)


@pytest.mark.parametrize("step, event, spoil, told, kept", [
    (15, "before_batch", spoil_input, "the loss is not finite at step 15", 10),
    (15, "after_backward", spoil_gradient, "the loss is not finite at step 16", 10),
    (20, "after_backward", spoil_gradient, "a weight is not finite at step 20", 10),
])
def test_what_is_no_number_is_never_saved(step, event, spoil, told, kept, pictures, whole, tmp_path):
    assert told in Work(pictures, tmp_path, cbs=[at(step, event, spoil)]).end()
    assert load_checkpoint(Run(tmp_path))["step"] == kept
    assert all(value.isfinite().all() for value in load_file(tmp_path / "model.safetensors").values())
    assert goes_on(pictures, tmp_path, whole)


def test_no_weights_that_are_no_numbers_between_epochs(pictures, tmp_path):
    told = Work(pictures, tmp_path, minutes=0, cbs=[at(15, "after_backward", spoil_gradient)]).end()
    assert "a weight is not finite at step 15" in told
    assert load_checkpoint(Run(tmp_path))["step"] == 14


def test_the_second_in_a_folder_is_turned_away(pictures, whole, tmp_path):
    first = Work(pictures, tmp_path, minutes=0, waits=True)
    first.step()
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    other = replace(RECIPE, seed=1)
    assert "another process is training in this folder" in Work(pictures, tmp_path).end()
    assert "seed: was 0, now 1" in Work(pictures, tmp_path, recipe=other).end()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files
    first.kill()
    assert first.end() == signal.SIGKILL
    assert goes_on(pictures, tmp_path, whole)


def test_another_training_does_not_enter_the_folder(pictures, whole, tmp_path):
    with pytest.raises(ValueError, match="holds a different run .*seed"):
        train(replace(RECIPE, seed=1), pictures, whole.path, device="cpu", progress=False)
    shutil.copytree(pictures, tmp_path / "more")
    Image.new("RGB", (100, 100)).save(tmp_path / "more/new.png")
    with pytest.raises(ValueError, match="holds a different run .*data"):
        train(RECIPE, tmp_path / "more", whole.path, device="cpu", progress=False)


@pytest.mark.parametrize("text", [None, "", '{"recipe": {', "[1, 2]", "\x00" * 500])
def test_checkpoints_of_who_knows_what_are_refused(text, pictures, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "run.json"
    file.unlink()
    if text is not None: file.write_text(text)
    with pytest.raises(ValueError, match="run.json is missing or damaged"):
        train(RECIPE, pictures, tmp_path, device="cpu", progress=False)
    if text: assert file.read_text() == text


def test_a_finished_model_without_its_checkpoints_is_not_trained_over(pictures, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "checkpoints")
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="holds a trained model, and no checkpoint"):
        train(RECIPE, pictures, tmp_path, device="cpu", progress=False)
    with pytest.raises(ValueError, match="holds a different run .*seed"):
        train(replace(RECIPE, seed=1), pictures, tmp_path, device="cpu", progress=False)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(file.read_bytes()[:500]), Path.unlink])
def test_a_run_whose_checkpoints_are_all_lost_is_not_begun_anew(spoil, pictures, tmp_path):
    Work(pictures, tmp_path, cbs=[at(25, "before_batch", crash)]).end()
    for file in Run(tmp_path).checkpoints: spoil(file)
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="holds a trained model, and no checkpoint"):
        train(RECIPE, pictures, tmp_path, device="cpu", progress=False)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files


def test_a_deleted_model_is_written_again(pictures, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    assert goes_on(pictures, tmp_path, whole)


def test_in_a_thread(pictures, whole, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(train, RECIPE, pictures, tmp_path, device="cpu", progress=False).result()
    assert same_weights(tmp_path, whole.path)


def test_a_callback_may_end_a_stage(pictures, tmp_path):
    lazy = EarlyStoppingCallback(monitor="psnr_y", min_delta=50, patience=1)
    run = train(RECIPE, pictures, tmp_path, device="cpu", progress=False, cbs=[lazy])
    assert [row["stage"] for row in run.history] == ["short", "last"]  # an epoch that is cut off is not kept


def test_a_callback_that_was_not_there_before_begins_fresh(pictures, tmp_path):
    class Counts(Callback):
        n = 0
        def after_batch(self): self.n += 1
        def state_dict(self): return {"n": self.n}
        def load_state_dict(self, state): self.n = state["n"]

    Work(pictures, tmp_path, cbs=[at(13, "before_batch", crash)]).end()
    counts = Counts()
    train(RECIPE, pictures, tmp_path, device="cpu", progress=False, cbs=[counts])
    assert counts.n > 0


@pytest.mark.parametrize("wrong", [{"n_valid": 0}, {"valid_size": 8}, {"ema": 1.0}])
def test_wrong_numbers_are_refused_at_once(wrong):
    with pytest.raises(ValueError, match="expected n_valid"):
        replace(RECIPE, **wrong)


@pytest.mark.parametrize("wrong, told", [
    ({"freeze": True}, "no encoder to freeze"),
    ({"supervision": 1.0}, "no intermediate predictions"),
    ({"size": 4096}, "choose a size of at most"),
])
def test_what_a_later_stage_would_stumble_over_is_found_at_once(wrong, told, pictures, tmp_path):
    later = replace(RECIPE, stages=(STAGES[0], replace(STAGES[1], **wrong)))
    with pytest.raises(ValueError, match=told):
        train(later, pictures, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_error_in_the_forward_pass_leaves_float32_behind(pictures, tmp_path):
    class Bug(Callback):
        order = 20
        def before_batch(self): crash(self.learn)

    with pytest.raises(RuntimeError, match="crash"):
        train(replace(RECIPE, precision="bf16"), pictures, tmp_path, device="cpu", progress=False, cbs=[Bug()])
    assert not torch.is_autocast_enabled("cpu")


def test_after_a_frozen_stage_all_is_trained(pictures, tmp_path):
    stages = [replace(stage, epochs=1, freeze=not i) for i, stage in enumerate(STAGES)]
    recipe = replace(RECIPE, generator="lr_unet", options={"width": 4}, stages=stages)
    run = train(recipe, pictures, tmp_path / "both", device="cpu", progress=False)
    first = train(recipe, pictures, tmp_path / "first", stages=["short"], device="cpu", progress=False)
    encoders = [parameter_groups(load_generator(r.path))[0] for r in (run, first)]
    assert not any(map(torch.equal, *encoders))


def test_hidden_files_of_others_stay(pictures, tmp_path):
    (tmp_path / "web").mkdir()
    others = [tmp_path / name for name in ("web/.main.1a2b3c4d.js", ".secret.deadbeef.txt", "web/.a.deadbeef.part.png")]
    for file in [*others, tmp_path / ".history.deadbeef.part.csv"]: file.write_text("x")
    assert Work(pictures, tmp_path, recipe=replace(RECIPE, stages=(replace(STAGES[0], epochs=1),))).end() == "done"
    assert sorted(p for p in tmp_path.rglob(".*")) == sorted(others)


def test_weights_to_start_from_may_be_spelled_in_another_way(pictures, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(whole.path.parent)
    for init in (whole.path.name, f"./{whole.path.name}", str(whole.path)):
        train(RECIPE, pictures, tmp_path, init=init, stages=[STAGES[0].name], device="cpu", progress=False)
    with pytest.raises(ValueError, match="init: was .*, now photo"):
        train(RECIPE, pictures, tmp_path, init="photo", stages=[STAGES[0].name], device="cpu", progress=False)


def test_another_seed_gives_other_weights(pictures, whole, tmp_path):
    assert Work(pictures, tmp_path, recipe=replace(RECIPE, seed=1)).end() == "done"
    assert not same_weights(tmp_path, whole.path)


def test_stopped_politely_by_a_signal(pictures, whole, tmp_path):
    work = Work(pictures, tmp_path, waits=True)
    for _ in range(4):
        work.step()
        work.go_on()
    work.step()
    work.kill(signal.SIGTERM)
    assert work.end().startswith("KeyboardInterrupt: stopped")
    assert load_checkpoint(Run(tmp_path))["step"] in (5, 6)
    assert goes_on(pictures, tmp_path, whole)


def test_every_stage_of_every_recipe_reaches_its_rate():
    for name in list_recipes():
        for stage in get_recipe(name).stages:
            assert stage.lr_max >= stage.reached >= 0.9 * stage.lr_max, (name, stage)


def test_a_stage_shorter_than_its_warm_up_reaches_its_rate(pictures, tmp_path):
    rates, brief = [], replace(STAGES[0], epochs=2, warmup=200)  # 20 steps
    train(replace(RECIPE, stages=(brief,)), pictures, tmp_path, device="cpu", progress=False,
          cbs=[Callback(before_step=lambda self: rates.append(self.opt.hypers[-1]["lr"]))])
    assert len(rates) == 20 and max(rates) == rates[4] == brief.lr_max and rates[-1] < 0.02 * brief.lr_max
