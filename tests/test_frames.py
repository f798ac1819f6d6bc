"""Frames of animations as their specifications compose them, and damage that no reader may pass over."""
import io
import struct

import animations
import numpy as np
import pytest
from PIL import Image

import srfast
from srfast.data.pairs import read_rgb
from srfast.images.sixteen import deep_values

RED, GREEN, BLUE, CLEAR = ((255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0))
KEEP, BACKGROUND, PREVIOUS = range(3)


def block(color, width=1, height=1):
    return np.full((height, width, len(color)), color, np.uint8)


def seen(data):
    """RGBA of all frames side by side: (frames, H, W, 4)."""
    img = srfast.read_img(data)
    return np.stack([np.asarray(frame.convert("RGBA")) for frame in getattr(img, "frames", [img])])


def test_previous_gives_back_what_was_there_before():
    data = animations.apng((3, 1), [(block(GREEN, 3), (0, 0), KEEP, 0), *[(block(RED), (x, 0), PREVIOUS, 1) for x in range(3)]])
    rest = [[RED if x == at else GREEN for x in range(3)] for at in range(3)]
    np.testing.assert_array_equal(seen(data)[:, 0], [[GREEN] * 3, *rest])


def test_previous_after_a_cleared_frame_gives_back_the_cleared_one():
    frames = [(block(GREEN, 2), (0, 0), BACKGROUND, 0), (block(RED), (0, 0), PREVIOUS, 1), (block(BLUE), (1, 0), KEEP, 1)]
    data = animations.apng((2, 1), frames)
    np.testing.assert_array_equal(seen(data)[:, 0], [[GREEN, GREEN], [RED, CLEAR], [CLEAR, BLUE]])


def test_translucent_frames_are_mixed_with_opaque_ones_and_stay_opaque():
    half = (255, 0, 0, 51)  # a fifth
    data = animations.apng((2, 1), [(block(BLUE, 2), (0, 0), KEEP, 0), (block(half), (0, 0), KEEP, 1), (block(half), (0, 0), KEEP, 1)])
    np.testing.assert_array_equal(seen(data)[:, 0, 0], [BLUE, (51, 0, 204, 255), (92, 0, 163, 255)])


def test_a_still_image_outside_the_animation_leaves_nothing_on_the_canvas():
    data = animations.apng((2, 1), [(block(GREEN), (0, 0), KEEP, 1), (block(RED), (1, 0), KEEP, 1)], still=block(BLUE, 2))
    np.testing.assert_array_equal(seen(data)[:, 0], [[BLUE, BLUE], [GREEN, CLEAR], [GREEN, RED]])


def test_frames_of_sixteen_bits_keep_them_and_opaque_ones_have_no_alpha():
    frames = [np.full((1, 3, 3), 30_001, np.uint16), np.full((1, 1, 3), 999, np.uint16)]
    film = srfast.read_img(animations.apng((3, 1), [(values, (0, 0), KEEP, 0) for values in frames], bits=16))
    assert [frame.mode for frame in film.frames] == ["RGB", "RGB"]
    assert deep_values(film.frames[1])[0, :, 0].tolist() == [999, 30_001, 30_001]
    film = srfast.read_img(animations.apng((3, 1), [(values[..., :1], (0, 0), KEEP, 0) for values in frames], bits=16))
    assert [frame.mode for frame in film.frames] == ["I;16", "I;16"] and film.frames[1].getpixel((0, 0)) == 999


def test_areas_of_a_gif_cleared_to_background_are_clear():
    one, all_ = np.ones((1, 1)), np.full((1, 3), 2)
    data = animations.gif((3, 1), [(all_, (0, 0), 1, None), (one, (0, 0), 2, None), (one, (2, 0), 1, None)], background=3)
    np.testing.assert_array_equal(seen(data)[:, 0], [[GREEN] * 3, [RED, GREEN, GREEN], [CLEAR, GREEN, RED]])


def test_a_gif_goes_back_to_what_was_there_before():
    one, all_ = np.ones((1, 1)), np.full((1, 3), 2)
    data = animations.gif((3, 1), [(all_, (0, 0), 1, None), (one, (0, 0), 3, None), (one, (2, 0), 1, None)])
    np.testing.assert_array_equal(seen(data)[:, 0], [[GREEN] * 3, [RED, GREEN, GREEN], [GREEN, GREEN, RED]])


