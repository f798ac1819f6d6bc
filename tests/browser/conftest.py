"""Chromium for the tests of the page: the distribution's own, or one that Playwright has installed."""
import pytest
from serving import find_chromium, serving


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = find_chromium()
    if path is None: pytest.skip("no Chromium is installed: apt-get install chromium, or playwright install chromium")
    return browser_type_launch_args | {"executable_path": path}


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    limits = ["--max-upload", "200kB", "--max-in", "60KP", "--per-client", "8"]
    with serving(tmp_path_factory.mktemp("server"), *limits) as found: yield found


@pytest.fixture(scope="session")
def narrow_server(browser, tmp_path_factory):
    """One that asks for a token, and has one place for each client."""
    with serving(tmp_path_factory.mktemp("narrow"), "--token", "sesame", "--per-client", "1") as found: yield found


@pytest.fixture(scope="session")
def photo_server(browser, tmp_path_factory):
    """One whose results may have a million pixels."""
    with serving(tmp_path_factory.mktemp("photo"), "--max-out", "1MP") as found: yield found
