"""The page in a real browser: by mouse, by keyboard alone, on a phone, for a screen reader; and what it never does."""
import io
import re
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pytest_playwright", reason="pip install pytest-playwright")
from playwright.sync_api import expect  # noqa: E402

expect.set_options(timeout=60_000)


def picture(name="cat.png", width=60, height=40, kind="PNG"):
    """A small photograph-like file, as a file chooser gives it."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / 5 + k) * np.cos(y / 6 - k) for k in range(3)]
    file = io.BytesIO()
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(file, kind)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": file.getvalue()}


@pytest.fixture
def opened(page, server):
    """The page, whose every request stays on this server and whose console stays silent."""
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    page.refused = []  # what a test expects the server to refuse
    yield page
    assert not [url for url in requests if not url.startswith((server.url, f"blob:{server.url}"))]
    assert [text for text in errors if "Failed to load resource" not in text] == []
    assert len(errors) == len(page.refused), errors


def add(page, *files):
    page.set_input_files("#choose", list(files))


def enlarge(page, *files):
    """Adds files, starts, waits until all are done."""
    add(page, *files)
    page.get_by_role("button", name=re.compile("^Upscale( \\d+ images)?$")).click()
    expect(page.locator("#list .done")).to_have_count(len(files))


def sent(page, server, work):
    """Where the server has the picture that `work` sends."""
    with page.expect_response(lambda answer: answer.request.method == "POST") as posted: work()
    return f"{server.url}/api/jobs/{posted.value.json()['id']}"


def value(page, expression):
    return page.evaluate(f"() => {expression}")


def cut(page):
    return float(value(page, "document.getElementById('stage').style.getPropertyValue('--cut')").rstrip("%"))


def scale(page):
    return float(re.search(r"scale\(([\d.]+)\)", page.locator("#after-img").get_attribute("style"))[1])


def download(page, title):
    with page.expect_download() as found: page.get_by_role("group", name="Download").get_by_role("button", name=title).click()
    with open(found.value.path(), "rb") as file: return found.value.suggested_filename, file.read()


def test_a_picture_goes_in_and_comes_out(opened, server):
    job = sent(opened, server, lambda: enlarge(opened, picture()))
    expect(opened.locator("#shown-facts")).to_contain_text(re.compile("60.×.40 to 240.×.160"))
    for side in ("before", "after"): expect(opened.locator(f"#{side}-img")).to_be_visible()
    assert value(opened, "document.getElementById('after-img').naturalWidth") == 240
    for title, form in (("PNG", "png"), ("JPEG", "jpeg"), ("WebP", "webp")):
        name, content = download(opened, title)
        assert name == f"cat_x4.{form}"
        assert content == httpx.get(f"{job}/result?format={form}").content
        assert Image.open(io.BytesIO(content)).size == (240, 160)
    expect(opened.get_by_role("status")).to_contain_text("downloaded")


def test_before_and_after(opened):
    enlarge(opened, picture())
    stage, slider = opened.locator("#stage"), opened.get_by_role("slider", name="Border")
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.mouse.move(box["x"] + box["width"] / 2, middle)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] / 4, middle, steps=4)
    opened.mouse.up()
    assert abs(cut(opened) - 25) < 1
    slider.press("ArrowRight")
    assert abs(cut(opened) - 26) < 1
    slider.press("End")
    assert cut(opened) == 100
    expect(slider).to_have_attribute("aria-valuetext", "100 % before, 0 % after")
    fit = scale(opened)
    slider.press("+")
    opened.get_by_role("button", name="Larger").click()
    assert scale(opened) == pytest.approx(fit * 2.25)
    before = opened.locator("#after-img").get_attribute("style")
    slider.press("Shift+ArrowRight")
    assert opened.locator("#after-img").get_attribute("style") != before and scale(opened) == pytest.approx(fit * 2.25)
    slider.press("1")
    assert scale(opened) == 1
    opened.get_by_role("button", name="Fit to window").click()
    assert scale(opened) == pytest.approx(fit)
    opened.keyboard.down("Control")
    opened.mouse.move(box["x"] + 50, middle)
    opened.mouse.wheel(0, -100)
    opened.keyboard.up("Control")
    assert scale(opened) > fit


def test_what_cannot_be_done_is_a_sentence(opened):
    opened.refused += ["text"]
    add(opened, {"name": "<b>text.png", "mimeType": "image/png", "buffer": b"no picture"}, picture("wide.png", 300, 300),
        {"name": "heavy.png", "mimeType": "image/png", "buffer": bytes(300_000)})
    rows = opened.locator("#list li")
    expect(rows.nth(2)).to_contain_text("Too large: expected at most 200 kB, got 300 kB.".replace(" kB", "\u00a0kB"))
    expect(rows.nth(1)).to_contain_text("Too large: expected at most 60,000 pixels, got 90,000.")
    opened.get_by_role("button", name="Upscale", exact=True).click()
    expect(rows.nth(0)).to_contain_text("<b>text.png")
    expect(rows.nth(0)).to_contain_text("This image cannot be read: expected")
    expect(opened.locator("#viewer")).to_be_hidden()


def test_several_pictures_wait_in_order(opened):
    add(opened, *(picture(f"{i}.png", 200 + i, 200) for i in range(5)))
    opened.get_by_role("button", name="Upscale 5 images").click()
    opened.get_by_role("button", name="Cancel 3.png").click()
    expect(opened.locator("#list .done")).to_have_count(4)
    assert opened.locator("#list .name").all_text_contents() == ["0.png", "1.png", "2.png", "4.png"]
    opened.get_by_role("button", name="Show 4.png").click()
    expect(opened.locator("#shown-name")).to_have_text("4.png")
    opened.get_by_label("Model").select_option("srcnn")
    opened.get_by_text("2×", exact=True).click()
    opened.get_by_role("button", name="Upscale 4.png again").click()
    expect(opened.locator("#list li").nth(3)).to_contain_text(re.compile("to 408.×.400.*srcnn"))
    opened.get_by_role("button", name="Remove 4.png").click()
    expect(opened.locator("#list li")).to_have_count(3)
    expect(opened.locator("#shown-name")).to_have_text("0.png")


def test_other_settings_enlarge_again(opened):
    opened.get_by_text("Exact", exact=True).click()
    opened.get_by_label("Width").fill("-5")
    opened.get_by_text("2×", exact=True).click()
    enlarge(opened, picture())
    start = opened.locator("#start")
    expect(start).to_be_disabled()
    opened.get_by_text("Exact", exact=True).click()
    opened.get_by_label("Width").fill("")
    start.click()
    assert value(opened, "document.activeElement.matches('#width:invalid')")
    opened.get_by_label("Height").fill("50")
    expect(start).to_have_text("Upscale again")
    start.click()
    expect(opened.locator("#shown-facts")).to_contain_text(re.compile("to 75.×.50"))
    expect(start).to_be_disabled()


def test_detail(opened):
    slider, start = opened.get_by_role("slider", name="Detail"), opened.locator("#start")
    expect(slider).to_have_attribute("aria-valuetext", "0, faithful")
    enlarge(opened, picture())
    faithful = download(opened, "PNG")[1]
    for _ in range(3): slider.press("ArrowRight")
    expect(opened.locator("#details")).to_contain_text("0.15")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "1, sharp")
    expect(start).to_have_text("Upscale again")
    start.click()
    expect(opened.locator("#shown-facts")).to_contain_text("photo, detail 1")
    assert download(opened, "PNG")[1] != faithful
    expect(start).to_be_disabled()
    opened.get_by_label("Model").select_option("auto")
    expect(slider).to_be_visible()
    opened.get_by_label("Model").select_option("srcnn")
    expect(slider).to_be_hidden()
    start.click()
    expect(opened.locator("#shown-facts")).to_have_text(re.compile("srcnn$"))


def test_a_file_that_has_gone(opened, tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(picture()["buffer"])
    opened.set_input_files("#choose", path)
    expect(opened.locator(".thumb")).to_have_js_property("naturalWidth", 60)
    path.unlink()
    opened.get_by_role("button", name="Upscale", exact=True).click()
    expect(opened.locator("#list li")).to_contain_text("This cannot be read")


def test_what_the_server_has_forgotten(opened, server):
    opened.refused += ["JPEG", "the second picture"]
    httpx.delete(sent(opened, server, lambda: enlarge(opened, picture())))
    assert download(opened, "PNG")[0] == "cat_x4.png"
    opened.get_by_role("group", name="Download").get_by_role("button", name="JPEG").click()
    expect(opened.locator("#viewer")).to_contain_text("The server has deleted this image; upscale it again.")
    add(opened, picture("dog.png", 240, 240))
    opened.get_by_role("switch", name="Best quality").check()
    httpx.delete(sent(opened, server, opened.locator("#start").click))
    expect(opened.locator("#list li").nth(1)).to_contain_text("The server has deleted this image; upscale it again.")
    opened.get_by_role("switch", name="Best quality").uncheck()
    opened.get_by_role("button", name="Upscale dog.png again").click()
    expect(opened.locator("#list .done")).to_have_count(2)


def test_who_leaves_is_asked_and_leaves_nothing(opened, server):
    asked = []
    opened.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    enlarge(opened, picture())
    add(opened, picture("dog.png", 240, 240))
    opened.get_by_role("switch", name="Best quality").check()
    job = sent(opened, server, opened.locator("#start").click)
    opened.reload()
    assert asked == ["beforeunload"]
    expect(opened.locator("#pictures")).to_be_hidden()
    for _ in range(300):
        if httpx.get(job).status_code == 404: return
        opened.wait_for_timeout(100)
    raise AssertionError("the server still has the picture")


def test_dropped_and_pasted(opened):
    give = """([kind, bytes]) => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, {type: "image/png"}));
        const event = kind === "drop" ? new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true})
                                      : new ClipboardEvent("paste", {clipboardData: files, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"): opened.evaluate(give, [kind, list(picture()["buffer"])])
    assert opened.locator("#list .name").all_text_contents() == ["drop.png", "paste.png"]
    opened.get_by_text("Exact", exact=True).click()
    opened.get_by_label("Width").fill("100")
    opened.get_by_role("switch", name="Consistent").check()
    opened.get_by_role("button", name="Upscale 2 images").click()
    expect(opened.locator("#list .done")).to_have_count(2)
    expect(opened.locator("#shown-facts")).to_contain_text(re.compile("to 100.×.67"))


def test_with_the_keyboard_alone(opened):
    def tab_to(name):
        told = "(e => (e.ariaLabel || e.labels?.[0]?.textContent || e.textContent || '').trim())(document.activeElement)"
        for _ in range(30):
            opened.keyboard.press("Tab")
            if value(opened, told).startswith(name): return
        raise AssertionError(f"{name} cannot be reached")
    opened.on("filechooser", lambda chooser: None)  # Playwright holds choosers from here on; begun with the key, it is late for Enter
    tab_to("Choose")
    with opened.expect_file_chooser(): opened.keyboard.press("Space")
    with opened.expect_file_chooser() as chooser: opened.keyboard.press("Enter")
    chooser.value.set_files([picture()])
    tab_to("4×")
    opened.keyboard.press("ArrowLeft")
    tab_to("Best quality")
    opened.keyboard.press("Space")
    tab_to("Upscale")
    outline = value(opened, "getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    opened.keyboard.press("Enter")
    expect(opened.locator("#list .done")).to_have_count(1)
    expect(opened.locator("#shown-facts")).to_contain_text(re.compile("to 180.×.120"))
    tab_to("Border")
    opened.keyboard.press("ArrowLeft")
    assert cut(opened) == 49
    tab_to("PNG")
    with opened.expect_download() as found: opened.keyboard.press("Enter")
    assert found.value.suggested_filename == "cat_x3.png"
    tab_to("Remove cat.png")
    opened.keyboard.press("Enter")
    expect(opened.locator("#pictures")).to_be_hidden()
    assert value(opened, "document.activeElement.id") == "choose"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_every_width(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert value(opened, "document.getElementById('drop').offsetTop <= document.getElementById('options').offsetTop")
    enlarge(opened, picture("a_name_that_is_long_enough_to_be_cut_off_on_any_phone_of_today.png"))
    assert value(opened, "document.documentElement.scrollWidth") <= width
    for button in opened.locator("button, .button").all():
        box = button.bounding_box()
        if box: assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 36, button.text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_for_screen_readers(browser, server, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python").Axe()
    # axe is put into the page; a colour on its way from one to another is not judged
    context = browser.new_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(server.url)
    found = [axe.run(page)]
    enlarge(page, picture())
    add(page, {"name": "heavy.png", "mimeType": "image/png", "buffer": bytes(300_000)}, picture("ready.png"))
    page.get_by_text("Exact", exact=True).click()
    found.append(axe.run(page))
    context.close()
    violations = [violation for report in found for violation in report.response["violations"]]
    faults = [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations]
    assert faults == []
    assert all(len(report.response["passes"]) > 10 for report in found)


def test_a_token_and_a_busy_server(page, narrow_server):
    page.goto(narrow_server.url)
    add(page, picture("first.png", 240, 240))
    page.get_by_role("switch", name="Best quality").check()
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#list li")).to_contain_text("Waiting for the access token")
    box, note = page.get_by_label("This server requires an access token"), page.locator("#token-note")
    expect(box).to_be_focused()
    for token, text in (("schlüssel", "plain letters"), ("guess", "not the access token")):
        box.fill(token)
        box.press("Enter")
        expect(note).to_contain_text(text)
    box.fill("sesame")
    box.press("Enter")
    expect(note).to_be_empty()
    expect(page.locator("#list li")).to_contain_text(re.compile("Working|%"))
    add(page, picture("second.png"))
    page.get_by_role("switch", name="Best quality").uncheck()
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#list li").nth(1)).to_contain_text("The server is busy. Next try in")
    expect(page.locator("#list .done")).to_have_count(2)


def test_a_server_that_is_gone(page, server):
    page.goto(server.url)
    add(page, picture())
    page.context.set_offline(True)
    page.get_by_role("button", name="Upscale", exact=True).click()
    expect(page.locator("#list li")).to_contain_text("The server cannot be reached. Next try in")
    page.context.set_offline(False)
    expect(page.locator("#list .done")).to_have_count(1)


def test_a_photo_too_large_for_the_usual_scale(page, photo_server):
    """Default settings: the page knows the sizes that fit, and says what to expect, before anything is sent."""
    page.goto(photo_server.url)
    add(page, picture("IMG_1.jpg", 600, 400, "JPEG"), picture("small.png"))
    expect(page.locator("[name=size]:checked")).to_have_value("2")
    page.get_by_role("button", name="Remove small.png").click()
    expect(page.locator("#expect")).to_contain_text(re.compile("600.×.400 to 1,200.×.800"))
    expect(page.get_by_text("4×", exact=True)).to_have_attribute("title", "4× would give more than 1 megapixels")
    page.get_by_text("4×", exact=True).click()
    expect(page.locator("#expect")).to_contain_text("2× instead of 4×: the result would be too large.")
    page.locator("#start").click()
    expect(page.locator("#list .done")).to_have_count(1)
    with page.expect_download() as found: page.get_by_role("button", name="Download IMG_1.jpg").click()
    assert found.value.suggested_filename == "IMG_1_x2.png" and Image.open(found.value.path()).size == (1200, 800)
    page.get_by_text("Exact", exact=True).click()
    page.get_by_label("Width").fill("500")
    page.get_by_label("Height").fill("500")
    expect(page.locator("#expect")).to_contain_text("The shape of the image will change.")


def test_all_at_once(opened):
    """Fourteen images: one progress, one ZIP, one clear."""
    opened.get_by_label("Model").select_option("fast")
    opened.get_by_label("File").select_option("webp")
    add(opened, *(picture("same.png") for _ in range(14)))
    opened.get_by_role("button", name="Upscale 14 images").click()
    expect(opened.locator("#overall-state")).to_contain_text("of 14 done")
    expect(opened.locator("#list .done")).to_have_count(14)
    with opened.expect_download() as found: opened.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(found.value.path()) as whole:
        assert whole.testzip() is None and len(set(whole.namelist())) == 14
        assert Image.open(whole.open("same_x4 (2).webp")).size == (240, 160)
    opened.get_by_role("button", name="Clear").click()
    expect(opened.locator("#pictures")).to_be_hidden()
    opened.reload()
    expect(opened.get_by_label("Model")).to_have_value("fast")  # settings are remembered


def test_the_sample(opened):
    opened.get_by_role("button", name="Try this one").click()
    expect(opened.locator("#shown-facts")).to_contain_text(re.compile("80.×.80 to 320.×.320"))


def test_metadata_is_removed(opened):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, "JPEG", exif=exif)
    shot = {"name": "shot.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    for remove in (False, True):
        opened.get_by_role("switch", name="Remove metadata").set_checked(remove)
        if not remove: enlarge(opened, shot)
        else:
            opened.locator("#start").click()
            expect(opened.locator("#list .done")).to_have_count(1)
            expect(opened.locator("#start")).to_be_disabled()
        assert bool(Image.open(io.BytesIO(download(opened, "PNG")[1])).getexif().get(0x010F)) is not remove


LANGUAGES = {"de-CH": "Vergrößern", "fr": "Agrandir", "es-MX": "Ampliar", "zh-CN": "放大", "it": "Upscale"}


@pytest.mark.parametrize("language, words", LANGUAGES.items())
def test_languages(browser, server, language, words):
    with browser.new_context(locale=language) as context:
        page = context.new_page()
        page.goto(server.url)
        expect(page.locator("#start")).to_have_text(words)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