@pytest.mark.parametrize("more", [0, 1], ids=["still", "animation"])
def test_what_a_small_first_frame_of_a_gif_leaves_open_is_clear(more):
    one = np.ones((1, 1))
    data = animations.gif((3, 1), [(one, (1, 0), 1, None), (one, (2, 0), 1, None)][: 1 + more], background=3)
    np.testing.assert_array_equal(seen(data)[:, 0], [[CLEAR, RED, CLEAR], [CLEAR, RED, RED]][: 1 + more])
    assert srfast.upscale(data, 2, model="fast").mode == "RGBA"


def test_an_opaque_gif_whose_frames_save_bytes_by_a_clear_colour_has_no_alpha():
    all_, changed = np.full((1, 3), 2), np.array([[1, 0, 0]])
    film = srfast.read_img(animations.gif((3, 1), [(all_, (0, 0), 1, 0), (changed, (0, 0), 1, 0)]))
    assert [frame.mode for frame in film.frames] == ["RGB", "RGB"]
    np.testing.assert_array_equal(np.asarray(film.frames[1])[0], [RED[:3], GREEN[:3], GREEN[:3]])


def test_the_current_frame_of_an_open_animation_is_the_composed_one():
    data = animations.apng((3, 1), [(block(GREEN, 3), (0, 0), KEEP, 0), *[(block(RED), (x, 0), PREVIOUS, 1) for x in range(3)]])
    img = srfast.images.open_img(data)
    img.seek(2)
    np.testing.assert_array_equal(np.asarray(srfast.images.read.upright(img))[0], [GREEN, RED, GREEN])
    assert img.tell() == 2 and seen(data).shape[0] == len([*srfast.images.read_frames(img)]) == 4


def test_a_frame_larger_than_allowed_is_refused():
    data = animations.gif((3, 1), [(np.ones((1, 3)), (0, 0), 1, None), (np.ones((500, 500)), (0, 0), 1, None)])
    with pytest.raises(srfast.ImageError, match="at most 1,000 pixels, got 250,000"): srfast.read_img(data, max_pixels=1000)


def damaged_png():
    """(a PNG, the same with one bit of its pixels flipped)."""
    file, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[len(data) // 2] ^= 8
    return file.getvalue(), bytes(data)


def by_widget(path):
    from srfast.display import widget
    return widget(Image.open(path), 2, model="fast")


def by_evaluate(path):
    from srfast.evaluation import evaluate
    return evaluate("fast", path.parent, scale=2)


@pytest.mark.parametrize("use", [
    srfast.read_img, read_rgb, by_widget, by_evaluate,
    lambda path: srfast.upscale(path, 2, model="fast"),
    lambda path: srfast.upscale(path.read_bytes(), 2, model="auto"),
    lambda path: srfast.upscale(Image.open(path), 2, model="auto"),
], ids=["read_img", "training", "widget", "evaluate", "path", "bytes", "open image"])
def test_one_flipped_bit_of_a_png_is_an_error_everywhere(use, tmp_path):
    (tmp_path / "a.png").write_bytes(damaged_png()[1])
    with pytest.raises((srfast.ImageError, ValueError)): use(tmp_path / "a.png")


def test_none_of_two_hundred_flips_in_a_png_gives_wrong_pixels():
    whole, _ = damaged_png()
    wanted, rng = np.asarray(srfast.read_img(whole)), np.random.default_rng(1)
    for at in rng.integers(41, len(whole) - 12, 200):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(rng.integers(8))
        try: found = np.asarray(srfast.read_img(bytes(flipped)))
        except srfast.ImageError: continue
        np.testing.assert_array_equal(found, wanted)


def test_an_image_that_failed_once_fails_again():
    img = srfast.images.open_img(damaged_png()[1])
    for _ in range(3):
        with pytest.raises(srfast.ImageError): srfast.images.read.upright(img)


def test_one_flipped_bit_in_a_later_frame_is_an_error():
    data = bytearray(animations.random_film("png", 0))
    place = data.rfind(b"fdAT") + 12
    data[place] ^= 1
    with pytest.raises(srfast.ImageError, match="checksum"): srfast.read_img(bytes(data))


def test_a_png_that_lacks_its_palette_is_an_error():
    header = struct.pack(">2I5B", 4, 4, 8, 3, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(animations.chunk(*each) for each in ((b"IHDR", header), (b"IDAT", b"x"), (b"IEND", b"")))
    with pytest.raises(srfast.ImageError, match="palette"): srfast.upscale(data, 2, model="fast")
