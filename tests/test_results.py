"""Recorded tables and trainings: what `record` writes, and that the lineage in data/results holds together."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import srfast
from srfast.evaluation.results import lineage, read_history, read_results, record

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "data" / "results" / "runs"
committed = pytest.mark.skipif(not RUNS.is_dir(), reason="no data/results: run the tests in a clone")
SCRIPT = """
import pandas as pd
from srfast.evaluation.results import record
record(pd.DataFrame({"n": [1]}), "out.csv")
"""


def run(folder, *args, **env):
    """Run `python *args` in `folder`; return the command in out.csv."""
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "SRFAST_DATA")} | env
    env["PYTHONPATH"] = str(Path(srfast.__file__).parents[1])
    subprocess.run([sys.executable, *map(str, args)], cwd=folder, env=env, check=True)
    (command,) = pd.read_csv(folder / "out.csv", keep_default_na=False).command
    return command


@pytest.fixture
def repository(tmp_path):
    """A folder with data/results and a script below it."""
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "research").mkdir()
    (tmp_path / "research" / "count.py").write_text(SCRIPT)
    return tmp_path


def test_the_command_is_that_of_the_process(repository):
    script = repository / "research" / "count.py"
    assert run(repository, script, "a b", "--x") == "python research/count.py 'a b' --x"
    assert run(repository / "research", "count.py") == "python research/count.py"


def test_the_command_holds_no_path_of_this_machine(repository):
    script = repository / "research" / "count.py"
    made = run(repository, script, "/pictures/Set5", "0=/pictures", "/pictures2", f"0={repository}/runs/a", SRFAST_DATA="/pictures")
    assert made == "python research/count.py $SRFAST_DATA/Set5 0=$SRFAST_DATA /pictures2 0=runs/a"


def test_the_command_says_how_many_threads_were_asked_for(repository):
    assert run(repository, "research/count.py", OMP_NUM_THREADS="1") == "OMP_NUM_THREADS=1 python research/count.py"


def test_a_module_an_installed_program_and_no_script(repository):
    (repository / "count.py").write_text(SCRIPT)
    (repository / "counter").write_text(SCRIPT)
    assert run(repository, "-m", "count", "--x") == "python -m count --x"
    assert run(repository, "counter", "--x") == "counter --x"
    assert run(repository, "-c", SCRIPT) == ""


def test_a_script_outside_any_repository_is_named_without_its_folder(tmp_path):
    (tmp_path / "count.py").write_text(SCRIPT)
    assert run(tmp_path, tmp_path / "count.py") == "python count.py"


def test_a_command_given_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SRFAST_DATA", "/pictures")
    file = record(pd.DataFrame({"n": [1.23456, 1e-5]}), tmp_path / "new" / "a.csv", "look at /pictures")
    assert pd.read_csv(file).command.tolist() == ["look at $SRFAST_DATA"] * 2
    assert pd.read_csv(file).n.tolist() == [1.2346, 1e-5]
    with pytest.raises(ValueError, match="ending in .csv"): record(pd.DataFrame(), tmp_path / "a.txt")


@committed
def test_results_are_found_from_any_folder(tmp_path, monkeypatch):
    for folder in (tmp_path, ROOT, ROOT / "nbs" / "systems"):
        monkeypatch.chdir(folder)
        assert len(read_results("benchmark")) > 50 and len(read_history("photo_x4")) == 24
    (tmp_path / "data" / "results" / "tables").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert read_results("benchmark").empty  # the nearest one counts


def test_without_results_an_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("srfast.evaluation.results.files", lambda name: tmp_path / "site-packages" / name)
    with pytest.raises(FileNotFoundError, match="clone of the repository"): read_results("benchmark")
    with pytest.raises(FileNotFoundError, match="clone of the repository"): lineage("photo_x4")


@committed
def test_runs_are_numbered_from_one_and_parents_come_before():
    known = set()
    for model in sorted(RUNS.iterdir()):
        numbers = sorted(int(run.name) for run in model.iterdir())
        assert numbers == list(range(1, len(numbers) + 1)), model
        known |= {f"{model.name}/{n}" for n in numbers}
    for file in RUNS.glob("*/*/run.json"):
        about, name = json.loads(file.read_text(encoding="utf-8")), f"{file.parent.parent.name}/{file.parent.name}"
        assert list(about)[:4] == ["parent", "mixed", "command", "note"], name
        assert (about["parent"] is None) == (about["init"] is None), name
        others = [other for other in (about["parent"], (about["mixed"] or {}).get("with")) if other]
        assert set(others) <= known, name
        for other in others:
            model, n = other.split("/")
            assert model != file.parent.parent.name or int(n) < int(file.parent.name), name
        assert about["command"] or about["note"], name


@committed
def test_a_run_leads_back_to_random_weights():
    parent, seen = "photo_x4/9", []
    while parent:
        seen.append(parent)
        parent = json.loads((RUNS / parent / "run.json").read_text(encoding="utf-8"))["parent"]
    assert seen == [f"photo_x4/{n}" for n in range(9, 0, -1)]


@committed
def test_no_run_holds_a_path_of_a_machine():
    for file in RUNS.glob("*/*/run.json"):
        assert not re.search(r'["= ](/|[A-Z]:\\\\)\w', file.read_text(encoding="utf-8")), file


@committed
def test_every_table_and_run_is_listed():
    text = (ROOT / "data" / "results" / "README.md").read_text(encoding="utf-8")
    for file in (ROOT / "data" / "results" / "tables").iterdir(): assert f"`{file.name}`" in text, file
    short = {"srcnn_smooth_0": "srcnn_smooth_WEIGHT", "t91_srcnn_p": "..._plus10_...", "t91_srcnn_w": "..._wide_...", "t91_srcnn_l": "..._large_..."}
    for model in RUNS.iterdir():
        name = next((to for start, to in short.items() if model.name.startswith(start)), model.name)
        assert f"`{name}`" in text, model


@committed
def test_steps_are_counted_over_all_stages():
    history = read_history("photo_x4/4")
    assert history.total_steps.tolist() == list(range(500, 50_001, 500)) and history.step.max() == 36_000
    assert read_history("photo_x4/*").groupby("n").total_steps.max().tolist() == lineage("photo_x4").steps.tolist()
    assert read_history("t91_srcnn*_small").model.nunique() == 7
