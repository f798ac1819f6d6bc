"""A tiny training in processes of their own, forked from one that has everything imported, so that killing many costs little."""
import atexit
import multiprocessing
import os
import resource
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from fastai.callback.core import Callback
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from tqdm import tqdm

from srfast.training.stages import Stage
from srfast.training.trainer import Recipe, train

os.environ["OMP_NUM_THREADS"] = "1"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "skimage.data", "torch._dynamo", "srfast.training.trainer"])

STAGES = (
    Stage("short", size=32, bs=2, epochs=3, steps=10, warmup=5),
    Stage("last", size=32, bs=2, epochs=3, steps=14, warmup=2, loss="mse", optimizer="muon"),
)
RECIPE = Recipe("tiny", "house_small", 2, STAGES, n_valid=2, precision="float32")
STEPS = sum(stage.total for stage in STAGES)


def draw_pictures(folder):
    """Sixteen photographs of about 100 pixels, some of odd sizes."""
    for name in ("chelsea", "coffee", "astronaut", "rocket"):
        img = Image.fromarray(getattr(data, name)())
        for i in range(4):
            x, y = 60 + 50 * i, 40 + 30 * i
            img.crop((x, y, x + 101 + i, y + 97)).save(Path(folder) / f"{name}_{i}.png")
    return Path(folder)


class Tell(Callback):
    """Tells each step done, and where asked waits for the word to go on."""
    order = 90

    def __init__(self, pipe, waits):
        self.pipe, self.waits = pipe, waits

    def after_batch(self):
        if self.training:
            self.pipe.send((self.checkpoint.index, self.checkpoint.done))
            if self.waits: self.pipe.recv()


class At(Callback):
    """Does something to the learner at an event of step `step` of the run's first stage."""
    order = 95

    def __init__(self, step, event, what):
        self.step = step
        setattr(self, event, lambda: what(self.learn) if self.training and self.checkpoint.index == 0 and self._step() == step else None)
        self.after = event == "after_batch"

    def _step(self): return self.checkpoint.done + (not self.after)


def at(step, event, what): return partial(At, step, event, what)


def crash(learn): raise RuntimeError("crash")


def spoil_gradient(learn): next(learn.model.parameters()).grad.fill_(float("inf"))


def spoil_input(learn): learn.xb = (learn.xb[0] * float("nan"),)


def die_at_write(n, cut):
    """SIGKILL when the `n`-th file is about to take its place; with `cut` in the middle of writing it."""
    replace, left = os.replace, iter(range(n - 1, -1, -1))

    def killing(tmp, path):
        if next(left) == 0:
            if cut: os.truncate(tmp, os.path.getsize(tmp) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        replace(tmp, path)

    os.replace = killing


def limit_files(size):
    """No file may grow beyond `size` bytes: what a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def set_environ(changes): os.environ.update(changes)


def _work(pipe, recipe, pictures, out, minutes, waits, before, cbs):
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())
    for change in before: change()
    try:
        made = [*(cb() for cb in cbs), Tell(pipe, waits)]
        train(recipe, pictures, out, device="cpu", checkpoint_minutes=minutes, progress=False, cbs=made)
        told = "done"
    except BaseException as e:
        told = f"{type(e).__name__}: {e}"
    pipe.send(told)


class Work:
    """A training in a process of its own."""

    def __init__(self, pictures, out, recipe=RECIPE, minutes=60, waits=False, before=(), cbs=()):
        self.waits, (self.pipe, theirs) = waits, FORKS.Pipe()
        self.process = FORKS.Process(target=_work, args=(theirs, recipe, pictures, out, minutes, waits, before, cbs), daemon=True)
        self.process.start()
        atexit.register(self.process.kill)
        theirs.close()

    def step(self):
        """(stage, step) when the next step is done."""
        told = self.pipe.recv()
        assert isinstance(told, tuple), told
        return told

    def go_on(self):
        """The word to go on, if it still listens."""
        with suppress(ConnectionError): self.pipe.send(None)

    def kill(self, number=signal.SIGKILL): os.kill(self.process.pid, number)

    def end(self):
        """How it ended: 'done', the error, or the number of the signal that killed it."""
        told = None
        with suppress(EOFError, ConnectionError):
            while not isinstance(told, str):
                if self.waits: self.go_on()
                told = self.pipe.recv()
        self.process.join()
        return told if isinstance(told, str) else -self.process.exitcode


def same_weights(run, other):
    ours, theirs = (load_file(Path(folder) / "model.safetensors") for folder in (run, other))
    assert ours.keys() == theirs.keys()
    return all(ours[key].equal(theirs[key]) for key in ours)
