#!/usr/bin/env python
"""Measure batches: kills, stores with faults, a lost Ray node, throughput, memory of the driver. One CSV, ratios and counts.

`python benchmarks/bench_batch.py kills s3 ray nodes throughput memory stages --images 1000` writes
data/results/tables/bench_batch.csv; a row is replaced when its measurement is run again.
"""
import argparse
import csv
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
TABLE = ROOT / "data/results/tables/bench_batch.csv"
FIELDS = ["measurement", "value", "unit", "detail", "command"]
OPTIONS = dict(model="fast", scale=2)
DRIVER = "import sys, json, srfast; print(srfast.batch(*sys.argv[1:3], **json.loads(sys.argv[3])))"


def files(folder):
    """Return name -> SHA-256 of the results in a folder; unfinished files of killed processes are not results."""
    found = (p for p in Path(folder).rglob("*") if p.is_file() and "srfast-manifest" not in str(p) and ".part" not in p.name)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def done_lines(dst):
    """Return the sources recorded as done, with repetitions."""
    from srfast.inference.manifest import read_log
    return [record["source"] for record in read_log(str(dst)) if record.get("status") == "done"]


def steady_seconds(dst):
    """Return the seconds from the 20th to the last image of a batch."""
    from datetime import datetime

    from srfast.inference.manifest import read_log
    times = sorted(datetime.fromisoformat(record["at"].replace("Z", "+00:00")) for record in read_log(str(dst)) if "source" in record)
    return (times[-1] - times[19]).total_seconds()


