"""Batches: the same bytes as one image at a time, nothing lost by kills, nothing overwritten, whatever the names are."""
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from mixed import damaged, encoded, write_mixed
from PIL import Image

import srfast
from srfast.inference.batch import BatchStopped, Summary
from srfast.inference.worker import failure

ENV = os.environ | {"OMP_NUM_THREADS": "1"}
FAST = dict(model="fast", scale=2)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def files(folder):
    """Every file below a folder with its bytes, without the manifest."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.startswith("srfast-manifest")}


def records(dst, status=None):
    """The records of a manifest, without its claims."""
    lines = [json.loads(line) for path in sorted(Path(dst, "srfast-manifest").glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [line for line in lines if "source" in line and status in (None, line["status"])]


def wanted(src, name, tmp, **options):
    """The name and bytes of a result as `upscale` and `write_img` give them."""
    path = Path(name)
    target = tmp / f"wanted{path.suffix}"
    srfast.write_img(srfast.upscale(Path(src, name), **FAST, **options), target)
    return str(path.with_name(f"{path.stem}_x2{path.suffix}")), target.read_bytes()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder of 34 files, three of them damaged, upscaled: (src, dst, good names, bad names, summary)."""
    src, dst = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("batch") / "out"
    good, bad = write_mixed(src, 34, bad=0.09)
    (src / ".hidden").mkdir()
    for name in (".hidden/a.png", "notes.txt", ".b.png"): (src / name).write_bytes(b"1")
    (src / "part 1/loop").symlink_to(src)
    (src / "broken.png").symlink_to(src / "nowhere.png")
    return src, dst, good, bad, srfast.batch(src, dst, **FAST, workers=2)


def test_results_are_those_of_upscale_and_write_img(mixed, tmp_path):
    src, dst, good, bad, summary = mixed
    assert files(dst) == dict(wanted(src, name, tmp_path) for name in good)
    assert (summary.done, summary.failed, summary.left) == (len(good), len(bad), 0)
    assert summary.passed["other"] == 2 and summary.passed["hidden"] == 1


def test_the_manifest_has_a_line_for_each_image(mixed):
    src, dst, good, bad, summary = mixed
    assert sorted(line["source"] for line in records(dst, "done")) == sorted(good)
    assert sorted(line["source"] for line in records(dst, "failed")) == sorted(bad)
    for line in records(dst, "done"):
        stat = os.stat(src / line["source"])
        assert line["stamp"] == f"{stat.st_size}-{stat.st_mtime_ns}"
        assert line["bytes"] == os.stat(dst / line["result"]).st_size and line["seconds"] > 0
    assert all(line["error"] for line in records(dst, "failed"))
    assert Path(summary.manifest).exists() and len(summary.failures) == len(bad)


