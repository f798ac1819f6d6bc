"""The page's server as it runs for others: answers, limits, cuts, kills, and what it never tells."""
import io
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from datetime import datetime, timezone
from pathlib import Path

import httpx
import numpy as np
import pytest
from load_app import complaints, run
from PIL import Image, ImageCms, ImageSequence
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from serving import COMMAND, serving

import srfast
from srfast.networks.weights import find_weights

HOME = str(Path(srfast.__file__).parents[1])
LONG_NAME = "a_model_with_a_name_of_more_than_sixty_letters_as_runs_of_long_recipes_have"
LONG = {"scale": "16", "ensemble": "true"}


def photo(width=40, height=30, mode="RGB"):
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / 3 + k) * np.cos(y / 4 - k) for k in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8)).convert(mode)


def as_file(img, kind="PNG", **options):
    file = io.BytesIO()
    img.save(file, kind, **options)
    return file.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return as_file(photo(), "JPEG", exif=exif, icc_profile=profile, dpi=(300, 300))


def moving(kind):
    frames = [photo().rotate(angle) for angle in (0, 30, 60)]
    return as_file(frames[0], kind, save_all=True, append_images=frames[1:], duration=80, loop=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "models/mine").mkdir(parents=True)
    for name in ("mine/model", LONG_NAME): (folder / f"models/{name}.safetensors").write_bytes(find_weights("photo", 2).read_bytes())
    limits = ["--max-upload", "200kB", "--max-in", "60KP", "--max-out", "15MP", "--per-client", "4", "--queue", "6"]
    with serving(folder, "--models", str(folder / "models"), *limits) as found:
        yield found