def start(src, dst, **options):
    """Start a batch in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(src), str(dst), json.dumps(OPTIONS | options)], stdout=subprocess.DEVNULL,
                            env=os.environ | {"OMP_NUM_THREADS": "1"})


def children(pid):
    """Return the child processes of a process."""
    try: return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError: return []


def reference(src, good, folder):
    """Return the results that `upscale` and `write_img` give, one image at a time, as `files` does."""
    import srfast
    upscaler = srfast.Upscaler("fast")
    for name in good:
        path = Path(name)
        target = Path(folder, path.with_name(f"{path.stem}_x2{path.suffix}"))
        target.parent.mkdir(parents=True, exist_ok=True)
        srfast.write_img(upscaler(Path(src, name), 2), target)
    return files(folder)


def broken(dst):
    """Return the results that cannot be decoded."""
    from srfast import read_img
    found = []
    for name in files(dst):
        try: read_img(Path(dst, name))
        except Exception: found.append(name)
    return found


def mixed(args, folder):
    """Return (folder of images, names of the good, of the bad)."""
    from mixed import write_mixed
    src = Path(folder, "src")
    return src, *write_mixed(src, args.images, bad=0.03, folders=7, width=args.side, height=args.side * 3 // 4)


def measure_kills(args, folder):
    """Kill driver or worker at random moments, start again, and compare with one image at a time."""
    src, good, bad = mixed(args, folder)
    want, dst, dice, extra, bad_files = reference(src, good, Path(folder, "want")), Path(folder, "out"), random.Random(1), 0, 0
    every = max(1, len(good) // (args.kills + 1))
    for number in range(args.kills):
        driver, seen = start(src, dst, workers=2), len(done_lines(dst))
        while driver.poll() is None and len(done_lines(dst)) < seen + dice.randrange(1, every): time.sleep(0.05)
        time.sleep(dice.uniform(0, 0.3))
        workers = children(driver.pid)
        if number % 3 == 2 and workers:
            os.kill(dice.choice(workers), signal.SIGKILL)
            time.sleep(dice.uniform(1, 3))
        driver.kill()
        driver.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in workers): time.sleep(0.05)
        bad_files += len(broken(dst))
    start(src, dst, workers=2).wait()
    lines = done_lines(dst)
    extra = len(lines) - len(set(lines))
    yield "kills", args.kills, "kill -9 of driver or worker", f"{len(good)} good and {len(bad)} damaged images"
    yield "kills: lost", len(set(good) - set(lines)), "images", "without a line in the manifest at the end"
    yield "kills: done twice", extra, "images", "recorded twice; at most the two in flight at each kill may be computed twice"
    yield "kills: broken", bad_files, "files", "results that cannot be decoded, looked at after each kill"
    yield "kills: different", sum(want[name] != found for name, found in files(dst).items()) + len(set(want) ^ set(files(dst))), "files", \
        "against upscale and write_img, one image at a time"


def measure_s3(args, folder):
    """The same on an S3 protocol server with errors and time-outs, the driver killed three times."""
    import s3fs
    from s3 import s3_server

    import srfast
    src, good, bad = mixed(args, folder)
    for name in [name for name in (*good, *bad) if not name.isascii() or not name.isprintable()]:
        Path(src, name).unlink()
        (good if name in good else bad).remove(name)
    want = reference(src, good, Path(folder, "want"))
    with s3_server() as faults:
        fs = s3fs.S3FileSystem()
        fs.mkdir("photos")
        for name in (*good, *bad): fs.put_file(str(src / name), f"photos/in/{name}")
        faults.share = 0.05
        for _ in range(3):
            driver = start("s3://photos/in", "s3://photos/out", workers=2)
            time.sleep(random.Random(3).uniform(8, 25))
            driver.kill()
            driver.wait()
        summary = srfast.batch("s3://photos/in", "s3://photos/out", **OPTIONS, workers=2)
        summary = srfast.batch("s3://photos/in", "s3://photos/out", **OPTIONS, workers=2) if summary.failed > len(bad) else summary
        faults.share, count = 0, faults.count
        fs.invalidate_cache()
        fs.get("photos/out", str(Path(folder, "out")), recursive=True)
        lines = done_lines("s3://photos/out")
    found = files(Path(folder, "out"))
    yield "S3: faults", count, "requests", "answered with 500, a third of them after a time-out; 3 kill -9 of the driver"
    yield "S3: lost", len(set(good) - set(lines)), "images", f"of {len(good)}"
    yield "S3: done twice", len(lines) - len(set(lines)), "images", "recorded twice"
    yield "S3: different", sum(want.get(name) != value for name, value in found.items()) + len(set(want) ^ set(found)), "files", \
        "against upscale and write_img"


def measure_ray(args, folder):
    """Ray against the local engine: bytes and time."""
    src, good, bad = mixed(args, folder)
    want, seconds, steady = reference(src, good, Path(folder, "want")), {}, {}
    for engine in ("local", "ray"):
        begin = time.perf_counter()
        start(src, Path(folder, engine), workers=args.workers, engine=engine).wait()
        seconds[engine] = time.perf_counter() - begin
        steady[engine] = steady_seconds(Path(folder, engine))
        found = files(Path(folder, engine))
        wrong = sum(want.get(name) != value for name, value in found.items()) + len(set(want) ^ set(found))
        yield f"{engine}: different", wrong, "files", f"of {len(good)} against upscale and write_img, one image at a time"
    load = f"{len(good) + len(bad)} images, {args.workers} workers; load beside: {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    yield "Ray against local", round(seconds["ray"] / seconds["local"], 3), "ratio of wall time", f"starts included, {load}"
    yield "Ray against local, from image 20 on", round(steady["ray"] / steady["local"], 3), "ratio of wall time", load


def measure_nodes(args, folder):
    """Two Ray nodes, one killed half-way."""
    src, good, _ = mixed(args, folder)
    want, dst = reference(src, good, Path(folder, "want")), Path(folder, "out")
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    driver = start(src, dst, workers=2, engine="ray")
    while driver.poll() is None and len(done_lines(dst)) < len(good) // 2: time.sleep(0.2)
    cluster.remove_node(other, allow_graceful=False)
    driver.wait()
    cluster.shutdown()
    del os.environ["RAY_ADDRESS"]
    lines, found = done_lines(dst), files(dst)
    yield "Ray, node killed: lost", len(set(good) - set(lines)), "images", f"of {len(good)}, the second of two nodes killed half-way"
    wrong = sum(want.get(name) != value for name, value in found.items()) + len(set(want) ^ set(found))
    yield "Ray, node killed: different", wrong, "files", "against upscale and write_img"


def measure_throughput(args, folder):
    """Two workers against one, and the processor time of each."""
    src, good, bad = mixed(args, folder)
    rates = {}
    for workers in (1, 2, 1, 2):
        dst = Path(folder, f"{workers}-{len(rates)}-{time.monotonic()}")
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        start(src, dst, workers=workers).wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rates.setdefault(workers, []).append((time.perf_counter() - begin, used))
    wall = {workers: min(one[0] for one in seen) for workers, seen in rates.items()}
    cpu = {workers: min(one[1] for one in seen) for workers, seen in rates.items()}
    load = f"{len(good) + len(bad)} images of {args.side} x {args.side * 3 // 4}, starts included; load beside: {os.getloadavg()[1]:.0f}"
    yield "two workers against one", round(wall[1] / wall[2], 3), "ratio of wall time", f"better of two runs each, {load}"
    yield "processor time of two workers against one", round(cpu[2] / cpu[1], 3), "ratio", load


MEMORY = """
import resource, sys
import srfast.inference.batch as batch
from srfast.inference.stores import Found
count = int(sys.argv[1])
batch.find = lambda *args: (Found(f"{i // 1000}/{i:08d}.jpg", f"s3://photos/{i // 1000}/{i:08d}.jpg", f"{i:032x}") for i in range(count))
def engine(tasks, *args):
    for task in tasks:
        yield task, {"status": "done", "bytes": 1, "size": [1, 1], "from": [1, 1], "frames": 1, "seconds": 0}
