"""The package as it is built, installed and described: pyproject.toml and what must agree with it."""
import configparser
import importlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import srfast

try: import tomllib
except ImportError: import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUP = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
MINORS = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirements():
    """Every requirement of pyproject.toml, of users, of extras and of groups."""
    groups = [need for group in PROJECT["dependency-groups"].values() for need in group if isinstance(need, str)]
    extras = [need for extra in PROJECT["project"]["optional-dependencies"].values() for need in extra]
    needs = map(Requirement, [*PROJECT["project"]["dependencies"], *extras, *groups])
    return [need for need in needs if need.name != "srfast"]


# What is written more than once agrees

def test_the_version_stands_in_one_place():
    assert SETUP["read_version"]() == srfast.__version__
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "srfast.__version__"}
    for name in ("pyproject.toml", "settings.ini", "setup.py", "CITATION.cff"): assert srfast.__version__ not in text(name), name


def test_nbdev_2_and_3_read_the_same():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    old, new, project = parser["DEFAULT"], PROJECT["tool"]["nbdev"], PROJECT["project"]
    assert old["repo"] == new["lib_path"] == project["name"]
    assert old["description"] == project["description"] and old["author"] == project["authors"][0]["name"]
    assert f">={old['min_python']}" == project["requires-python"]
    for key in ("tst_flags", "branch"): assert old[key] == new[key]
    for key in ("clean_ids", "custom_sidebar"): assert old.getboolean(key) is new[key]


