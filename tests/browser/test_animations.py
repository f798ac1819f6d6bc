"""Frames of animations against the decoders of Chromium."""
import base64

import animations
import numpy as np
import pytest

import srfast

pytest.importorskip("pytest_playwright", reason="pip install pytest-playwright")

DECODE = """async ([data, type]) => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0)), frames = [];
    const decoder = new ImageDecoder({data: bytes, type});
    await decoder.tracks.ready; await decoder.completed;
    for (let i = 0; i < decoder.tracks.selectedTrack.frameCount; i++) {
        const {image} = await decoder.decode({frameIndex: i});
        const context = new OffscreenCanvas(image.displayWidth, image.displayHeight).getContext("2d");
        context.drawImage(image, 0, 0);
        frames.push([...context.getImageData(0, 0, image.displayWidth, image.displayHeight).data]);
    }
    return frames;
}"""


@pytest.fixture
def blank(page):
    """An empty page in a secure context, where `ImageDecoder` is to be had."""
    page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><title>empty</title>"))
    page.goto("http://localhost/")
    return page


def multiplied(values):
    """Colours times alpha, and alpha: what a canvas keeps."""
    values = values.astype(float)
    return np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], -1)


@pytest.mark.parametrize("kind", ["png", "gif", "webp"])
def test_every_frame_is_what_chromium_shows(kind, blank):
    for seed in range(20):
        data = animations.random_film(kind, seed)
        shown = blank.evaluate(DECODE, [base64.b64encode(data).decode(), f"image/{kind}"])
        film = srfast.read_img(data)
        found = np.stack([np.asarray(frame.convert("RGBA")) for frame in film.frames])
        assert np.abs(multiplied(found) - multiplied(np.reshape(shown, found.shape))).max() <= 3, seed
