"""A real `srfast app` for tests, in a process of its own, and a Chromium to look at it."""
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMAND = [sys.executable, "-c", "from srfast.cli import main; main()", "app", "--port", "0"]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Server:
    """Where it is, its process, its temporary folder, and the file it logs to."""
    url: str
    process: subprocess.Popen
    tmp: Path
    log: Path

    def left(self) -> list:
        """The files and folders in its temporary folder, without the socket by which its processes start."""
        return [path for path in (str(path.relative_to(self.tmp)) for path in self.tmp.rglob("*")) if "/listener-" not in path]


@contextmanager
def serving(folder: Path, *options: str):
    """Starts a server whose temporary folder is `folder`/tmp; stops it at the end."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    env = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp")}
    log = folder / "log.txt"
    with open(log, "a") as file:
        process = subprocess.Popen([*COMMAND, *options], cwd=folder, stdout=subprocess.PIPE, stderr=file, text=True, env=env)
    line = process.stdout.readline().split()
    try:
        assert len(line) > 1, log.read_text()
        yield Server(line[1], process, folder / "tmp", log)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


class Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *args): pass


@contextmanager
def serving_files(folder: Path):
    """Yields the address at which a plain static server has the files of `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def find_chromium():
    """Where a Chromium lies, or None."""
    from playwright.sync_api import sync_playwright
    own = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if own: return own
    with sync_playwright() as playwright: path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
