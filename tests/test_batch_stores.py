"""Batches on an object store (a real S3 protocol server on loopback, with faults) and on Ray."""
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mixed import write_mixed

import srfast
from srfast.inference.batch import BatchStopped
from srfast.inference.manifest import read_log
from srfast.inference.stores import list_results, read_url

FAST = dict(model="fast", scale=2)


def results(where):
    """Name and bytes of every result at a destination."""
    names = [name for name, _ in list_results(where) if "srfast-manifest" not in name]
    return {name: read_url(f"{where}/{name}") for name in names}


def local(folder):
    """Name and bytes of every file in a folder, without the manifest."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file() and "srfast-manifest" not in str(p)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Fifteen files, one of them damaged, and the results of the local engine: (src, dst, good names)."""
    src, dst = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("local")
    good, bad = write_mixed(src, 15, bad=0.1)
    for name in [name for name in good if not name.isascii() or not name.isprintable()]:  # no names for an object store
        (src / name).unlink()
        good.remove(name)
    assert srfast.batch(src, dst, **FAST, workers=1).done == len(good)
    return src, dst, good


@pytest.fixture
def bucket():
    """The faults of a server with an empty bucket called `photos`."""
    for package in ("moto", "flask", "s3fs"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'moto[s3]' flask flask-cors s3fs")
    import s3fs
    from s3 import s3_server

    with s3_server() as faults:
        s3fs.S3FileSystem.clear_instance_cache()
        fs = s3fs.S3FileSystem()
        if not fs.exists("photos"): fs.mkdir("photos")
        faults.fs = fs
        yield faults


def test_a_bucket_with_faults_and_a_killed_driver_gives_the_same_bytes(done, bucket, tmp_path):
    src, dst, good = done
    for name in local(src): bucket.fs.put_file(str(src / name), f"photos/in/{name}")
    bucket.share = 0.05
    script = "import sys, srfast; srfast.batch('s3://photos/in', 's3://photos/out', model='fast', scale=2, workers=1)"
    driver = subprocess.Popen([sys.executable, "-c", script])
    while len(results_now(bucket)) < 3 and driver.poll() is None: time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    summary = srfast.batch("s3://photos/in", "s3://photos/out", **FAST, workers=1)
    assert bucket.count > 0 and summary.failed >= 1, (bucket.count, summary)
    bucket.share = 0
    assert results("s3://photos/out") == local(dst)
    lines = [record for record in read_log("s3://photos/out") if record.get("status") == "done"]
    assert {line["source"] for line in lines} == set(good)
    assert len(lines) - len(good) <= 4  # in flight, or recorded in the last second
    assert srfast.batch("s3://photos/in", "s3://photos/out", **FAST, workers=1).same == len(good)
    bucket.fs.put_file(str(src / good[0]), f"photos/in/{good[1]}")  # another ETag
    again = srfast.batch("s3://photos/in", tmp_path / "out", **FAST, workers=1, include=[good[1]])
    assert again.done == 1


def results_now(bucket):
    """Names of the results that are there, whatever the faults."""
    share, bucket.share = bucket.share, 0
    try:
        bucket.fs.invalidate_cache()
        return [name for name in bucket.fs.find("photos/out") if "srfast-manifest" not in name]
    finally: bucket.share = share


def test_a_store_that_is_gone_stops_the_batch(done, bucket, tmp_path):
    src, _, good = done
    bucket.fs.put_file(str(src / good[0]), f"photos/in/{good[0]}")
    bucket.share = 1
    with pytest.raises(BatchStopped, match="attempts"):
        srfast.batch("s3://photos/in", tmp_path / "out", **FAST, workers=1)
    assert not local(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'srfast[ray]'")
def test_ray_gives_the_same_bytes(done, tmp_path):
    src, dst, good = done
    script = "import sys, srfast; print(srfast.batch(sys.argv[1], sys.argv[2], model='fast', scale=2, engine='ray', workers=1))"
    env = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    out = subprocess.run([sys.executable, "-c", script, str(src), str(tmp_path)], env=env, capture_output=True, text=True, timeout=300)
    assert out.stdout.startswith(f"{len(good)} done, 1 failed"), out.stdout + out.stderr[-2000:]
    assert local(tmp_path) == local(dst)
    assert sum(record.get("status") == "done" for record in read_log(str(tmp_path))) == len(good)