@pytest.fixture
def web(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def post(web, picture, name="picture.png", **wish):
    return web.post("/api/jobs", files={"picture": (name, picture)}, data=wish)


def finish(web, answer):
    assert answer.status_code == 202, answer.text
    while (job := web.get(answer.headers["Location"]).json())["state"] in ("queued", "running"):
        time.sleep(0.03)
    return job


def figure(web, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", web.get("/metrics").text, re.MULTILINE)[1])


def eventually(true, seconds=30):
    """Whether it becomes so; time only bounds a failure."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


KINDS = {
    "photo": (as_file(photo()), {}),
    "no wish but a model": (as_file(photo()), {"model": "srcnn"}),
    "own run": (as_file(photo()), {"model": "mine", "scale": "2"}),
    "fraction, consistent": (as_file(photo()), {"scale": "2.5", "consistent": "on"}),
    "ensemble": (as_file(photo(16, 12)), {"scale": "2", "ensemble": "true"}),
    "detail": (as_file(photo()), {"detail": "0.35"}),
    "detail alone": (as_file(photo()), {"model": "photo_detail"}),
    "auto takes photo": (as_file(photo()), {"model": "auto", "detail": "1", "scale": "3"}),
    "auto takes photo_real": (as_file(Image.effect_noise((64, 48), 80)), {"model": "auto", "detail": "1", "scale": "2"}),
    "width": (as_file(photo()), {"width": "100"}),
    "exact": (as_file(photo()), {"width": "100", "height": "90"}),
    "turned, with profile": (turned(), {"scale": "2", "format": "jpeg"}),
    "deep grey": (as_file(Image.fromarray(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30))), {"scale": "2"}),
    "transparent": (as_file(photo().convert("RGBA").rotate(20)), {"scale": "2", "format": "webp"}),
    "animation": (moving("GIF"), {"scale": "2"}),
    "animation as GIF": (moving("GIF"), {"scale": "2", "format": "gif"}),
    "pages": (moving("TIFF"), {"scale": "2"}),
    "inks": (as_file(photo(mode="CMYK"), "TIFF"), {"scale": "2", "format": "tiff"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_that_of_upscale(web, server, tmp_path, kind):
    picture, wish = KINDS[kind]
    answer = post(web, picture, **wish)
    job = finish(web, answer)
    assert job["state"] == "done"
    result = web.get(f"{answer.headers['Location']}/result")
    suffix = re.search(r'filename="picture_x[\d.]+(\.\w+)"', result.headers["Content-Disposition"])[1]
    words = {"true": True, "on": True, "mine": server.tmp.parent / "models/mine"}
    words |= {text: int(text) if text.isdigit() else float(text) for text in wish.values() if re.fullmatch(r"[\d.]+", text)}
    options = {name: words.get(text, text) for name, text in wish.items() if name != "format"}
    if "width" in options and "height" in options:
        options["size"] = options.pop("width"), options.pop("height")
    expected = srfast.write_img(srfast.upscale(picture, **options), tmp_path / f"expected{suffix}")
    assert result.content == expected.read_bytes()
    if "format" not in wish:
        assert suffix == (".tiff" if kind == "pages" else ".png")
    assert len(list(ImageSequence.Iterator(Image.open(expected)))) == (3 if kind.startswith(("animation", "pages")) else 1)
    assert web.delete(answer.headers["Location"]).status_code == 204
    assert job["chosen"] == (kind.split()[-1] if kind.startswith("auto") else None)


def test_detail_that_cannot_be_had_is_refused_at_once(web):
    added = figure(web, 'srfast_jobs_total{state="added"}')
    for model in ("srcnn", "mine", "photo_detail", "photo_real"):
        answer = post(web, as_file(photo()), model=model, detail="0.5")
        assert answer.status_code == 422 and answer.json()["error"].endswith("choose the model photo or auto"), answer.text
    for detail in ("nan", "inf", "2", "-0.1", "much"):
        answer = post(web, as_file(photo()), detail=detail)
        assert (answer.status_code, answer.json()["error"]) == (422, f"detail: expected a number from 0 to 1, got '{detail}'")
    assert figure(web, 'srfast_jobs_total{state="added"}') == added
    job = finish(web, post(web, as_file(photo(4, 4)), detail="", model="srcnn"))
    assert (job["state"], job["detail"]) == ("done", 0)
    web.delete(f"/api/jobs/{job['id']}")


def test_every_answer_carries_the_headers(web):
    policies = set()
    for path in ("/", "/static/app.js", "/static/nothing", "/api/models", "/api/jobs/unknown", "/healthz", "/metrics", "/openapi.json"):
        answer = web.get(path)
        policies.add(answer.headers["Content-Security-Policy"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers and "server" not in answer.headers
    assert len(policies) == 1 and "unsafe" not in policies.pop()


def test_one_call_does_it_all(web, tmp_path):
    if not shutil.which("curl"): pytest.skip("curl is not installed")
    (tmp_path / "a.png").write_bytes(as_file(photo()))
    fields = ["-F", "picture=@a.png", "-F", "scale=2", "-F", "format=jpg"]
    command = ["curl", "-sS", *fields, str(web.base_url.join("/api/upscale")), "-o", "b.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "b.jpg").format == "JPEG" and Image.open(tmp_path / "b.jpg").size == (80, 60)
    assert eventually(lambda: web.get("/metrics").text.count('srfast_jobs_held{state="done"} 0.0'))


def test_a_job_says_where_and_how_long(web):
    answer = post(web, as_file(photo()), model=LONG_NAME, scale="2")
    job = web.get(f"{answer.headers['Location']}?wait=90").json()
    assert (job["state"], job["model"], job["links"]["self"]) == ("done", LONG_NAME, answer.headers["Location"])
    assert 0 < (datetime.fromisoformat(job["expires_at"]) - datetime.now(timezone.utc)).total_seconds() <= 900
    assert web.get(job["links"]["result"]).status_code == 200
    assert web.get(f"{answer.headers['Location']}?wait=soon").status_code == 422
    web.delete(job["links"]["self"])
    answer = post(web, as_file(photo()), scale="2", width="80")
    assert answer.status_code == 422 and answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == answer.json()["error"] and answer.json()["title"]
    assert post(web, as_file(photo(244, 245)), scale="16").json()["error"].endswith("use a scale of at most 15.84")


def test_what_is_no_such_call_is_refused_with_the_headers(web):
    for method, path in (("PUT", "/api/jobs"), ("OPTIONS", "/api/jobs"), ("GET", "/api/jobs"), ("POST", "/")):
        answer = web.request(method, path)
        assert answer.status_code == 405 and answer.headers["Allow"] and "error" in answer.json()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert web.head("/").status_code == web.head("/healthz").status_code == 200


def test_a_form_without_a_picture_is_refused(web):
    field = b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\ntext\r\n--x--\r\n'
    form = "multipart/form-data"
    for kind, status in {f"{form}; boundary=x": 400, f"{form.title()}; boundary=x": 400, form: 400, "application/json": 422}.items():
        answer = web.post("/api/jobs", content=b"garbage", headers={"Content-Type": kind})
        assert answer.status_code == status and answer.json()["error"], kind
        answer = web.post("/api/jobs", content=field, headers={"Content-Type": kind})
        assert answer.status_code == (422 if "boundary" in kind else status), kind


def test_two_pictures_at_once_are_refused(web):
    answer = web.post("/api/jobs", files=[("picture", ("a.png", as_file(photo(4, 4))))] * 2)
    assert answer.status_code == 400 and "1" in answer.json()["error"]


def test_a_picture_that_claims_too_many_pixels_is_not_decoded(web):
    size = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    bomb = b"".join(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)
    answer = post(web, b"\x89PNG\r\n\x1a\n" + bomb)
    assert answer.status_code == 413 and "2,500,000,000" in answer.json()["error"]


def test_the_page_names_every_model(web):
    named = re.findall(r'<option value="([^"]+)"', web.get("/").text)
    models = {model["name"]: model["detail"] for model in web.get("/api/models").json()["models"]}
    named = list(dict.fromkeys(name for name in named if name in models))  # formats are chosen too
    assert sorted(named) == sorted(name for name in models if name != "photo_detail")  # a slider is for that one
    assert named[:5] == ["photo", "fast", "photo_real", "auto", "faces"] and named[5:7] == [LONG_NAME, "mine"]
    assert [name for name in models if models[name]] == ["photo", "auto"]


def test_only_the_package_is_served(web):
    for path in ("/static/../core.py", "/static/%2e%2e/core.py", "/static/..%2fcore.py", "/api/jobs/..%2f..", "/.sesskey", "/app.py"):
        assert web.get(path).status_code in (404, 422), path


def test_an_upload_in_chunks_is_cut_off(web, server):
    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
        for _ in range(50):
            yield bytes(10_000)
    answer = web.post("/api/jobs", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 413 and "0.2" in answer.json()["error"]
    assert web.get("/healthz").status_code == 200 and server.left() == [path for path in server.left() if "/" not in path]


def test_a_client_that_hangs_up_frees_its_place(web, server):
    host, port = server.url.removeprefix("http://").split(":")
    lines = ("POST /api/jobs HTTP/1.1", f"Host: {host}", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 5000", "", "--b")
    head = "".join(f"{line}\r\n" for line in lines)
    held = [socket.create_connection((host, int(port))) for _ in range(4)]
    for connection in held:
        connection.sendall(head.encode())
    assert eventually(lambda: post(web, b"no picture").status_code == 429)
    for connection in held:
        connection.close()
    assert eventually(lambda: post(web, b"no picture").status_code == 415)


def test_one_client_may_have_so_many(web):
    answers = [post(web, as_file(photo(200, 200)), **LONG | {"scale": "8"}) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {202, 429}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    places = [web.get(answer.headers["Location"]).json()["position"] for answer in answers if answer.status_code == 202]
    assert places == sorted(places) and places[-1] >= 2
    assert web.get(f"{answers[0].headers['Location']}/result").status_code == 409
    for answer in answers:
        if answer.status_code == 202:
            assert web.delete(answer.headers["Location"]).status_code == 204


def test_what_runs_can_be_cancelled(web, server):
    cancelled = figure(web, 'srfast_jobs_total{state="cancelled"}')
    answer = post(web, as_file(photo(200, 200)), **LONG | {"scale": "8"})
    assert eventually(lambda: web.get(answer.headers["Location"]).json()["state"] == "running")
    web.delete(answer.headers["Location"])
    assert finish(web, post(web, as_file(photo()), scale="2"))["state"] == "done"
    assert figure(web, 'srfast_jobs_total{state="cancelled"}') == cancelled + 1
    assert not any(answer.json()["id"] in path for path in server.left())


def test_neither_answers_nor_log_tell_where_things_lie(web, server):
    names = ("../../etc/passwd", "C:\\secret\\cat.png", 'a"b\r\nX-Evil: 1.png', "<script>.png", "x" * 500 + ".png", "katze ü.png")
    seen, jobs = [], []
    for name in names:
        answer = post(web, as_file(photo(9, 9)), name, scale="2")
        jobs.append(finish(web, answer))
        result = web.get(f"{answer.headers['Location']}/result")
        assert "X-Evil" not in result.headers
        seen += [answer.text, str(result.headers)]
    assert jobs[0]["name"] == "passwd" and jobs[1]["name"] == "cat.png"
    noise = as_file(Image.effect_noise((90, 90), 80))
    for picture in (b"", b"text", noise[:2000], as_file(photo(), "JPEG")[:500], moving("GIF")[:2500], moving("TIFF")[:3000], noise[:50]):
        answer = post(web, picture, scale="2")
        seen.append(answer.text)
        if answer.status_code == 202:
            seen.append(str(finish(web, answer)))
    for wish in ({"model": "../mine"}, {"model": "/etc"}, {"format": "exe"}, {"format": "../x"}, {"width": "9" * 50}, {"x": "1"}):
        seen.append(post(web, noise, **wish).text)
        assert "error" in seen[-1]
    for path in ("/", "/metrics", "/api/models", "/openapi.json", "/nowhere"):
        seen.append(web.get(path).text)
    seen.append(server.log.read_text())
    for place in (str(server.tmp), str(server.tmp.parent), HOME, sys.prefix, "site-packages", "Traceback"):
        assert not [text for text in seen if place in text], place


def test_identifiers_cannot_be_guessed(web):
    ids = {post(web, as_file(photo(4, 4)), scale="1.5").json().get("id") for _ in range(4)} - {None}
    assert ids and all(re.fullmatch(r"[\w-]{22}", id) for id in ids)
    for id in ids:
        web.delete(f"/api/jobs/{id}")


def test_another_site_and_another_name_are_refused(web):
    picture = {"picture": ("a.png", as_file(photo(4, 4)))}
    assert web.post("/api/jobs", files=picture, headers={"Origin": "https://evil.example"}).status_code == 403
    assert web.post("/api/jobs", files=picture, headers={"Origin": "http://["}).status_code == 403
    for name in ("evil.example", "127.0.0.1.evil.example", "[::1"):
        assert web.get("/", headers={"Host": name}).status_code == 400
    assert web.delete("/api/jobs/x", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_the_document_is_openapi(web):
    validate = pytest.importorskip("openapi_spec_validator").validate
    validate(web.get("/openapi.json").json())


def test_figures_are_prometheus(web):
    finish(web, post(web, as_file(photo(4, 4)), scale="2"))
    parsers = {"text/plain": text_string_to_metric_families, "application/openmetrics-text": openmetrics_parser}
    for kind, parse in parsers.items():
        answer = web.get("/metrics", headers={"Accept": f"{kind}; version=1.0.0"})
        families = {family.name: family for family in parse(answer.text)}
        assert answer.headers["Content-Type"].startswith(kind) and all(family.documentation for family in families.values())
        assert {"srfast_jobs", "srfast_jobs_held", "srfast_job_wait_seconds", "srfast_job_work_seconds"} <= set(families)
    assert figure(web, 'srfast_jobs_total{state="done"}') > 0 and figure(web, "srfast_job_work_seconds_count") > 0


def test_time_runs_out_and_results_expire(tmp_path):
    (tmp_path / "secret_name.safetensors").write_bytes(find_weights("photo", 2).read_bytes())
    access = ["--token", "sesame", "--origin", "https://mine.example", "--models", str(tmp_path), "--log-json", "--access-log"]
    with serving(tmp_path, "--seconds", "1", "--keep", "1", *access) as server:
        with httpx.Client(base_url=server.url, timeout=60) as web:
            assert "secret_name" not in web.get("/").text and web.get("/openapi.json").status_code == 401
            asked = {"Origin": "https://mine.example", "Access-Control-Request-Method": "POST"}
            assert web.options("/api/jobs", headers=asked).headers["Access-Control-Allow-Origin"] == "https://mine.example"
            assert web.options("/api/jobs", headers=asked | {"Origin": "https://other.example"}).status_code == 400
            assert web.get("/api/models").status_code == web.get("/metrics").status_code == post(web, b"").status_code == 401
            assert web.get("/").status_code == web.get("/healthz").status_code == 200
            web.headers["Authorization"] = "Bearer sesame"
            web.headers["Origin"] = "https://mine.example"
            job = finish(web, post(web, as_file(photo(400, 400)), scale="8", ensemble="true"))
            assert (job["state"], job["status"]) == ("failed", 504)
            answer = post(web, as_file(photo()), scale="2")
            assert finish(web, answer)["state"] == "done"
            assert eventually(lambda: web.get(answer.headers["Location"]).status_code == 404)
            assert eventually(lambda: not [path for path in server.left() if "/" in path])
            allowed = web.get("/api/models").headers
            assert allowed["Access-Control-Allow-Origin"] == "https://mine.example"
            assert "Location" in allowed["Access-Control-Expose-Headers"]
            guesses = [web.get("/api/models", headers={"Authorization": f"Bearer {i}"}) for i in range(6)]
            assert [guess.status_code for guess in guesses] == [401] * 5 + [429] and int(guesses[-1].headers["Retry-After"])
            entries = [json.loads(line) for line in server.log.read_text().splitlines()]
            requests = [entry for entry in entries if entry["log"] == "srfast.access"]
            assert {entry["status"] for entry in requests} >= {200, 202, 401, 429}
            assert {entry["client"] for entry in requests} == {"127.0.0.1"}
            assert answer.json()["id"] not in server.log.read_text() and "sesame" not in server.log.read_text()


def children(pid):
    """The processes that `pid` has started, and those that they have started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"^PPid:\t(\d+)", status.read_text(), re.MULTILINE)
        except OSError:
            continue
        if parent and int(parent[1]) == pid:
            found += [child := int(status.parent.name), *children(child)]
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for processes in /proc")
def test_killed_it_leaves_a_clean_start(tmp_path):
    with serving(tmp_path) as server:
        form = dict(files={"picture": as_file(photo(300, 300))}, data={"scale": "8", "ensemble": "on"})
        answer = httpx.post(f"{server.url}/api/jobs", **form, timeout=60)
        assert eventually(lambda: httpx.get(server.url + answer.headers["Location"]).json()["state"] == "running")
        started = children(server.process.pid)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        left = server.left()
    assert any(answer.json()["id"] in path for path in left) and started
    assert eventually(lambda: not [pid for pid in started if Path(f"/proc/{pid}/cmdline").exists()], 60)
    with serving(tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert not set(left) & set(server.left())
    assert server.left() == []


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run([*COMMAND[:-1], str(taken.getsockname()[1])], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "cannot listen" in done.stderr


def test_a_missing_package_is_named():
    code = "import sys; sys.modules['uvicorn'] = None; from srfast.cli import main; sys.argv[1:] = ['app']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "uvicorn: pip install 'srfast[web]'" in done.stderr


def test_under_load():
    with tempfile.TemporaryDirectory() as folder:
        rows = run(20, 6, Path(folder))
    assert not [text for text in complaints(rows) if "wrong" in text], rows
    assert sum(row["right"] for row in rows) == 18 and sum(row["refused rightly"] for row in rows) == 2