def test_a_second_call_does_nothing_and_what_failed_is_tried_again_when_asked(mixed):
    src, dst, good, bad, _ = mixed
    before = files(dst)
    again = srfast.batch(src, dst, **FAST, workers=2)
    assert (again.done, again.same, again.failed) == (0, len(good), len(bad)) and again.failures == []
    repaired = src / bad[0]
    stamp = repaired.stat()
    retried = srfast.batch(src, dst, **FAST, workers=1, retry_failed=True, include=[bad[0]])
    assert (retried.done, retried.failed, len(retried.failures)) == (0, 1, 1)
    repaired.write_bytes(encoded("rgb.jpg", 7))
    os.utime(repaired, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert srfast.batch(src, dst, **FAST, workers=1, include=[bad[0]]).done == 1
    assert {name: files(dst)[name] for name in before} == before


def test_a_large_picture_and_a_format_that_does_not_fit(tmp_path):
    (tmp_path / "src").mkdir()
    for name, side in (("large.png", 120), ("small.png", 20)):
        (tmp_path / "src" / name).write_bytes(encoded("rgb.png", 1, width=side, height=90))
    Image.new("RGB", (8200, 1), "teal").save(tmp_path / "src/wide.webp")
    Image.new("RGB", (8200, 1), "teal").save(tmp_path / "src/wider.webp")
    Image.new("RGB", (9, 9), "teal").save(tmp_path / "src/wider.png")
    summary = srfast.batch(tmp_path / "src", tmp_path / "out", **FAST, workers=1, in_flight=20_000)
    assert (summary.done, summary.failed) == (4, 1)
    assert "wider_x2.png, which exists or is the result of another image" in summary.failures[0]
    assert sorted(files(tmp_path / "out")) == ["large_x2.png", "small_x2.png", "wide_x2.png", "wider_x2.png"]
    assert Image.open(tmp_path / "out/wider_x2.png").size == (18, 18)
    assert files(tmp_path / "out")["large_x2.png"] == wanted(tmp_path / "src", "large.png", tmp_path)[1]


def test_sources_of_other_kinds(tmp_path):
    (tmp_path / "src").mkdir()
    for i in range(3): (tmp_path / f"src/{i}.png").write_bytes(encoded("rgb.png", i))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(tmp_path / "src/0.png", "a/0.png")
        archive.write(tmp_path / "src/1.png", "b/1.png")
        archive.write(tmp_path / "src/1.png", "../../evil.png")
    (tmp_path / "list.txt").write_text(f"# two\nsrc/2.png\n{tmp_path}/src/../src/0.png\nsrc/none.png\n")
    sources = [f"zip://::{tmp_path}/photos.zip", tmp_path / "list.txt"]
    summary = srfast.batch(sources, tmp_path / "out", **FAST, workers=1)
    deep = str(tmp_path).lstrip("/")
    assert (summary.done, summary.failed) == (4, 1), summary.failures
    names = {"a/0_x2.png": 0, "b/1_x2.png": 1, "src/2_x2.png": 2, f"{deep}/src/0_x2.png": 0}
    assert files(tmp_path / "out") == {name: wanted(tmp_path / "src", f"{i}.png", tmp_path)[1] for name, i in names.items()}
    assert not list(tmp_path.parent.rglob("evil*"))
    assert srfast.batch(sources, tmp_path / "out", **FAST, workers=1).done == 0


def test_many_files_are_all_tried(tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{i}.png\n" for i in range(200)))
    summary = srfast.batch(tmp_path / "list.txt", tmp_path / "out", **FAST, workers=1)
    assert (summary.failed, summary.left, len(summary.failures)) == (200, 0, 20)
    assert sorted(line["source"] for line in records(tmp_path / "out")) == sorted(f"{i}.png" for i in range(200))


def test_nothing_of_others_is_overwritten(tmp_path):
    for name in ("a.png", "b.png", "b.jpg"): (tmp_path / name).write_bytes(encoded(f"rgb{Path(name).suffix}", 3))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a_x2.webp").write_bytes(b"precious")
    before = files(tmp_path)
    lines = []
    summary = srfast.batch(tmp_path, tmp_path / "out", **FAST, workers=1, format="webp", say=lines.append)
    assert (summary.done, summary.exists, summary.failed) == (0, 1, 2) and len(lines) == 2
    assert files(tmp_path / "out") == {"a_x2.webp": b"precious"}
    (tmp_path / "same").symlink_to(tmp_path)
    for dst in (tmp_path, tmp_path / "same"):  # each result would replace its image
        assert srfast.batch(tmp_path, dst, **FAST, workers=1, suffix="", force=True, exclude=["out/*"]).failed == 3
    assert {name: data for name, data in files(tmp_path).items() if name in before} == before


def test_shards_divide_the_work_and_a_dry_run_writes_nothing(tmp_path):
    (tmp_path / "src").mkdir()
    for i in range(6): (tmp_path / f"src/{i}.png").write_bytes(encoded("rgb.png", i, width=16, height=12))
    dry = srfast.batch(tmp_path / "src", tmp_path / "out", **FAST, workers=1, dry_run=True)
    assert dry.estimate.startswith("6 images to do, 0.0 megapixels") and not (tmp_path / "out").exists()
    parts = [srfast.batch(tmp_path / "src", tmp_path / "out", **FAST, workers=1, shard=f"{i}/2").done for i in range(2)]
    assert sum(parts) == 6 and 0 < parts[0] < 6
    assert len(files(tmp_path / "out")) == len(records(tmp_path / "out", "done")) == 6
    assert srfast.batch(tmp_path / "src", tmp_path / "out", **FAST, workers=1).same == 6


@LINUX
def test_a_full_disk_stops_the_batch(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.png").write_bytes(encoded("rgb.png", 1))
    (tmp_path / "out/srfast-manifest").mkdir(parents=True)
    (tmp_path / "out/srfast-manifest/all.jsonl").symlink_to("/dev/full")
    with pytest.raises(BatchStopped, match="No space left on device.*1 left.*go on"):
        srfast.batch(tmp_path / "src", tmp_path / "out", **FAST, workers=1)
    try:
        try: raise OSError(28, "No space left on device")
        except OSError as e: raise srfast.ImageError("a.png: could not be written") from e
    except srfast.ImageError as e: assert failure(e)["status"] == "stop"


@LINUX
def test_an_image_that_takes_too_long_is_passed_over(tmp_path):
    (tmp_path / "src").mkdir()
    Image.effect_noise((900, 900), 80).save(tmp_path / "src/a.png")
    (tmp_path / "src/b.png").write_bytes(encoded("rgb.png", 1, width=8, height=8))
    summary = srfast.batch(tmp_path / "src", tmp_path / "out", model="photo", scale=4, workers=1, seconds=1)
    assert (summary.done, summary.failed) == (1, 1) and "a.png: took longer than 1 s" in summary.failures[0]


DRIVER = "import sys, srfast; srfast.batch(sys.argv[1], sys.argv[2], model='fast', scale=2, workers=1)"  # without a guard for __main__


def start(src, dst):
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(src), str(dst)], env=ENV)


def children(pid):
    try: return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError: return []  # it has ended


@LINUX
def test_kills_lose_nothing_and_break_nothing(tmp_path):
    src, dst, dice, kills = tmp_path / "src", tmp_path / "out", random.Random(0), 3
    good, bad = write_mixed(src, 14, bad=0.1, width=64, height=48)
    for number in range(kills):
        driver, seen = start(src, dst), len(records(dst))
        while len(records(dst)) <= seen + 1 and driver.poll() is None: time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.2))
        workers = children(driver.pid)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(dice.choice(workers) if number == 1 and workers else driver.pid, signal.SIGKILL)
        if number == 1:  # a lost worker is replaced
            assert driver.wait() == 0
            break
        driver.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in workers): time.sleep(0.02)  # they end with their driver
        for name in files(dst):
            if ".part" not in name: Image.open(dst / name).load()
    assert sorted(line["source"] for line in records(dst, "done")) == sorted(good)
    assert {name: data for name, data in files(dst).items() if ".part" not in name} == dict(wanted(src, name, tmp_path) for name in good)
    assert srfast.batch(src, dst, **FAST, workers=1).done == 0


@LINUX
def test_a_watched_folder(tmp_path):
    (tmp_path / "src").mkdir()
    command = [sys.executable, "-m", "srfast", "batch", "src", "out", "--model", "fast", "--scale", "2", "--watch", "--workers", "1"]
    watcher = subprocess.Popen(command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a background shell ignores it
    for i in range(2):
        (tmp_path / f"src/{i}.png").write_bytes(encoded("rgb.png", i))
        end = time.monotonic() + 120
        while not (tmp_path / f"out/{i}_x2.png").exists() and time.monotonic() < end: time.sleep(0.1)
    time.sleep(0.5)
    watcher.send_signal(signal.SIGINT)
    out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, err) == (0, "") and out.startswith("2 done in"), (out, err)


def test_the_summary_is_one_line():
    assert "\n" not in str(Summary(done=1, failed=2, left=3, passed={"hidden": 4}))
    assert len(damaged(1)) == 0
