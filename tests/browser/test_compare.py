"""The slider in a browser: as a notebook shows it, as a page of one's own has it, and where scripts are off."""
import base64

import numpy as np
import pytest

from srfast.display.compare import _BEFORE, _PIXEL, before_after


@pytest.fixture(scope="module")
def shown():
    black, white = np.zeros((60, 80, 3), np.uint8), np.full((60, 80, 3), 255, np.uint8)
    return before_after(black, white, ("it's", '"after"'))


def notebook(*sliders):
    """The outputs of a cell that shows them, as Jupyter puts them into a page."""
    outputs = []
    for one in sliders:
        picture = base64.b64encode(one.to_png()).decode()
        outputs += [f'<div><img src="data:image/png;base64,{picture}"></div>', f"<div>{one._img(_PIXEL, _BEFORE)}</div>"]
    return f"<main>{''.join(outputs)}</main>"


def pixel(page, x, y=30):
    """Red of the page's picture at a place."""
    from io import BytesIO

    from PIL import Image
    return np.asarray(Image.open(BytesIO(page.screenshot())).convert("RGB"))[y, x, 0]


@pytest.mark.parametrize("where", ["page", "notebook"])
def test_the_slider_follows(browser, shown, where):
    page = browser.new_page(viewport={"width": 200, "height": 200})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(f"<body style='margin:0'>{shown.to_html() if where == 'page' else notebook(shown)}")
    bar = page.get_by_role("slider", name='it\'s | "after"')
    assert bar.bounding_box() == {"x": 0, "y": 0, "width": 80, "height": 60}
    assert pixel(page, 30) == 0 and pixel(page, 50) == 255
    bar.fill("20")
    assert pixel(page, 10) == 0 and pixel(page, 30) == 255
    bar.press("End")
    assert pixel(page, 50) == 0
    assert page.get_by_text('"after"').is_visible()
    assert all(url.startswith("data:") for url in asked)
    page.close()


def test_each_slider_takes_its_own_picture(browser, shown):
    grey = before_after(*(np.full((60, 80, 3), v, np.uint8) for v in (50, 150)))
    page = browser.new_page(viewport={"width": 200, "height": 200})
    page.set_content(f"<body style='margin:0'>{notebook(shown, grey)}")
    page.get_by_role("slider").nth(1).wait_for()
    assert page.get_by_role("slider").count() == 2
    assert [pixel(page, x, y) for y in (30, 95) for x in (20, 60)] == [0, 255, 50, 150]
    page.close()


def test_without_scripts_both_pictures_are_shown(browser, shown):
    page = browser.new_context(java_script_enabled=False, viewport={"width": 300, "height": 200}).new_page()
    page.set_content(f"<body style='margin:0'>{notebook(shown)}")
    assert pixel(page, 40) == 0 and pixel(page, 120) == 255
    page.close()
