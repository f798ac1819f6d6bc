"""The command line: what it writes, what it says, what it leaves behind."""
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = shutil.which("srfast", path=str(Path(sys.executable).parent))
SRFAST = [SCRIPT] if SCRIPT else [sys.executable, "-c", "from srfast.cli import main; main()"]
ENV = os.environ | {"OMP_NUM_THREADS": "1"}


def srfast(folder, *args, before=()):
    return subprocess.run([*before, *SRFAST, *args], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=ENV)


def contents(folder):
    """Every file with its bytes, every folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in Path(folder).rglob("*")}


def picture(width=12, height=9, mode="RGB"):
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / 3 + k) * np.cos(y / 4 - k) for k in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8)).convert(mode)


def noise(kind, **options):
    """A picture that compresses badly, as a file."""
    img = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    file = io.BytesIO()
    img.save(file, kind, **options)
    return file.getvalue()


def png_of_claimed_size(width, height):
    """A small valid header that promises a huge picture."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def half(data):
    return data[: len(data) // 2]


def prepare(folder):
    """Good and bad pictures for every case below."""
    picture().save(folder / "ok.png")
    see_through = picture()
    see_through.putalpha(100)
    see_through.save(folder / "alpha.png")
    see_through.save(folder / "alpha_inside.jpg", "PNG")
    Image.new("1", (6000, 6000)).save(folder / "vast.png")
    Image.new("RGB", (4100, 1), "teal").save(folder / "wide.webp")
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    for suffix, kind in (("jpg", "JPEG"), ("png", "PNG"), ("gif", "GIF"), ("webp", "WEBP")):
        (folder / f"half.{suffix}").write_bytes(half(noise(kind)))
    (folder / "half.tif").write_bytes(half(noise("TIFF", compression="tiff_lzw")))
    (folder / "bomb.png").write_bytes(png_of_claimed_size(60000, 60000))
    (folder / "large_claim.png").write_bytes(png_of_claimed_size(11000, 11000))
    (folder / "bad.safetensors").write_bytes(b"abc")
    for name in ("folder", "other", "one", "many"):
        (folder / name).mkdir()
    picture().save(folder / "other/ok.png")
    picture().save(folder / "one/a.png")
    for i in range(14): picture(40, 40).save(folder / f"many/{i:02d}.png")
    (folder / "old.png").write_bytes(b"precious")
    (folder / "link.png").symlink_to("ok.png")
    os.link(folder / "ok.png", folder / "hard.png")


# name: (exit code, what the one line on stderr must contain, arguments)
REFUSED = {
    "missing file": (2, "nothere.png: no such file", "upscale nothere.png"),
    "newline in a missing name": (2, "no such file", ["upscale", "not\nhere.png"]),
    "name too long": (2, "aaa", ["upscale", "a" * 300 + ".png"]),
    "empty folder": (2, "folder: no image found (looked for .avif", "upscale folder"),
    "folder to a file": (2, "expected a folder for the results, got -o x.png", "upscale many -o x.png"),
    "folder and standard input": (2, "expected one image with -", "upscale many -"),
    "pattern without a match": (2, "no image found", ["upscale", "many/*.jpg"]),
    "batch of nothing": (2, "nodir: no such file, folder or pattern", "batch nodir out"),
    "batch with a wrong shard": (2, "expected a shard from 0/64 to 63/64", "batch many out --shard 64/64"),
    "batch with an unknown engine": (2, "unknown engine 'rya': did you mean ray", "batch many out --engine rya"),
    "batch to a store without driver": (2, "abfs:// needs adlfs: pip install adlfs", "batch many abfs://c/out"),
    "batch with an unknown model": (2, "unknown model 'phto'", "batch many out --model phto"),
    "text renamed": (2, "text.png: expected an image", "upscale text.png"),
    "zero bytes": (2, "empty.png", "upscale empty.png"),
    "half a JPEG": (2, "half.jpg", "upscale half.jpg"),
    "half a PNG": (2, "half.png", "upscale half.png"),
    "half a GIF": (2, "half.gif", "upscale half.gif"),
    "half a WebP": (2, "half.webp", "upscale half.webp"),
    "half a TIFF": (2, "half.tif", "upscale half.tif"),
    "bomb": (2, "bomb.png", "upscale bomb.png"),
    "large claim, little data": (2, "large_claim.png", "upscale large_claim.png"),
    "huge result": (2, "400,000,000", "upscale vast.png"),
    "scale 0": (2, "expected a scale from 1 to 16, got 0", "upscale ok.png --scale 0"),
    "scale 1000": (2, "got 1000", "upscale ok.png --scale 1000"),
    "scale nan": (2, "got nan", "upscale ok.png --scale nan"),
    "scale negative": (2, "got -3", "upscale ok.png --scale -3"),
    "scale no number": (2, "--scale", "upscale ok.png --scale large"),
    "size no number": (2, "expected a size such as 1920x1080", "upscale ok.png --size ²x5"),
    "two sizes": (2, "expected one of size, width, height and longest", "upscale ok.png --size 20x20 --width 20"),
    "tile no number": (2, "tile", "upscale ok.png --tile huge"),
    "unknown model": (2, "unknown model 'phto': did you mean photo", "upscale ok.png --model phto"),
    "damaged weights": (2, "bad.safetensors", "upscale ok.png --model bad.safetensors"),
    "unknown device": (2, "nodevice", "upscale ok.png --device nodevice"),
    "result exists": (2, "old.png: already exists; use --force", "upscale ok.png -o old.png"),
    "result is the picture": (2, "would overwrite the image itself", "upscale ok.png -o ok.png --force"),
    "result links to the picture": (2, "would overwrite", "upscale ok.png -o link.png --force"),
    "picture links to the result": (2, "would overwrite", "upscale link.png -o ok.png --force"),
    "result is a hard link of the picture": (2, "would overwrite", "upscale ok.png -o hard.png --force"),
    "two pictures, one file": (2, "expected a folder for the results of 2 images, got -o x.png", "upscale ok.png alpha.png -o x.png"),
    "two pictures, standard output": (2, "expected one image with - (standard input or output), got 2", "upscale ok.png alpha.png -o -"),
    "standard input beside a picture": (2, "expected one image with - (standard input or output), got 2", "upscale ok.png - -o folder"),
    "unknown format": (2, "expected a format of png, jpg", "upscale ok.png --format docx"),
    "a format under another name": (2, "big.png: expected a name ending in .jpeg", "upscale ok.png -o big.png --format jpeg"),
    "transparency in a format asked for": (2, "transparency", "upscale alpha.png --format jpeg"),
    "quality without loss": (2, "got one for PNG; leave it out", "upscale ok.png --quality 90"),
    "quality too high": (2, "--quality", "upscale ok.png --format jpeg --quality 101"),
    "unknown colour": (2, "expected a colour such as white", "upscale alpha.png --background whte"),
    "no number of pixels": (2, "expected an amount such as", "upscale ok.png --max-pixels many"),
    "more pixels than asked for": (2, "expected at most 100 pixels, got 108", "upscale ok.png --max-pixels 100"),
    "more pixels made than asked for": (2, "at most 400 pixels, got 48 x 36", "upscale ok.png --max-pixels 400"),
    "no folder for the result": (2, "nodir: no such folder", "upscale ok.png -o nodir/big.png"),
    "several pictures, a file as folder": (2, "text.png", "upscale ok.png alpha.png -o text.png"),
    "suffix that cannot be written": (2, "expected a name ending in .png", "upscale ok.png -o big.xyz"),
    "transparency to JPEG": (2, "transparency", "upscale alpha.png -o big.jpg"),
    "too wide for WebP": (2, "16383", "upscale wide.webp -o big.webp"),
    "unknown command": (2, "upscale", "upscal ok.png"),
    "unknown option": (2, "--scle", "upscale ok.png --scle 2"),
    "dash in front": (2, "-d", "upscale -dash.png"),
    "training on nothing": (2, "nodir", "train nodir -o run"),
    "training on one picture": (2, "none of 1 images can be used", "train one -o run"),
    "training with an unknown network": (2, "unknown generator 'hous': did you mean house", "train many -o run --generator hous"),
    "training with an unknown loss": (2, "unknown loss 'l3'", "train many -o run --scale 2 --size 32 --loss l3"),
    "training at a scale without network": (2, "expected a scale of 2, 3, 4, got 5", "train many -o run --scale 5"),
    "training with a negative size": (2, "size", "train many -o run --scale 2 --size -4"),
    "training on larger patches than pictures": (2, "images of at least 64 x 64 pixels", "train many -o run --scale 2 --size 64"),
    "training from unknown weights": (2, "unknown model 'phto'", "train many -o run --scale 2 --size 32 --init phto"),
    "training with a negative rate": (
        2, "lr", "train many -o run --generator house_small --scale 2 --size 8 --bs 1 --epochs 1 --lr-max -1"),
    "training with a loss twice": (2, "got 'mse=1,mse=2'", "train many -o run --scale 2 --size 32 --loss mse=1,mse=2"),
    "a table of another kind": (2, "a file ending in .csv, got out.txt", "evaluate fast many --scale 2 --csv out.txt"),
    "a set without a name": (2, "the name of a set", "benchmark --sets many, --scale 2"),
    "no such recipe": (2, "no recipe matches 'nosuch*'", "recipes nosuch*"),
    "demo into a file": (2, "ok.png", "demo -o ok.png"),
}


def split(args):
    return args.split() if isinstance(args, str) else args


# One interpreter loads everything once; each case is a process of its own that runs the command and skips only torch's slow farewell.
FORKS = """
import gc, json, os, sys, traceback
import srfast.inference.upscaler, srfast.training.trainer
from srfast.cli import main
gc.freeze()
for folder, args in json.load(sys.stdin):
    if not (pid := os.fork()):
        os.chdir(folder)
        for number, name in ((1, "out"), (2, "err")): os.dup2(os.open(f"{folder}.{name}", os.O_CREAT | os.O_WRONLY), number)
        sys.argv, code = ["srfast", *args], 1
        try: main()
        except SystemExit as end: code = end.code or 0
        except BaseException: traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Every case run once: name -> (exit code, stdout, stderr, contents before, contents after)."""
    root = tmp_path_factory.mktemp("refused")
    folders = {name: root / str(i) for i, name in enumerate(REFUSED)}
    for folder in folders.values():
        folder.mkdir()
        prepare(folder)
    before = {name: contents(folder) for name, folder in folders.items()}
    jobs = json.dumps([(str(folder), split(REFUSED[name][2])) for name, folder in folders.items()])
    done = subprocess.run([sys.executable, "-c", FORKS], input=jobs, capture_output=True, text=True, env=ENV, check=True)
    told = {name: [folder.with_name(f"{folder.name}.{kind}").read_text() for kind in ("out", "err")] for name, folder in folders.items()}
    yield {name: (int(code), *told[name], before[name], contents(folders[name])) for name, code in zip(folders, done.stdout.split())}
    shutil.rmtree(root)


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_one_clear_line_and_its_exit_code(name, refused):
    wanted, words, _ = REFUSED[name]
    code, out, err, _, _ = refused[name]
    assert len(err.splitlines()) == 1, err
    assert err.startswith("srfast: ")
    assert words in err
    assert (code, out) == (wanted, "")


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_leaves_nothing_behind(name, refused):
    *_, before, after = refused[name]
    assert sorted(after) == sorted(before)
    assert after == before


@pytest.fixture
def folder(tmp_path):
    picture().save(tmp_path / "ok.png")
    return tmp_path


def test_folder_keeps_its_structure_and_results_are_not_taken_again(folder):
    (folder / "in/a b").mkdir(parents=True)
    for name in ("in/one.jpg", "in/a b/two.png"): picture().save(folder / name)
    (folder / "in/bad.png").write_bytes(b"no image")
    (folder / "in/notes.txt").write_text("notes")
    done = srfast(folder, "upscale", "in", "-o", "in/out", "--scale", "2", "--model", "fast", "--workers", "1")
    assert done.returncode == 1 and done.stderr.startswith("srfast: in/bad.png: expected an image")
    assert done.stdout.startswith("2 done, 1 failed in ") and "1 not images" in done.stdout and len(done.stdout.splitlines()) == 1
    again = srfast(folder, "upscale", "in", "-o", "in/out", "--scale", "2", "--model", "fast", "--workers", "1")
    assert again.returncode == 1 and again.stdout.startswith("0 done, 2 unchanged, 1 failed in ")
    assert sorted(p.relative_to(folder / "in/out").as_posix() for p in (folder / "in/out").rglob("*.*")) == [
        "a b/two_x2.png", "one_x2.jpg", "srfast-manifest/all.jsonl"]
    assert srfast(folder, "upscale", "in/one.jpg", "-o", "one.jpg", "--scale", "2", "--model", "fast").returncode == 0
    assert (folder / "one.jpg").read_bytes() == (folder / "in/out/one_x2.jpg").read_bytes()


def test_result_lies_beside_its_picture(folder):
    done = srfast(folder, "upscale", "ok.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok_x4.png  48 x 36")
    assert sorted(contents(folder)) == ["ok.png", "ok_x4.png"]
    with Image.open(folder / "ok_x4.png") as img: assert (img.mode, img.size) == ("RGB", (48, 36))


@pytest.mark.parametrize("args, name, size", [
    ("--scale 4.5", "ok_x4.5.png", (54, 40)),
    ("--scale 2 --tile 16 -o big.JPG", "big.JPG", (24, 18)),
    ("--size 30x20 -o folder", "folder/ok_30x20.png", (30, 20)),
    ("--scale 2 -o big.jfif", "big.jfif", (24, 18)),
], ids=["fraction", "other format, tiles", "exact size, into a folder", "another name of JPEG"])
def test_wishes_are_met(folder, args, name, size):
    (folder / "folder").mkdir()
    done = srfast(folder, "upscale", "ok.png", *args.split())
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(folder / name) as img: assert img.size == size
    assert sum(p.is_file() for p in folder.rglob("*")) == 2


def streamed(folder, *args, data):
    return subprocess.run([*SRFAST, "upscale", *args], cwd=folder, capture_output=True, input=data, env=ENV)


def test_standard_input_and_output(folder):
    img = picture()
    img.save(folder / "ok.jpg")
    options = ["--scale", "2", "--model", "fast"]
    for name, kind in (("ok.png", "PNG"), ("ok.jpg", "JPEG")):
        assert srfast(folder, "upscale", name, *options, "-o", f"big_{name}").returncode == 0
        done = streamed(folder, "-", *options, data=(folder / name).read_bytes())
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == (folder / f"big_{name}").read_bytes() and Image.open(io.BytesIO(done.stdout)).format == kind
    done = streamed(folder, "ok.png", *options, "-o", "-", "--format", "webp", "--quality", "50", data=b"")
    assert Image.open(io.BytesIO(done.stdout)).format == "WEBP"
    assert streamed(folder, "-", *options, "-o", "folder", data=(folder / "ok.png").read_bytes()).returncode == 0
    assert sorted(contents(folder)) == ["big_ok.jpg", "big_ok.png", "folder", "folder/stdin_x2.png", "ok.jpg", "ok.png"]
    for data, said in ((b"", "got nothing"), (b"text", "standard input: expected an image")):
        done = streamed(folder, "-", data=data)
        assert (done.returncode, done.stdout) == (2, b"") and said in done.stderr.decode()
    assert not (folder / "-").exists()


def test_format_and_quality_of_results(folder):
    assert srfast(folder, "upscale", "ok.png", "--scale", "2", "--format", "jpeg", "--quality", "40").returncode == 0
    assert srfast(folder, "upscale", "ok.png", "--scale", "2", "--format", "jpeg", "-o", "folder/b.jfif").returncode == 2  # no such folder
    assert srfast(folder, "upscale", "ok.png", "--scale", "2", "--format", "jpeg", "-o", "b.jfif").returncode == 0
    assert Image.open(folder / "ok_x2.jpeg").format == Image.open(folder / "b.jfif").format == "JPEG"
    assert (folder / "ok_x2.jpeg").stat().st_size < (folder / "b.jfif").stat().st_size


def test_the_limits_of_pixels_are_named_and_can_be_set(folder):
    picture(40, 40).save(folder / "large.png")
    env = ENV | {"SRFAST_MAX_PIXELS_IN": "1000", "SRFAST_MAX_PIXELS_OUT": "1000"}
    for name, said in (("large.png", "expected at most 1,000 pixels, got 1,600; to allow more, set SRFAST_MAX_PIXELS_IN"),
                       ("ok.png", "expected a result of at most 1,000 pixels, got 48 x 36; to allow more, set SRFAST_MAX_PIXELS_OUT")):
        done = subprocess.run([*SRFAST, "upscale", name], cwd=folder, capture_output=True, text=True, env=env)
        assert (done.returncode, done.stderr) == (2, f"srfast: {name}: {said} or use --max-pixels\n")
    wider = [*SRFAST, "upscale", "large.png", "--max-pixels", "26k"]
    assert subprocess.run(wider, cwd=folder, capture_output=True, env=env).returncode == 0


def test_nothing_to_do_is_said(folder):
    done = srfast(folder, "upscale", "ok.png", "--scale", "1")
    assert done.returncode == 0 and (folder / "ok_x1.png").exists()
    assert done.stderr == ("srfast: ok.png: nothing to do for model 'photo' at the same size; "
                           "use model 'photo_real' to remove noise, blur and JPEG artefacts\n")
    done = srfast(folder, "upscale", "ok.png", "--scale", "1", "--model", "photo_real", "--force")
    assert (done.returncode, done.stderr) == (0, "")


def test_any_name_will_do(folder):
    names = ["ünï cödé ☃.png", "with  space.png", "-dash.png", "new\nline.png", "no_suffix", ".hidden.png", "UPPER.PNG"]
    for name in names: shutil.copy(folder / "ok.png", folder / name)
    done = srfast(folder, "upscale", "--scale", "2", "--", *names)
    assert (done.returncode, done.stderr) == (0, "")
    made = set(contents(folder)) - {*names, "ok.png"}
    assert made == {"ünï cödé ☃_x2.png", "with  space_x2.png", "-dash_x2.png", "new\nline_x2.png", "no_suffix_x2.png", ".hidden_x2.png",
                    "UPPER_x2.PNG"}


def test_force_replaces_the_old_result(folder):
    (folder / "old.png").write_bytes(b"old")
    done = srfast(folder, "upscale", "ok.png", "--scale", "2", "-o", "old.png", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(folder / "old.png") as img: assert img.size == (24, 18)
    assert sorted(contents(folder)) == ["ok.png", "old.png"]


def test_force_spares_what_is_to_be_enlarged_too(folder):
    Image.new("RGB", (5, 4), "red").save(folder / "ok_x2.png")
    before = (folder / "ok_x2.png").read_bytes()
    done = srfast(folder, "upscale", "ok.png", "ok_x2.png", "--scale", "2", "--force")
    assert done.returncode == 2 and "ok_x2.png: would overwrite an input image" in done.stderr
    assert (folder / "ok_x2.png").read_bytes() == before
    with Image.open(folder / "ok_x2_x2.png") as img: assert img.size == (10, 8)


def test_what_the_format_cannot_hold_becomes_a_png(folder):
    img = picture().convert("RGBA")
    img.putalpha(99)
    img.save(folder / "inside.jpg", "PNG")
    assert srfast(folder, "upscale", "inside.jpg", "--scale", "2").returncode == 0
    assert Image.open(folder / "inside_x2.png").mode == "RGBA"


def test_transparency_is_flattened_where_nothing_is_lost_or_a_background_is_given(folder):
    picture().convert("RGBA").save(folder / "opaque.png")
    Image.new("RGBA", (8, 8)).save(folder / "clear.png")
    done = srfast(folder, "upscale", "opaque.png", "--scale", "2", "-o", "a.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    done = srfast(folder, "upscale", "clear.png", "--scale", "2", "-o", "b.jpg", "--background", "white")
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(folder / "b.jpg").getextrema() == ((255, 255),) * 3
    done = srfast(folder, "upscale", "clear.png", "-o", "c.jpg")
    assert done.returncode == 2 and "--background white" in done.stderr


def test_two_results_never_land_in_one_file(folder):
    for name in "ab":
        (folder / name).mkdir()
        shutil.copy(folder / "ok.png", folder / name / "x.png")
    done = srfast(folder, "upscale", "a/x.png", "b/x.png", "-o", "both")
    assert done.returncode == 2 and not (folder / "both").exists()
    first, second = done.stderr.splitlines()
    assert first == "srfast: a/x.png: both/x_x4.png would also be the result of b/x.png; upscale them separately"
    assert second.startswith("srfast: b/x.png: ")


def test_two_results_of_one_name_cost_only_themselves(folder):
    (folder / "a").mkdir()
    for name in ("a/ok.png", "last.png"): shutil.copy(folder / "ok.png", folder / name)
    done = srfast(folder, "upscale", "ok.png", "a/ok.png", "last.png", "last.png", "--scale", "2", "-o", "both")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)
    assert [path.name for path in (folder / "both").iterdir()] == ["last_x2.png"]


def test_a_bad_picture_among_good_ones_is_named_and_costs_only_itself(folder):
    (folder / "bad.png").write_text("no picture")
    shutil.copy(folder / "ok.png", folder / "last.png")
    done = srfast(folder, "upscale", "ok.png", "bad.png", "missing.png", "last.png", "--scale", "2")
    assert done.returncode == 2
    assert ["bad.png" in line or "missing.png" in line for line in done.stderr.splitlines()] == [True, True]
    assert sorted(contents(folder)) == ["bad.png", "last.png", "last_x2.png", "ok.png", "ok_x2.png"]


def test_a_full_disk_is_a_failure_at_work(folder):
    limit = ["bash", "-c", 'ulimit -f 8; exec "$0" "$@"']
    done = srfast(folder, "upscale", "ok.png", "--scale", "16", before=limit)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "ok_x16.png: could not be written" in done.stderr
    assert sorted(contents(folder)) == ["ok.png"]


def as_nobody():
    """What to put before a command so that it runs without root's rights."""
    if os.geteuid() != 0: return []
    if not shutil.which("setpriv"): pytest.skip("running as root, and there is no setpriv to become someone else")
    before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    seen = subprocess.run([*before, sys.executable, "-c", "import srfast.cli"], capture_output=True, cwd="/")
    if seen.returncode: pytest.skip("running as root, and others cannot read this installation")
    return before


@pytest.fixture
def public_folder():
    """A folder with a picture that every user can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        picture().save(folder / "ok.png")
        (folder / "writable").mkdir()
        (folder / "writable").chmod(0o777)
        yield folder
        folder.chmod(0o755)


def test_read_only_folder(public_folder):
    before = as_nobody()
    public_folder.chmod(0o555)
    done = srfast(public_folder, "upscale", "ok.png", before=before)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "read-only" in done.stderr
    assert sorted(contents(public_folder)) == ["ok.png", "writable"]


def test_weights_and_results_can_be_read_by_every_user(public_folder):
    done = srfast(public_folder, "upscale", "ok.png", "-o", "writable", "--scale", "2", before=as_nobody())
    assert (done.returncode, done.stderr) == (0, "")
    assert (public_folder / "writable/ok_x2.png").is_file()


def test_unreadable_picture(public_folder):
    before = as_nobody()
    (public_folder / "ok.png").chmod(0)
    done = srfast(public_folder, "upscale", "ok.png", "-o", "writable", before=before)
    (public_folder / "ok.png").chmod(0o644)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "ok.png" in done.stderr and "damaged" not in done.stderr


def test_models_are_listed_with_their_scales(folder):
    done = srfast(folder, "models")
    assert (done.returncode, done.stderr) == (0, "")
    assert any(line.startswith("photo  x2, ") and "x4" in line for line in done.stdout.splitlines())


def test_help_and_version(folder):
    from srfast import __version__

    assert srfast(folder, "--version").stdout == f"srfast {__version__}\n"
    assert "--scale" in srfast(folder, "upscale", "--help").stdout


def test_numbers_are_those_of_the_last_stage_asked_for(pictures, tmp_path):
    words = "--recipe fast --stages pixels --epochs 1 --steps 2 --size 32 --bs 2 --lr-max 0.001".split()
    done = srfast(tmp_path, "train", str(pictures), "-o", "run", *words)
    assert done.returncode == 0, done.stderr
    (stage,) = json.loads((tmp_path / "run/run.json").read_text())["recipe"]["stages"]
    assert [stage[key] for key in ("name", "epochs", "steps", "size", "bs", "lr_max")] == ["pixels", 1, 2, 32, 2, .001]


def test_only_its_own_warnings_bear_its_name(monkeypatch, capsys):
    import warnings

    from srfast import cli

    def warn(*_, **__):
        warnings.warn_explicit("ours", UserWarning, str(Path(cli.__file__).with_name("data.py")), 3)
        warnings.warn_explicit("theirs", UserWarning, "site-packages/fastai/layers.py", 5)
        warnings.warn_explicit("Pillow's", UserWarning, "site-packages/PIL/Image.py", 7, module="PIL.Image")
        compile("1 is 1", "site-packages/fastcore/basics.py", "exec")

    monkeypatch.setattr(cli, "app", warn)
    assert cli.run(["models"]) == 0
    ours, *theirs = capsys.readouterr().err.splitlines()
    assert ours == "srfast: ours" and theirs[0] == "site-packages/fastai/layers.py:5: UserWarning: theirs"
    assert len(theirs) == 2 and theirs[1].startswith("site-packages/fastcore/basics.py:1: SyntaxWarning")