def test_the_same_pythons_everywhere():
    promise = f"Python {MINORS[0]} to {MINORS[-1]}"
    assert PROJECT["project"]["requires-python"] == f">={MINORS[0]}"
    assert promise in text("README.md") and promise in text("CONTRIBUTING.md")
    matrix = yaml.safe_load(text(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == MINORS and len(matrix["os"]) >= 2
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + MINORS[0].replace(".", "")


def test_the_extra_that_is_named_brings_the_package():
    distributions = {"skimage": "scikit-image", "plum": "plum-dispatch", "fasthtml": "python-fasthtml", "multipart": "python-multipart",
                     "pillow_heif": "pillow-heif"}
    indirect = {"starlette": "python-fasthtml"}
    for module, extra in importlib.import_module("srfast._lazy").EXTRAS.items():
        name = indirect.get(module) or distributions.get(module, module)
        assert name in [Requirement(need).name for need in PROJECT["project"]["optional-dependencies"][extra]], module


# Versions: ranges for users, one of each for the tests

def test_users_get_ranges():
    for need in map(Requirement, PROJECT["project"]["dependencies"]): assert re.match(">=", str(need.specifier)), need
    for extra in PROJECT["project"]["optional-dependencies"].values(): assert not any("==" in need for need in extra)
    pinned = {need.name for need in requirements() if "==" in str(need.specifier)}
    assert pinned == {"nbdev", "fastcore", "execnb", "ghapi", "fastai", "fasttransform", "torch", "torchvision"}


@pytest.mark.parametrize("python", MINORS)
def test_everything_tests_install_is_locked(python):
    machine = {**default_environment(), "python_version": python, "python_full_version": f"{python}.10", "extra": ""}
    locked = {}
    for line in text("constraints.txt").splitlines():
        if line.startswith("#"): continue
        need = Requirement(line)
        assert len(need.specifier) == 1 and str(need.specifier).startswith("=="), line
        if need.marker and not need.marker.evaluate(machine): continue
        assert canonicalize_name(need.name) not in locked, f"{need.name}: locked twice for Python {python}"
        locked[canonicalize_name(need.name)] = str(need.specifier).removeprefix("==")
    for need in requirements():
        if need.marker and not need.marker.evaluate(machine): continue
        version = locked.get(canonicalize_name(need.name))
        assert version and need.specifier.contains(version, prereleases=True), f"{need}: constraints.txt has {version}; run `make lock`"


# The long description on the package index

def test_links_of_the_readme_become_absolute(monkeypatch):
    absolute = SETUP["absolute_links"]
    assert absolute("[a](LICENSE) ![b](data/b.png) [c](https://x.org/c) [d](#top) [e](nbs/e.ipynb#f)", "1.2") == (
        "[a](https://github.com/srfast/srfast/blob/v1.2/LICENSE) ![b](https://raw.githubusercontent.com/srfast/srfast/v1.2/data/b.png)"
        " [c](https://x.org/c) [d](https://github.com/srfast/srfast/blob/v1.2/README.md#top)"
        " [e](https://github.com/srfast/srfast/blob/v1.2/nbs/e.ipynb#f)")
    assert absolute('<img width="9" src="data/x.webp">', "1") == (
        '<img width="9" src="https://raw.githubusercontent.com/srfast/srfast/v1/data/x.webp">')
    code = "```python\nfirst[0](second)\n```"
    assert absolute(code, "1") == code


def test_no_link_of_the_readme_is_left_relative():
    made = SETUP["absolute_links"](text("README.md"), srfast.__version__)
    targets = [found["target"] for part in SETUP["FENCE"].split(made)[::2] for found in SETUP["LINK"].finditer(part)]
    assert targets and all(target.startswith("https://") for target in targets)
    ours = [target for target in targets if f"/srfast/srfast/blob/v{srfast.__version__}/" in target or target.startswith(SETUP["RAW"])]
    assert ours
    for target in ours: assert (ROOT / target.partition(f"/v{srfast.__version__}/")[2].partition("#")[0]).exists(), target


# What is built

def build(source, out, kind):
    """The file that setuptools makes, as pip asks it to."""
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What setuptools needs, copied."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "srfast", folder / "srfast", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "LICENSE-WEIGHTS.md"): shutil.copy(ROOT / name, folder)
    return folder


def test_a_wheel_holds_no_file_of_an_earlier_build(checkout, tmp_path):
    extra = checkout / "srfast/gone.py"
    extra.write_text("")
    before = zipfile.ZipFile(build(checkout, tmp_path, "wheel")).namelist()
    extra.unlink()
    after = zipfile.ZipFile(build(checkout, tmp_path, "wheel")).namelist()
    assert set(before) - set(after) == {"srfast/gone.py"} and not (checkout / "build").exists()
    licences = [name.rpartition("/")[2] for name in after if "/licenses/" in name]
    assert "srfast/py.typed" in after and sorted(licences) == ["LICENSE", "LICENSE-WEIGHTS.md"]


def test_the_metadata(checkout, tmp_path):
    with zipfile.ZipFile(build(checkout, tmp_path, "wheel")) as wheel:
        info = f"srfast-{srfast.__version__}.dist-info"
        metadata, points = wheel.read(f"{info}/METADATA").decode(), wheel.read(f"{info}/entry_points.txt").decode()
    assert f"\nVersion: {srfast.__version__}\n" in metadata and "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "](https://github.com/srfast/srfast/blob/v" in metadata
    assert "[console_scripts]\nsrfast = srfast.cli:main" in points and "[nbdev]\nsrfast = srfast._modidx:d" in points


def test_the_source_distribution_holds_the_checkout(tmp_path):
    if not (ROOT / ".git").exists(): pytest.skip("no checkout")
    tracked = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
    tracked = {name for name in tracked if (ROOT / name).exists()}
    with tarfile.open(build(ROOT, tmp_path, "sdist")) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    assert sorted(tracked - packed) == [] and not (ROOT / "build").exists()


# The environment of the Makefile

PYTHON = """\
#!/bin/sh
# A Python {version} that says so, makes an environment with itself in it, and has a new pip.
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-c import pip"*) exit 0 ;;
    "-c "*) echo "{version} {version}.1 /usr/{version}" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """A folder with the Makefile, and Pythons of several versions; a way to run its first step."""
    (tmp_path / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt", "tools/venv.sh"): shutil.copy(ROOT / name, tmp_path / name)
    for version in ("3.9", "3.11", "3.12"):
        (tmp_path / f"python{version}").write_text(PYTHON.format(version=version))
        (tmp_path / f"python{version}").chmod(0o755)

    def run(*arguments):
        return subprocess.run(["make", "-s", ".venv/.made", *arguments], cwd=tmp_path, capture_output=True, text=True)
    return tmp_path, run


def test_make_refuses_an_old_python_at_once(project):
    folder, run = project
    done = run("PYTHON=./python3.9")
    assert done.returncode and f"is tested with {MINORS[0]} to {MINORS[-1]}; './python3.9' is Python 3.9.1." in done.stderr
    assert not (folder / ".venv").exists()
    assert "there is no './python3' that runs" in run("PYTHON=./python3").stderr


def test_make_remakes_the_environment_for_another_python(project):
    folder, run = project
    assert run("PYTHON=./python3.11").returncode == 0
    kept = folder / ".venv/kept"
    kept.touch()
    run("PYTHON=./python3.11"), run()
    assert kept.exists()
    assert "Making .venv anew, with ./python3.12." in run("PYTHON=./python3.12").stdout and not kept.exists()
    assert run("PYTHON=./python3.9").returncode and (folder / ".venv").exists()


def test_demo_says_what_it_downloads(project):
    _, run = project
    assert "torch 2." in run("-n", ".venv/.demo", "PYTHON=./python3.12").stdout


# What maintainers expect

SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "custom.github-workflows-require-timeout": ".github/workflows/[!r]*.yml",  # release calls another workflow, which has them
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "vendor.citation-file-format": "CITATION.cff",
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_github_follow_their_schemas(schema):
    files = sorted(map(str, ROOT.glob(SCHEMAS[schema])))
    assert files
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_workflows_call_what_is_there():
    targets = re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE)
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            if "uses" in job: assert (ROOT / job["uses"]).exists(), job["uses"]
            for command in [step["run"] for step in job.get("steps", []) if "run" in step]:
                for target in re.findall(r"^make (\w+)", command, re.MULTILINE): assert target in targets, f"{path.name}: make {target}"
                for script in re.findall(r"(?:^|/)((?:\.ci|tools)/[\w.]+)", command, re.MULTILINE): assert (ROOT / script).exists(), script


def test_pre_commit_runs_checks_that_are_there():
    for hook in yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]:
        assert all((ROOT / word).exists() for word in hook["entry"].split() if word.startswith("tools/"))
    pytest.importorskip("pre_commit")
    command = Path(sys.executable).with_name("pre-commit")
    done = subprocess.run([command, "validate-config", ROOT / ".pre-commit-config.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_changelog_has_a_place_for_what_is_new():
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased" and headings[1].split()[0] == srfast.__version__


def test_no_file_names_a_host_of_a_package_registry():
    if not (ROOT / ".git").exists(): pytest.skip("no checkout")
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb", "debian", "org"))]
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        path = ROOT / name
        if path.suffix in (".safetensors", ".png", ".jpg", ".webp") or not path.exists(): continue
        found = [host for host in hosts if host in path.read_text(encoding="utf-8", errors="ignore")]
        assert not found, f"{name} names {', '.join(found)}"