batch.run_local = engine
begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
summary = batch.batch("x", sys.argv[2], model="fast", workers=2)
assert summary.done == count, summary
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure_memory(args, folder):
    """Peak memory of the driver for 1,000 and 100,000 files; listing and work are simulated, the rest is real."""
    peak = {}
    for count in (1000, 100_000):
        command = [sys.executable, "-c", MEMORY, str(count), str(Path(folder, str(count)))]
        grown, peak[count] = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        yield f"driver's peak memory, {count:,} files", round(peak[count] / 1024, 1), "MB", f"{grown / 1024:.1f} MB after the imports"
    yield "driver's memory, 100,000 against 1,000", round(peak[100_000] / peak[1000], 3), "ratio", "listing and work simulated"


def measure_stages(args, folder):
    """Processor seconds a megapixel of input for decode, network and encode, of a photograph, with one thread."""
    import torch
    from PIL import Image

    import srfast
    torch.set_num_threads(1)
    source = ROOT / "nbs/assets"
    from skimage import data
    photo = Image.fromarray(data.astronaut()).resize((1024, 768), Image.Resampling.LANCZOS)
    path = Path(folder, "photo.jpg")
    photo.save(path, quality=92)
    assert source.exists()
    pixels = 1024 * 768 / 1e6

    def clock(work):
        begin = time.process_time()
        result = work()
        return (time.process_time() - begin) / pixels, result
    yield "decode JPEG", round(clock(lambda: srfast.read_img(path))[0], 3), "CPU seconds a megapixel of input", "1024 x 768"
    for model in ("fast", "photo"):
        upscaler = srfast.Upscaler(model, device="cpu")
        upscaler(photo.crop((0, 0, 300, 300)), 4)
        seconds, large = clock(lambda: upscaler(photo, 4))
        yield f"network {model} x4", round(seconds, 3), "CPU seconds a megapixel of input", f"{upscaler.precision}, tiles included"
    for kind, options in (("png", {}), ("jpg", {"quality": 90}), ("webp", {"quality": 85})):
        seconds, file = clock(lambda: srfast.write_img(large, io.BytesIO(), format=kind, **options))
        size = f"{file.tell() / 1e6 / pixels:.2f} MB a megapixel of input"
        yield f"encode {kind} x4", round(seconds, 3), "CPU seconds a megapixel of input", size
    yield "peak memory", round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), "MB", "result of 12.6 megapixels in one process"


def record(rows, command):
    """Put rows into the table, in place of earlier ones of the same measurement."""
    old = list(csv.DictReader(TABLE.open(encoding="utf-8"))) if TABLE.exists() else []
    new = [dict(zip(FIELDS, (*row, command))) for row in rows]
    old = [row for row in old if row["measurement"] not in {row["measurement"] for row in new}]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(old + new)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[name[8:] for name in globals() if name.startswith("measure_")])
    parser.add_argument("--images", type=int, default=1000, help="number of images, three in a hundred damaged")
    parser.add_argument("--side", type=int, default=40, help="width of an image in pixels")
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--workers", type=int, default=2, help="workers of the Ray comparison")
    args = parser.parse_args()
    for what in args.what:
        folder = tempfile.mkdtemp()
        try: rows = list(globals()[f"measure_{what}"](args, folder))
        finally: shutil.rmtree(folder, ignore_errors=True)
        for row in rows: print(*row[:4], sep="\t", flush=True)
        own = {"kills": ["images", "side", "kills"], "ray": ["images", "side", "workers"], "memory": [], "stages": []}
        used = own.get(what, ["images", "side"])
        record(rows, " ".join(["python benchmarks/bench_batch.py", what, *(f"--{name} {getattr(args, name)}" for name in used)]))


if __name__ == "__main__":
    main()
