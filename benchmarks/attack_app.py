#!/usr/bin/env python
"""Attack `srfast app` as a stranger could, while an honest client works, and measure what becomes of the server.

    python benchmarks/attack_app.py

Writes a row for each attack: the server's largest memory, the slowest health check of 99 %, the time of an honest upload beside
that in quiet, and the time until connections and places are free again. Fails unless memory stays under 700 MB, health under 1 s,
the honest client within twice its quiet time plus 5 s, and everything is free within 60 s. All traffic stays on this computer:
attackers are 127.0.0.1, the honest client is 127.0.0.2.
"""
import argparse
import io
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SERVER = [sys.executable, "-c", "from srfast.cli import main; main()", "app", "--port", "0"]
HONEST = "127.0.0.2"
FORM = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'


def as_file(img, kind: str = "PNG") -> bytes:
    """An image as the bytes of a file."""
    file = io.BytesIO()
    img.save(file, kind)
    return file.getvalue()


def small_picture() -> bytes:
    """What an honest client sends."""
    y, x = np.mgrid[:40, :60]
    return as_file(Image.fromarray(np.stack([(x * k + y * 3) % 256 for k in (2, 3, 5)], -1).astype(np.uint8)))


def pages_tiff(pages: int = 30_000) -> bytes:
    """A TIFF with so many pages of one pixel, 114 bytes each."""
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)]
    parts = [b"II*\0", struct.pack("<I", 8)]
    for page in range(pages):
        start = 8 + page * 114
        parts.append(struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags))
        parts.append(struct.pack("<I", start + 114 if page < pages - 1 else 0))
    return b"".join(parts)


def blocks_gif(blocks: int = 1_300_000) -> bytes:
    """A GIF with so many comments of one letter before its picture."""
    whole = as_file(Image.new("L", (8, 8)), "GIF")
    start = whole.index(b",", 13 + 3 * 2 ** ((whole[10] & 7) + 1) if whole[10] & 128 else 13)
    return whole[:start] + b"!\xfe\x01A\0" * blocks + whole[start:]


def deep_picture(side: int = 620) -> bytes:
    """A square of noise with 16 bits and transparency."""
    import png
    values = np.random.default_rng(0).integers(0, 65536, (side, side * 4)).astype(np.uint16)
    file = io.BytesIO()
    png.Writer(side, side, greyscale=False, alpha=True, bitdepth=16).write(file, values)
    return file.getvalue()


def post(web: httpx.Client, picture: bytes, **options) -> httpx.Response:
    """Send an image."""
    return web.post("/api/jobs", files={"picture": ("a.png", picture)}, data=options)


def client(url: str, address: str = "127.0.0.1") -> httpx.Client:
    """A client at one of this computer's addresses."""
    limits = httpx.Limits(max_connections=None)
    return httpx.Client(base_url=url, timeout=120, transport=httpx.HTTPTransport(local_address=address, limits=limits))


def serve_honest(url: str) -> float:
    """Upscale a small image as an honest client; the seconds until its result is there."""
    start = time.perf_counter()
    with client(url, HONEST) as web:
        answer = web.post("/api/upscale", files={"picture": ("a.png", small_picture())}, data={"scale": "2", "model": "fast"})
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - start


def connect(url: str, count: int, send: bytes = b"") -> list:
    """Open connections from 127.0.0.1, and send a few bytes through each."""
    host, port = url.removeprefix("http://").split(":")
    held = []
    for _ in range(count):
        try:
            held.append(socket.create_connection((host, int(port)), source_address=("127.0.0.1", 0)))
            held[-1].sendall(send)
        except OSError:
            continue
    return held


def closed(held: list) -> int:
    """How many of the connections the server has closed."""
    found = 0
    for one in held:
        one.settimeout(0.001)
        try:
            found += not one.recv(100_000)
        except TimeoutError:
            continue
        except OSError:
            found += 1
    return found


