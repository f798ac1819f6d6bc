"""Killed at any moment, the command line never leaves half a picture where a picture should be."""
import json
import os
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from srfast import read_img, write_img

KILLS = 50
NAMES = ("a.png", "b.jpg", "c.webp", "d.tif", "e.gif", "f.png")

# The pictures are enlarged again and again by a child that is killed, every fifth time as soon as it is seen writing; what lies in
# the folder is looked at after each kill. tqdm's own lock is one between processes: a child killed holding it would stop all later ones.
KILLER = """
import json, os, random, signal, sys, threading, time
import tqdm
import srfast.inference.upscaler, srfast.images.write
from srfast.cli import run
kills, names = json.load(sys.stdin)
random.seed(0)
tqdm.tqdm.monitor_interval = 0
tqdm.tqdm.set_lock(threading.RLock())
os.dup2(os.dup(1), 9)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
work = ["upscale", *names, "--scale", "1", "--force", "-o"]
run([*work, "warm"])
start = time.perf_counter()
run([*work, "warm"])
one_round = time.perf_counter() - start
parts = lambda: {n for n in os.listdir("out") if n.startswith(".")}
for number in range(kills):
    before = parts()
    if not (pid := os.fork()):
        while True: run([*work, "out"])
    time.sleep(random.uniform(0, 1.5) * one_round)
    while number % 5 == 4 and parts() <= before: pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    found = {}
    for name in os.listdir("out"):
        if name.startswith("."): continue
        with srfast.images.read.open_img("out/" + name) as img: found[name] = [list(f.size) for f in srfast.images.read.read_frames(img)]
    os.write(9, json.dumps([found, sorted(parts())]).encode() + b"\\n")
"""


def test_fifty_kills_leave_whole_pictures_and_what_can_be_told_from_them(tmp_path):
    y, x = np.mgrid[:240, :320]
    picture = Image.fromarray(np.stack([(x * k + y * y // 9) % 256 for k in (1, 2, 5)], -1).astype(np.uint8))
    for name in NAMES[:4]: write_img(picture, tmp_path / name)
    for name in NAMES[4:]: picture.save(tmp_path / name, save_all=True, append_images=[picture.rotate(90 * k) for k in (1, 2)], duration=50)
    (tmp_path / "out").mkdir()
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    job = json.dumps([KILLS, NAMES])
    done = subprocess.run([sys.executable, "-c", KILLER], cwd=tmp_path, input=job, capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(looks) == KILLS
    for found, _ in looks:
        for name, sizes in found.items(): assert sizes == [[320, 240]] * (3 if name[0] in "ef" else 1)
    left = looks[-1][1]
    assert len(looks[-1][0]) == len(NAMES) and left, "no kill fell into a moment of writing"
    assert all(".part." in name for name in left)

    # What the killed left goes with the next write of the same name, once it is an hour old.
    for name in left: os.utime(tmp_path / "out" / name, (time.time() - 4000,) * 2)
    for name in looks[-1][0]: write_img(read_img(tmp_path / "out" / name), tmp_path / "out" / name)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(looks[-1][0])
