"""The server under attack, in short: it stays small, serves others, and lets go. benchmarks/attack_app.py measures it at length."""
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from attack_app import blocks_gif, client, closed, connect, deep_picture, largest_memory, pages_tiff, post, serve_honest, slow_uploads
from PIL import Image
from serving import serving
from test_app import as_file, eventually, photo

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc, and needs 127.0.0.2")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = ["--max-upload", "8MB", "--max-out", "90MP", "--per-client", "4", "--queue", "8", "--memory", "400MB"]
    with serving(tmp_path_factory.mktemp("server"), *limits) as found:
        serve_honest(found.url)
        yield found


def test_many_conversions_are_made_once_and_elsewhere(server):
    with client(server.url) as web:
        job = web.get(post(web, deep_picture(120), scale="16", model="fast").headers["Location"] + "?wait=90").json()
        before, answers = largest_memory(server.process.pid), []
        result = job["links"]["result"]
        threads = [threading.Thread(target=lambda: answers.append(web.get(f"{result}?format=webp"))) for _ in range(25)]
        for thread in threads: thread.start()
        assert client(server.url, "127.0.0.2").get("/").status_code == 200
        for thread in threads: thread.join()
        assert {answer.status_code for answer in answers} == {200} and len({answer.content for answer in answers}) == 1
        assert largest_memory(server.process.pid) < before + 50
        web.delete(job["links"]["self"])


def test_what_needs_too_much_memory_is_refused(server):
    with client(server.url) as web:
        large = as_file(photo(900, 900))
        answer = web.post("/api/upscale", files={"picture": large}, data={"scale": "10", "model": "fast"})
        assert answer.status_code == 413 and "memory" in answer.json()["detail"]
        assert web.post("/api/upscale", files={"picture": as_file(photo())}).status_code == 200


def test_idle_connections_leave_room_and_are_closed(server):
    held = connect(server.url, 100)
    assert eventually(lambda: closed(held) >= 60)  # the oldest ones, at once
    assert serve_honest(server.url)
    assert client(server.url).get("/healthz").status_code == 200
    assert eventually(lambda: closed(held) == len(held), 60)


def test_a_header_without_an_end_is_cut_off(server):
    (one,) = connect(server.url, 1, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    with pytest.raises(OSError):
        for _ in range(400): one.sendall(b"a" * 100_000)
    (one,) = connect(server.url, 1, b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 5000)
    one.settimeout(30)
    answer = one.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 400") and b"content-security-policy" in answer
    (one,) = connect(server.url, 1, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n")
    one.settimeout(30)
    assert one.recv(10_000).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("build", [pages_tiff, blocks_gif])
def test_a_header_that_costs_too_much_holds_up_nobody(server, build):
    picture, answers = build(), []
    with client(server.url) as web:
        threads = [threading.Thread(target=lambda: answers.append(post(web, picture))) for _ in range(3)]
        for thread in threads: thread.start()
        assert serve_honest(server.url)
        for thread in threads: thread.join()
        for answer in answers:
            assert answer.status_code == 415 or build is blocks_gif and answer.status_code == 202, answer.text
            if answer.status_code == 202: web.delete(answer.json()["links"]["self"])
    assert largest_memory(server.process.pid) < 700


def test_slow_uploads_hold_only_their_own_places(server):
    with slow_uploads(server.url) as held:
        time.sleep(0.5)
        assert serve_honest(server.url)
        busy = client(server.url).post("/api/jobs", files={"picture": b""}, headers={"X-Forwarded-For": "192.0.2.9"})
        assert busy.status_code == 503 and int(busy.headers["Retry-After"])
        assert "default-src 'none'" in busy.headers["Content-Security-Policy"]
        assert eventually(lambda: closed(held) == len(held), 90)
    assert post(client(server.url), b"").status_code == 415


def test_a_job_is_cancelled_and_the_next_one_runs(server):
    with client(server.url) as web:
        job = post(web, as_file(photo(160, 160)), scale="16", ensemble="on").json()
        assert eventually(lambda: web.get(job["links"]["self"]).json()["state"] == "running")
        web.delete(job["links"]["self"])
        assert web.post("/api/upscale", files={"picture": as_file(photo())}, data={"scale": "2"}).status_code == 200


def test_a_client_that_hangs_up_cancels_its_job(server):
    with client(server.url) as web:
        with pytest.raises(httpx.ReadTimeout):
            form = dict(files={"picture": as_file(photo(160, 160))}, data={"scale": "16", "ensemble": "on"})
            web.post("/api/upscale", **form, timeout=httpx.Timeout(60, read=1))
        assert eventually(lambda: 'srfast_jobs_held{state="running"} 0.0' in web.get("/metrics").text)


def test_clients_take_turns(server):
    large = dict(scale="16", ensemble="on")
    with client(server.url) as many, client(server.url, "127.0.0.2") as one:
        jobs = [post(many, as_file(photo(100, 100)), **large).json() for _ in range(3)]
        jobs.append(post(one, as_file(photo()), scale="2").json())
        assert jobs[-1]["position"] <= 2
        for job in jobs: many.delete(job["links"]["self"])


def test_a_folder_that_was_removed_is_made_again(server):
    for path in server.tmp.glob("srfast-app-*/*"):
        subprocess.run(["rm", "-rf", path.parent], check=True)
    with client(server.url) as web:
        assert web.get("/healthz").json()["status"] == "ok"
        assert web.post("/api/upscale", files={"picture": as_file(photo())}, data={"scale": "2"}).status_code == 200


@pytest.fixture
def small_disk(tmp_path):
    (tmp_path / "tmp").mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", tmp_path / "tmp"], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    yield tmp_path
    subprocess.run(["umount", tmp_path / "tmp"])


def test_a_full_disk_is_said(small_disk):
    noise = as_file(Image.effect_noise((500, 500), 90))
    with serving(small_disk, "--max-upload", "1MB") as server, client(server.url) as web:
        answer = web.post("/api/upscale", files={"picture": noise}, data={"scale": "8", "model": "fast"})
        assert answer.status_code == 507 and str(small_disk) not in answer.text, answer.text
        (server.tmp / "filler").write_bytes(bytes(2_600_000))
        assert web.get("/healthz").json()["status"] == "disk full"
        answers = [post(web, as_file(photo(60 + i, 60)) + bytes(300_000)) for i in range(2)]
        assert answers[-1].status_code == 507 and "disk" in answers[-1].json()["detail"]
        (server.tmp / "filler").unlink()
        assert eventually(lambda: web.post("/api/upscale", files={"picture": as_file(photo())}, data={"scale": "2"}).status_code == 200)


def test_a_socket_for_a_proxy(tmp_path):
    path = tmp_path / "app.sock"
    with serving(tmp_path, "--host", f"unix:{path}", "--root-path", "/up") as server:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=60) as web:
            answer = post(web, as_file(photo()), scale="2")
            assert answer.headers["Location"].startswith("/up/api/jobs/")
            for place in ("/up/api/models", "/api/models", "/up/static/app.js", "/up/"): assert web.get(place).status_code == 200, place
            job = post(web, as_file(photo(200, 200)), scale="16", ensemble="on").json()
            assert eventually(lambda: web.get(job["links"]["self"]).json()["state"] == "running")
            server.process.send_signal(signal.SIGHUP)  # a busy server stops and leaves nothing
            server.process.wait(10)
        assert server.left() == [] and not path.exists()
        assert not re.search("Traceback|Error", server.log.read_text())