def together(count: int, work) -> list:
    """The results of `work` in so many threads."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(work())) for _ in range(count)]
    for thread in threads: thread.start()
    return threads


# ---- attacks: each yields while it goes on, and returns what must be closed afterwards

@contextmanager
def conversions(url: str):
    """45 fetches at once of a large result in other formats."""
    with client(url) as web:
        job = web.get(post(web, deep_picture(), scale="8", model="fast").headers["Location"] + "?wait=90").json()
        while job["state"] in ("queued", "running"): job = web.get(f"{job['links']['self']}?wait=90").json()
        kinds = iter(("webp", "gif", "tiff") * 15)
        lock = threading.Lock()

        def fetch():
            with lock: kind = next(kinds)
            try: return web.get(f"{job['links']['result']}?format={kind}").status_code
            except httpx.HTTPError: return 0
        threads = together(45, fetch)
        yield []
        web.delete(job["links"]["self"])
        for thread in threads: thread.join()


@contextmanager
def idle_connections(url: str):
    """400 connections that say nothing."""
    held = connect(url, 400)
    yield held


@contextmanager
def endless_headers(url: str):
    """20 headers without an end, up to 40 MB each."""
    held = connect(url, 20, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")

    def send(one):
        try:
            for _ in range(400): one.sendall(b"a" * 100_000)
        except OSError:
            return
    threads = [threading.Thread(target=send, args=(one,)) for one in held]
    for thread in threads: thread.start()
    yield held
    for thread in threads: thread.join()


@contextmanager
def slow_uploads(url: str):
    """32 uploads that stand still after 200 bytes."""
    lines = ("POST /api/jobs HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {FORM}", "Content-Length: 5000000", "", "")
    held = connect(url, 32, "\r\n".join(lines).encode() + HEAD + b"x" * 100)
    yield held


def uploads(picture: bytes):
    """Eight uploads at once, again and again for 20 seconds."""
    @contextmanager
    def attack(url: str):
        end = time.monotonic() + 20

        def send():
            with client(url) as web:
                while time.monotonic() < end:
                    try: post(web, picture)
                    except httpx.HTTPError: pass
                    time.sleep(0.1)
        threads = together(8, send)
        yield []
        for thread in threads: thread.join()
    return attack


def attacks() -> dict:
    """Name -> a context in which it goes on."""
    return {"conversions": conversions, "idle connections": idle_connections, "endless headers": endless_headers,
            "slow uploads": slow_uploads, "TIFF of 30,000 pages": uploads(pages_tiff()), "GIF of 1,300,000 blocks": uploads(blocks_gif())}


def largest_memory(pid: int) -> float:
    """The most MB that a process has had."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1e3


def watch(url: str, seconds: list, stop: threading.Event) -> None:
    """Ask for health again and again, as the honest client."""
    with client(url, HONEST) as web:
        while not stop.is_set():
            start = time.perf_counter()
            web.get("/healthz")
            seconds.append(time.perf_counter() - start)
            time.sleep(0.05)


def measure(url: str, pid: int, name: str, attack, quiet: float) -> dict:
    """The row of an attack."""
    health, stop = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(url, health, stop))
    with attack(url) as held:
        watcher.start()
        time.sleep(1)
        honest = max(serve_honest(url) for _ in range(3))
        ended = time.perf_counter()
        while closed(held) < len(held) and time.perf_counter() - ended < 90: time.sleep(0.1)
    if not held: ended = time.perf_counter()  # the attack has ended just now
    with client(url) as web:
        while (answer := web.post("/api/jobs", files={"picture": b"no picture"})).status_code != 415:
            assert answer.status_code in (429, 503) and time.perf_counter() - ended < 90, answer.text
            time.sleep(0.2)
    stop.set()
    watcher.join()
    for one in held: one.close()
    return {"attack": name, "server MB": round(largest_memory(pid)), "health, 99 % (s)": round(float(np.quantile(health, 0.99)), 3),
            "honest, quiet (s)": round(quiet, 2), "honest (s)": round(honest, 2), "released (s)": round(time.perf_counter() - ended, 1)}


def complaints(rows: list) -> list:
    """What is not as it must be."""
    bounds = {"server MB": 700, "health, 99 % (s)": 1, "released (s)": 60}
    found = [f"{row['attack']}: {name} {row[name]}" for row in rows for name, most in bounds.items() if row[name] > most]
    late = [row for row in rows if row["honest (s)"] > 2 * row["honest, quiet (s)"] + 5]
    return found + [f"{row['attack']}: honest {row['honest (s)']} s" for row in late]


def main() -> int:
    import pandas as pd

    from srfast.evaluation.results import record
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="run only the attacks whose names contain this")
    parser.add_argument("--out", type=Path, default=ROOT / "data/results/tables/attack_app.csv")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"TMPDIR": folder}
        server = subprocess.Popen(SERVER, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        try:
            url = server.stdout.readline().split()[1]
            serve_honest(url)
            quiet = max(serve_honest(url) for _ in range(3))
            chosen = {name: attack for name, attack in attacks().items() if not args.only or args.only in name}
            rows = []
            for name, attack in chosen.items():
                rows.append(measure(url, server.pid, name, attack, quiet))
                print(rows[-1], flush=True)
        finally:
            server.terminate()
            server.communicate(timeout=30)
    if not args.only: record(pd.DataFrame(rows), args.out)
    found = complaints(rows)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
