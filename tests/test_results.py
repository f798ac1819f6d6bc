"""Recorded tables and trainings: what `record` writes, and that the lineage in data/results holds together."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture
def repository(tmp_path):
    """A folder with data/results and a script below it."""
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "research").mkdir()
    (tmp_path / "research" / "count.py").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A function: what `record` writes in a process with this script, module and arguments."""
    for name in ("OMP_NUM_THREADS", "SRFAST_DATA"): monkeypatch.delenv(name, raising=False)

    def command(script, *args, module=None):
        main = SimpleNamespace(__spec__=module and SimpleNamespace(name=module), **({"__file__": str(script)} if script else {}))
        monkeypatch.setitem(sys.modules, "__main__", main)
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, args)])
        return pd.read_csv(record(pd.DataFrame({"n": [1]}), tmp_path / "out.csv"), keep_default_na=False).command.item()
    return command


def test_the_command_is_that_of_the_process(repository):
    env = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    env["PYTHONPATH"] = str(Path(srfast.__file__).parents[1])
    subprocess.run([sys.executable, "count.py", "a b", "--x"], cwd=repository / "research", env=env, check=True)
    assert pd.read_csv(repository / "research" / "out.csv").command.item() == "python research/count.py 'a b' --x"


def test_the_command_holds_no_path_of_this_machine(repository, command, monkeypatch):
    monkeypatch.setenv("SRFAST_DATA", "/pictures")
    made = command(repository / "research" / "count.py", "/pictures/Set5", "0=/pictures", "/pictures2", f"0={repository}/runs/a")
    assert made == "python research/count.py $SRFAST_DATA/Set5 0=$SRFAST_DATA /pictures2 0=runs/a"


def test_the_command_says_how_many_threads_were_asked_for(repository, command, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert command(repository / "research" / "count.py") == "OMP_NUM_THREADS=1 python research/count.py"


def test_a_module_an_installed_program_and_no_script(repository, command):
    assert command(repository / "count" / "__main__.py", "--x", module="count.__main__") == "python -m count --x"
    assert command(repository / "bin" / "counter", "--x") == "counter --x"
    assert command("") == ""


def test_a_script_outside_any_repository_is_named_without_its_folder(tmp_path, command):
    assert command(tmp_path / "count.py") == "python count.py"


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
    kinds = ("plus10", "plus15", "wide", "large")
    short = {"srcnn_smooth_0": "srcnn_smooth_WEIGHT"} | {f"t91_srcnn_{kind}_": f"..._{kind}_..." for kind in kinds}
    for model in RUNS.iterdir():
        name = next((to for start, to in short.items() if model.name.startswith(start)), model.name)
        assert f"`{name}`" in text, model


@committed
def test_steps_are_counted_over_all_stages():
    history = read_history("photo_x4/4")
    assert history.total_steps.tolist() == list(range(500, 50_001, 500)) and history.step.max() == 36_000
    assert read_history("photo_x4/*").groupby("n").total_steps.max().tolist() == lineage("photo_x4").steps.tolist()
    assert read_history("t91_srcnn*_small").model.nunique() == 7


def test_results_are_found_on_colab_after_a_restart(tmp_path, monkeypatch):
    """The package is installed without its repository, and the clone lies in the working folder."""
    from srfast.evaluation import results

    (tmp_path / "site/srfast").mkdir(parents=True)
    (tmp_path / "content/srfast/data/results/tables").mkdir(parents=True)
    monkeypatch.setattr(results, "files", lambda name: tmp_path / "site" / name)
    assert results._repository(tmp_path / "content") == tmp_path / "content/srfast"
    assert results._repository(tmp_path / "content/srfast/nbs/systems") == tmp_path / "content/srfast"
    assert results._repository(tmp_path / "elsewhere") is None
