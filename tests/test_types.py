"""What editors and type checkers see of srfast."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER = """\
import srfast

reveal_type(srfast.upscale("photo.jpg", 2))
reveal_type(srfast.upscale)
srfast.upscale("photo.jpg", scale="two")
srfast.no_such_name
"""
LARGE = "torch.*,torchvision.*,fastai.*,fastcore.*,pandas.*,matplotlib.*,skimage.*,starlette.*,fasthtml.*"  # not read: that takes minutes


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A user's script in a folder of its own."""
    path = tmp_path_factory.mktemp("user") / "script.py"
    path.write_text(USER)
    return path


def run(*command, cwd, **env):
    """What a type checker prints; it ends with 1 where it finds errors."""
    bin = Path(sys.executable).parent
    done = subprocess.run([bin / command[0], *command[1:]], cwd=cwd, capture_output=True, text=True, env={"PATH": str(bin), **env})
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_mypy_sees_the_signature(script):
    (script.parent / "mypy.ini").write_text(f"[mypy]\nfollow_imports = silent\n[mypy-{LARGE}]\nfollow_imports = skip\n")
    settings = ["--python-executable", sys.executable, "--cache-dir", str(script.parent / "cache")]
    found = run("mypy", *settings, script.name, cwd=script.parent, MYPYPATH=str(ROOT)).splitlines()
    signature = next(line for line in found if 'Revealed type is "Overload(' in line)
    assert "scale: float =" in signature and "width: int | None =" in signature
    errors = [line for line in found if "error:" in line]
    assert 'No overload variant of "upscale" matches argument types "str", "str"' in errors[0]
    assert 'Module has no attribute "no_such_name"' in errors[1] and len(errors) == 2


def test_pyright_sees_the_signature(script):
    (script.parent / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}))
    found = json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable, script.name, cwd=script.parent))
    notes = {(note["severity"], note["range"]["start"]["line"]): note["message"] for note in found["generalDiagnostics"]}
    assert '"Image"' in notes["information", 2]  # the kind of the result by the kind of the image
    assert "(img" in notes["information", 3] and "scale: float = 4" in notes["information", 3]
    assert '"scale"' in notes["error", 4] and '"upscale"' in notes["error", 4]
    assert '"no_such_name" is not a known attribute' in notes["error", 5]


def test_jedi_completes_public_names():
    import jedi
    project = jedi.Project(ROOT, added_sys_path=[str(ROOT)])
    completions = jedi.Script("import srfast\nsrfast.upsc", project=project).complete()
    assert "upscale" in [found.name for found in completions]
    signature = jedi.Script("import srfast\nsrfast.upscale(", project=project).get_signatures()[0]
    assert [parameter.name for parameter in signature.params][:3] == ["img", "scale", "size"]
