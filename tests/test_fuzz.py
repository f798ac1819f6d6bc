"""Two thousand damaged pictures: each is enlarged right or refused, and nothing else happens."""
import subprocess
import sys

import fuzz
import pytest

def run_fuzz(*args):
    """`benchmarks/fuzz.py` in a process of its own, so that its memory is its own."""
    return subprocess.run([sys.executable, fuzz.__file__, *map(str, args)], capture_output=True, text=True)


def test_damaged_pictures_are_enlarged_or_refused():
    done = run_fuzz("--inputs", 2000)
    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout


def test_originals_of_thirteen_formats_are_damaged_the_same_way_each_time():
    from numpy.random import default_rng

    pool = fuzz.originals()
    assert len(pool) == 25
    assert all(fuzz.damaged(default_rng([0, i]), pool) == fuzz.damaged(default_rng([0, i]), pool) for i in range(50))
    assert len({fuzz.damaged(default_rng([0, i]), pool)[1] for i in range(500)} - set(pool.values())) > 450


@pytest.mark.parametrize("broken, told", [
    ("raise KeyError('x')", "KeyError"),
    ("return __import__('PIL.Image').Image.new('L', (1, 1))", "size (1, 1)"),
    ("return __import__('PIL.Image').Image.new('RGB', sorted(fuzz.sizes_allowed(img))[0])", "wrong pixels"),
    ("kept.append(b'x' * (400 << 20))", "twice the bound"),
    ("while True: pass", "TookTooLong"),
], ids=["exception", "size", "pixels", "memory", "hang"])
def test_the_fuzzer_notices(broken, told):
    """The same tool with a fault put into `upscale`."""
    code = f"""
import sys
sys.path.insert(0, {fuzz.__file__.rsplit('/', 1)[0]!r})
import fuzz, srfast
fuzz.SECONDS, plain, kept, calls, last = .2, srfast.Upscaler.__call__, [], [], 2 * len(fuzz.originals()) + 5
def broken(self, img, *args, **options):
    calls.append(1)
    if len(calls) > last:
        {broken}
    return plain(self, img, *args, **options)
srfast.Upscaler.__call__ = broken
sys.argv = ["fuzz", "--inputs", "30"]
sys.exit(fuzz.main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and told in done.stdout, done.stdout + done.stderr
