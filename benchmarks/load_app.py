#!/usr/bin/env python
"""Load `srfast app`: clients send good and bad images at once, and every response is compared with `upscale`.

    python benchmarks/load_app.py

Writes a row for each tenth of the jobs. Fails unless every response is right, none is lost, the health check responds within a
second throughout, and memory in the last tenth is within 10 % of that in the second.
"""
import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from srfast.evaluation.results import record  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SERVER = [sys.executable, "-c", "from srfast.cli import main; main()", "app", "--port", "0"]
OPTIONS = ["--max-upload", "300kB", "--max-in", "100KP", "--per-client", "6", "--keep", "10"]
COUNTS = ("jobs", "right", "refused rightly", "wrong", "lost", "asked to wait")
WISHES = ({"scale": 4}, {"scale": 2, "model": "srcnn"}, {"width": 150}, {"scale": 3, "consistent": True}, {"scale": 1.5, "ensemble": True})


@dataclass
class Case:
    """A request and what must come back: the bytes of a file, or a status."""
    picture: bytes
    wish: dict
    expected: bytes = b""
    status: int = 200


@dataclass
class Tally:
    """What came back so far."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    ended: bool = False


def as_file(array, kind: str = "PNG") -> bytes:
    """An array as the bytes of a picture file."""
    from PIL import Image
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def good_cases(folder: Path) -> list:
    """Small pictures of mixed sizes with mixed wishes, and the files that `upscale` makes of them."""
    from skimage import data

    from srfast.inference.upscaler import upscale
    from srfast.images.write import write_img
    photos, found = (data.chelsea(), data.astronaut(), data.coffee()), []
    for i, side in enumerate((8, 16, 24, 32, 48, 56, 64, 80, 96, 128)):
        picture = as_file(photos[i % 3][40 : 40 + side, 60 : 60 + side + 2 * i], ("PNG", "JPEG")[i % 2])
        wish = WISHES[i % len(WISHES)]
        found.append(Case(picture, wish, write_img(upscale(picture, **wish), folder / "expected.png").read_bytes()))
    return found


def bad_cases() -> list:
    """Requests that must be refused, or fail when they are done."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    return [
        Case(b"no picture at all", {}, status=415),
        Case(as_file(noise)[:4000], {}, status=415),
        Case(bytes(400_000), {}, status=413),
        Case(as_file(np.zeros((400, 400, 3), np.uint8)), {}, status=413),
        Case(as_file(noise), {"scale": "99"}, status=422),
    ]


def ask(web: httpx.Client, case: Case, tally: Tally, keep: bool) -> str:
    """Sends one request to its end; 'right', 'refused rightly', 'wrong' or 'lost'."""
    while True:
        wish = {name: str(value).lower() for name, value in case.wish.items()}
        answer = web.post("/api/jobs", files={"picture": ("picture", case.picture)}, data=wish)
        if answer.status_code not in (429, 503): break
        with tally.lock: tally.counts["asked to wait"] += 1
        time.sleep(int(answer.headers["Retry-After"]))
    if answer.status_code != 202: return "refused rightly" if answer.status_code == case.status else "wrong"
    here = answer.headers["Location"]
    while (job := web.get(here).json()).get("state") in ("queued", "running"): time.sleep(0.05)
    if job.get("state") not in ("done", "failed"): return "lost"
    answer = web.get(f"{here}/result")
    if not keep: web.delete(here)
    if case.status != 200: return "refused rightly" if answer.status_code == case.status else "wrong"
    return "right" if answer.status_code == 200 and answer.content == case.expected else "wrong"


def client(url: str, jobs: list, tally: Tally) -> None:
    """Takes one job after another from `jobs` until none is left."""
    with httpx.Client(base_url=url, timeout=60) as web:
        while True:
            with tally.lock:
                if not jobs: return
                place, case = jobs.pop()
            try: outcome = ask(web, case, tally, keep=place % 2 == 0)
            except httpx.HTTPError: outcome = "lost"
            with tally.lock: tally.counts.update({outcome: 1, "jobs": 1})


def watch(url: str, tally: Tally) -> None:
    """Asks for health again and again."""
    with httpx.Client(base_url=url, timeout=30) as web:
        while not tally.ended:
            start = time.perf_counter()
            well = web.get("/healthz").status_code == 200
            seconds = time.perf_counter() - start if well else float("inf")
            with tally.lock: tally.slowest = max(tally.slowest, seconds)
            time.sleep(0.1)


def memory(url: str) -> tuple:
    """MB held by the server and by its worker."""
    text = httpx.get(f"{url}/metrics").text
    return tuple(float(re.search(rf'memory_bytes{{process="{name}"}} (\S+)', text)[1]) / 1e6 for name in ("server", "worker0"))


def measure(url: str, cases: list, clients: int) -> list:
    """A row for each tenth of the jobs."""
    tally, jobs, rows = Tally(), list(enumerate(cases))[::-1], []
    threads = [threading.Thread(target=client, args=(url, jobs, tally)) for _ in range(clients)]
    watcher = threading.Thread(target=watch, args=(url, tally))
    start, before = time.perf_counter(), Counter()
    for thread in (*threads, watcher): thread.start()
    for tenth in range(1, 11):
        while tally.counts["jobs"] < len(cases) * tenth // 10: time.sleep(0.02)
        with tally.lock: now, slowest, tally.slowest = tally.counts.copy(), tally.slowest, 0.0
        counts = {name: now[name] - before[name] for name in COUNTS}
        server, worker = memory(url)
        rows.append({"tenth": tenth, **counts, "seconds": round(time.perf_counter() - start, 1), "slowest health (s)": round(slowest, 3),
                     "server MB": round(server), "worker MB": round(worker)})
        before = now
    tally.ended = True
    for thread in (*threads, watcher): thread.join()
    return rows


def complaints(rows: list) -> list:
    """What is not as it must be."""
    found = [f"tenth {row['tenth']}: {row['wrong']} wrong, {row['lost']} lost" for row in rows if row["wrong"] or row["lost"]]
    found += [f"tenth {row['tenth']}: health took {row['slowest health (s)']} s" for row in rows if row["slowest health (s)"] > 1]
    for name in ("server MB", "worker MB"):
        early, late = rows[1][name], rows[-1][name]
        if late > 1.1 * early: found.append(f"{name} grew from {early} to {late}")
    return found


def run(jobs: int, clients: int, folder: Path) -> list:
    """Starts a server, loads it, stops it; the rows."""
    good, bad = good_cases(folder), bad_cases()
    cases = [bad[i // 10 % len(bad)] if i % 10 == 9 else good[(i * 7) % len(good)] for i in range(jobs)]
    server = subprocess.Popen([*SERVER, *OPTIONS], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try: return measure(server.stdout.readline().split()[1], cases, clients)
    finally:
        server.terminate()
        server.communicate(timeout=30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "data/results/tables/load_app.csv")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder: rows = run(args.jobs, args.clients, Path(folder))
    record(pd.DataFrame(rows), args.out)
    found = complaints(rows)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
