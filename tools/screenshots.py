#!/usr/bin/env python
"""Take the pictures of the page that README.md shows, to data/figures, with the Chromium of the tests."""
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data

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


def shoot(browser, url: str, folder: Path, picture: str, scheme: str, phone: bool) -> bytes:
    """A picture enlarged and shown, as PNG."""
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
