#!/usr/bin/env python
"""Make the pictures in data/figures: before and after for README.md, and the web page, with the Chromium of the tests."""
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data

from srfast import imresize, upscale

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from serving import find_chromium, serving  # noqa: E402

PICTURES = {"chelsea.png": ("chelsea", (225, 150)), "astronaut.jpg": ("astronaut", (192, 192)), "coffee.webp": ("coffee", (300, 200))}
SHOTS = {
    "app_light": ("chelsea.png", "light", False),
    "app_dark": ("coffee.webp", "dark", False),
    "app_phone": ("astronaut.jpg", "light", True),
}
WIDE, PHONE = {"width": 1180, "height": 880}, {"width": 390, "height": 760}


def draw_before_after(path: Path, gap: int = 8) -> None:
    """Write an astronaut of 80 x 80 pixels upscaled by 4, bicubic on the left, srfast on the right, shown at twice that size."""
    small = imresize(data.astronaut()[10:330, 140:460], 1 / 4)
    halves = [np.asarray(Image.fromarray(img).resize((640, 640), Image.LANCZOS)) for img in (imresize(small, 4), upscale(small))]
    Image.fromarray(np.hstack([halves[0], np.full((640, gap, 3), 255, np.uint8), halves[1]])).save(path, quality=88)


def shoot(browser, url: str, folder: Path, picture: str, scheme: str, phone: bool) -> bytes:
    """Return a screenshot of an upscaled image, as PNG."""
    options = dict(viewport=PHONE if phone else WIDE, device_scale_factor=1 + phone, has_touch=phone)
    with browser.new_context(color_scheme=scheme, **options) as context:
        page = context.new_page()
        page.goto(url)
        page.set_input_files("#choose", [folder / picture])
        page.click("#start")
        expect(page.locator("#list .done")).to_have_count(1, timeout=90_000)
        if phone: page.evaluate("() => scrollTo(0, document.getElementById('viewer').offsetTop - 16)")
        else:
            for _ in range(2): page.get_by_role("button", name="Larger").click()
        page.mouse.move(5, 5)
        page.wait_for_timeout(400)
        if not phone: page.evaluate("() => scrollTo(0, 0)")
        return page.screenshot()


def main() -> None:
    draw_before_after(ROOT / "data/figures/before_after.jpg")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright, serving(Path(name)) as server:
        folder = Path(name)
        for file, (source, size) in PICTURES.items():
            Image.fromarray(getattr(data, source)()).resize(size, Image.LANCZOS).save(folder / file, quality=95)
        browser = playwright.chromium.launch(executable_path=find_chromium())
        for shot, options in SHOTS.items():
            (folder / "shot.png").write_bytes(shoot(browser, server.url, folder, *options))
            Image.open(folder / "shot.png").convert("RGB").save(ROOT / f"data/figures/{shot}.webp", quality=86, method=6)
        browser.close()


if __name__ == "__main__":
    main()
