"""nginx in front, as nbs/tutorials/04_deploy.ipynb says, with a prefix and a socket."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from serving import serving
from test_app import as_file, eventually, photo

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def proxied(tmp_path):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if not nginx: pytest.skip("nginx is not installed: apt-get install nginx-light")
    cells = json.loads((ROOT / "nbs/tutorials/04_deploy.ipynb").read_text())["cells"]
    location = re.search(r"```nginx\n(.*?)```", "\n".join("".join(cell["source"]) for cell in cells), re.DOTALL)[1]
    location = location.replace("/run/srfast/app.sock", str(tmp_path / "app.sock"))
    (tmp_path / "nginx.conf").write_text(f"""daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; user root;
events {{}}
http {{
    access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
    fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
    server {{ listen unix:{tmp_path}/nginx.sock; {location} }}
}}""")
    with serving(tmp_path, "--host", f"unix:{tmp_path}/app.sock", "--root-path", "/upscale", "--per-client", "2"):
        process = subprocess.Popen([nginx, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"])
        try:
            assert eventually((tmp_path / "nginx.sock").exists), (tmp_path / "error.log").read_text()
            transport = httpx.HTTPTransport(uds=str(tmp_path / "nginx.sock"))
            with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as web: yield web
        finally:
            process.terminate()
            process.wait()


def test_behind_nginx_with_a_prefix(proxied):
    page = proxied.get("/upscale/")
    assert page.status_code == 200 and 'href="static/app.css' in page.text
    assert proxied.get("/upscale/static/app.js").status_code == 200
    assert proxied.get("/upscale", follow_redirects=False).headers["Location"].endswith("/upscale/")
    answer = proxied.post("/upscale/api/jobs", files={"picture": as_file(photo())}, data={"scale": "2"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].startswith("/upscale/api/jobs/")
    job = proxied.get(f"{answer.headers['Location']}?wait=60").json()
    assert proxied.get(job["links"]["result"]).status_code == 200
    own = {"Origin": "http://localhost"}
    assert proxied.delete(job["links"]["self"], headers={"Origin": "https://evil.example"}).status_code == 403
    assert proxied.delete(job["links"]["self"], headers=own).status_code == 204
