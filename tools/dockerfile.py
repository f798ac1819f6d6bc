#!/usr/bin/env python
"""Run the steps of the Dockerfile without an engine: the same commands, in folders and clean environments of their own.

A stage is a folder and a virtual environment; COPY copies (only what .dockerignore lets through), RUN runs without a
compiler, CMD is started and must pass HEALTHCHECK, enlarge a picture, and end when it is told to. Left out: what needs
an image (FROM gives the Python version, which must be one of ours; useradd and USER).
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = {"fastai", "torchvision", "pandas", "matplotlib", "scikit-image"}
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753"
                      "de0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082")


@dataclass
class Stage:
    """The folder that stands for the root of an image, its environment, and where its commands run."""
    folder: Path
    venv: Path
    env: dict
    work: Path = Path("/")
    last: dict = field(default_factory=dict)  # CMD and HEALTHCHECK

    def place(self, path: str) -> Path:
        """A path of the image as one of this machine."""
        return self.folder / (self.work / path).as_posix().lstrip("/")

    def shell(self, command, **options):
        """Runs a command as the image would."""
        self.place(".").mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(command, shell=isinstance(command, str), cwd=self.place("."), env=self.env, text=True, **options)


def read(text: str) -> list:
    """(instruction, arguments) pairs, comments and continued lines resolved."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [tuple(line.strip().split(None, 1)) for line in lines if line.strip()]


def new_stage(image: str, folder: Path, venv: Path) -> Stage:
    """A stage from a Python image."""
    version = re.fullmatch(r"python:3\.(\d+)-slim@sha256:[0-9a-f]{64}", image)
    minimum = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    if not version or int(version[1]) < int(minimum[1]):
        sys.exit(f"Dockerfile: expected python:3.N-slim@sha256:... of a Python that srfast supports, got {image}")
    if not venv:
        venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    keep = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")}
    path = f"{venv / 'bin'}:/usr/bin:/bin"
    return Stage(folder, venv, keep | {"PATH": path, "HOME": str(folder), "CC": "false", "CXX": "false", "OMP_NUM_THREADS": "1"})


def context(folder: Path) -> Path:
    """A copy of what .dockerignore lets through."""
    folder.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line.startswith("!"): continue
        source = ROOT / line[1:]
        if source.is_dir(): shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else: shutil.copy(source, folder)
    return folder


def copy(stage: Stage, arguments: str, stages: dict, outside: Path) -> None:
    """COPY, from outside or from another stage."""
    words = arguments.split()
    other = stages[words.pop(0).partition("=")[2]] if words[0].startswith("--from=") else None
    source = other.folder / words[0].lstrip("/") if other else outside / words[0]
    target = stage.place(words[1])
    if source.is_dir(): shutil.copytree(source, target, dirs_exist_ok=True)
    else: shutil.copy(source, target / source.name if target.is_dir() or words[1] == "." else target)


def step(stage: Stage, name: str, arguments: str, stages: dict, outside: Path, given: dict) -> None:
    """One instruction."""
    if name == "WORKDIR":
        stage.work = stage.work / arguments
        stage.place(".").mkdir(parents=True, exist_ok=True)
    elif name in ("ARG", "ENV"):
        key, _, value = arguments.partition("=")
        stage.env[key] = given.get(key, value) if name == "ARG" else value
    elif name == "COPY": copy(stage, arguments, stages, outside)
    elif name == "RUN" and not arguments.startswith("useradd"):
        if stage.shell(arguments).wait(): sys.exit(f"Dockerfile: RUN {arguments}: failed")
    elif name == "HEALTHCHECK": stage.last["health"] = json.loads(arguments.partition("CMD ")[2])
    elif name == "CMD": stage.last["cmd"] = json.loads(arguments)
    elif name not in ("RUN", "USER", "EXPOSE", "LABEL"): sys.exit(f"Dockerfile: expected an instruction that this tool knows, got {name}")


def build(folder: Path, venv: Path, given: dict) -> Stage:
    """All stages; the last one."""
    stages, stage, outside = {}, None, context(folder / "context")
    for name, arguments in read((ROOT / "Dockerfile").read_text()):
        if name == "FROM":
            image, _, title = arguments.partition(" AS ")
            place = folder / f"stage{len(stages)}"
            place.mkdir()
            stages[title or "last"] = stage = new_stage(image, place, venv)
        else: step(stage, name, arguments, stages, outside, given)
    return stage


def enlarge(url: str) -> None:
    """Sends a picture of one pixel and expects one of 4 x 4."""
    head = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    request = Request(f"{url}/api/jobs", head + PIXEL + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"})
    here = json.load(urlopen(request))["id"]
    while (job := json.load(urlopen(f"{url}/api/jobs/{here}")))["state"] in ("queued", "running"): time.sleep(0.1)
    if job["state"] != "done" or job["result_size"] != [4, 4]: sys.exit(f"Dockerfile: expected a picture of 4 x 4, got {job}")


def serve(stage: Stage) -> None:
    """Starts CMD on a free port and tries it."""
    with socket.create_server(("127.0.0.1", 0)) as free: port = str(free.getsockname()[1])
    with stage.shell([*stage.last["cmd"], "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            health = [part.replace("8000", port) for part in stage.last["health"]]
            for _ in range(120):
                if not stage.shell(health, stderr=subprocess.DEVNULL).wait(): break
                if server.poll() is not None: sys.exit("Dockerfile: CMD ended at once")
                time.sleep(0.5)
            else: sys.exit("Dockerfile: HEALTHCHECK never passed")
            enlarge(f"http://127.0.0.1:{port}")
        finally: server.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, help="use this environment for every stage, instead of new ones")
    parser.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE", help="as --build-arg")
    args = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in args.arg)
    with tempfile.TemporaryDirectory() as folder:
        stage = build(Path(folder), args.venv and args.venv.resolve(), given)
        listed = subprocess.check_output([stage.venv / "bin/python", "-m", "pip", "list", "--format=json"], text=True)
        unwanted = UNWANTED & {package["name"].lower() for package in json.loads(listed)}
        if unwanted: sys.exit(f"Dockerfile: expected an environment without {', '.join(sorted(unwanted))}")
        serve(stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
