"""The page without a server: the same results as in Python, no request to another host, and no need of a network after the first visit."""
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import serving_files

import srfast

pytest.importorskip("pytest_playwright", reason="pip install pytest-playwright")
pytest.importorskip("onnxscript", reason="pip install 'srfast[onnx]'")
from srfast.web.standalone import export_web  # noqa: E402

RUNTIME = sorted((Path(__file__).parents[2] / ".venv").glob("onnxruntime-web-*.tgz"))


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    if not RUNTIME: pytest.skip("onnxruntime-web is not there: (cd .venv && npm pack onnxruntime-web)")
    with serving_files(export_web(tmp_path_factory.mktemp("web") / "site", ["fast"], runtime=RUNTIME[0])) as found: yield found


@pytest.fixture
def faults(page, address):
    """What the page asked of other hosts or complained of."""
    found = []
    page.on("request", lambda request: None if request.url.startswith((address, "blob:", "data:")) else found.append(request.url))
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def picture(clear=False):
    y, x = np.mgrid[:40, :150]
    waves = [127 + 100 * np.sin(x / 3 + k) * np.cos(y / 4 - k) for k in range(3)] + [np.clip(1000 - 8 * x, 0, 255)] * clear
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def as_file(img, kind="PNG", **options):
    file = io.BytesIO()
    img.save(file, kind, **options)
    return {"name": f"picture.{kind.lower()}", "mimeType": f"image/{kind.lower()}", "buffer": file.getvalue()}


def enlarged(page, file, button=0):
    """Upscale a file on the page and download the result."""
    page.locator("#choose").set_input_files(file)
    page.locator("#start").click()
    page.locator("#list li.done").wait_for()
    with page.expect_download() as download: page.locator("#takes button").nth(button).click()
    img = Image.open(download.value.path())
    img.load()
    page.locator("#list .drop").click()
    return download.value.suggested_filename, img


def test_results_are_those_of_python(page, address, faults):
    page.goto(address)
    img = picture()
    name, found = enlarged(page, as_file(img))
    expected = np.asarray(srfast.upscale(img, model="fast", precision="float32"))
    assert (name, found.size) == ("picture_x4.png", (600, 160))
    assert np.abs(np.asarray(found.convert("RGB")).astype(int) - expected).max() <= 2
    assert faults == []


def test_offline_from_the_second_visit(page, address, faults):
    page.goto(address)
    page.wait_for_function("navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)")
    page.context.set_offline(True)
    page.reload()
    assert page.evaluate("crossOriginIsolated")
    img = picture(clear=True)
    name, found = enlarged(page, as_file(img))
    expected = np.asarray(srfast.upscale(img, model="fast", precision="float32"))
    assert (name, found.mode, found.size) == ("picture_x4.png", "RGBA", (600, 160))
    assert np.abs(np.asarray(found)[..., 3].astype(int) - expected[..., 3]).max() <= 2
    opaque = expected[..., 3] == 255  # elsewhere a canvas keeps colours multiplied by alpha
    assert np.abs(np.asarray(found).astype(int) - expected)[opaque].max() <= 2
    assert faults == []


def test_sizes_formats_and_refusals(page, address):
    page.goto(address)
    page.locator("[value=exact]").check(force=True)
    page.locator("#width").fill("333")
    name, found = enlarged(page, as_file(picture(), "JPEG"))
    assert (name, found.format, found.size) == ("picture_x2.22.jpg", "JPEG", (333, 89))
    page.locator("#width").fill("9999")
    page.locator("#choose").set_input_files(as_file(picture()))
    page.locator("#start").click()
    page.locator("#list li.failed").wait_for()
    assert "expected a result of 1 x 1 to 2400 x 640 pixels" in page.locator("#list .state").inner_text()
    frames = [picture(), picture().rotate(90)]
    page.locator("#list .drop").click()
    page.locator("#width").fill("300")
    page.locator("#choose").set_input_files(as_file(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    page.locator("#start").click()
    page.locator("#list li.failed").wait_for()
    assert "this is an animation" in page.locator("#list .state").inner_text()
