"""The documentation site in a real browser: nothing comes from elsewhere, search and dark mode work, phones need not scroll sideways."""
import pytest
from axe_playwright_python.sync_playwright import Axe
from serving import serving_files

PAGES = ("index", "reference/index", "reference/images/resize", "tutorials/first", "genindex", "search")


@pytest.fixture(scope="module")
def address(docs_site):
    """Where a plain static server has the site."""
    with serving_files(docs_site) as found: yield found


@pytest.fixture
def faults(page, address):
    """What the pages visited by a test asked elsewhere, did not get, or complained of."""
    found = []
    page.on("request", lambda request: None if request.url.startswith((address, "data:")) else found.append(request.url))
    page.on("response", lambda response: found.append(response.url) if response.status >= 400 else None)
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_ask_no_other_host(page, address, faults, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    for name in PAGES:
        page.goto(f"{address}/{name}.html", wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator("html").get_attribute("data-theme") == scheme
        assert [fault["id"] for fault in Axe().run(page, options={"preload": False}).response["violations"]] == [], name
    assert faults == []


def test_search_finds_functions_without_another_host(page, address, faults):
    page.goto(f"{address}/search.html?q=shrink")
    first = page.locator("ul.search li a").first
    first.wait_for()
    assert first.inner_text() == "toy.images.resize.shrink"
    first.click()
    page.wait_for_url("**/reference/images/resize.html#toy.images.resize.shrink")
    assert page.get_by_text("how much smaller; None is 1").is_visible()
    assert faults == []


def test_source_is_folded(page, address):
    page.goto(f"{address}/reference/images/resize.html")
    source = page.get_by_text("return img[::scale, ::scale]")
    assert not source.is_visible()
    page.locator("details.source summary", has_text="Source").nth(0).click()
    assert source.is_visible()


def test_search_works_from_a_folder(page, docs_site):
    page.goto(f"{docs_site.as_uri()}/search.html?q=resizer")
    page.locator("ul.search li a").first.wait_for()
