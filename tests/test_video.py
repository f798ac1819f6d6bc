"""Videos: what `upscale_video` copies, keeps and refuses, on small videos written here."""
import os
import signal
import subprocess
import sys
import time
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from srfast.cli import run  # noqa: E402
from srfast.core import ImageError, PixelLimitError  # noqa: E402
from srfast.inference.upscaler import Upscaler  # noqa: E402
from srfast.inference.video import _Repeats, upscale_video  # noqa: E402

SIDE = (48, 32)


def photo() -> np.ndarray:
    """A photograph, (512, 512, 3) uint8."""
    from skimage import data

    return data.astronaut()


def view(x: int, side: tuple = SIDE) -> np.ndarray:
    """The part of the photograph from column 180 + x on."""
    return np.ascontiguousarray(photo()[60:60 + side[1], 180 + x:180 + x + side[0]])


def write(path: Path, frames, codec="libx264", rate=25, times=None, time_base=None, options=None, container=None, **context) -> Path:
    """Write RGB frames as a video with nothing else; `context` are attributes of the encoder."""
    frames = list(frames)
    with av.open(str(path), "w", container_options=container or {}) as target:
        stream = add_video(target, frames[0].shape[1::-1], codec, rate, time_base, options, **context)
        encode(target, stream, frames, times)
    return path


def add_video(target, side, codec="libx264", rate=25, time_base=None, options=None, **context):
    stream = target.add_stream(codec, rate=rate, options=options or {})
    stream.width, stream.height = side
    context.setdefault("pix_fmt", "yuv420p")
    for name, value in context.items(): setattr(stream.codec_context, name, value)
    if time_base: stream.codec_context.time_base = stream.time_base = time_base
    return stream


def encode(target, stream, frames, times=None):
    base = stream.codec_context.time_base or 1 / stream.codec_context.framerate
    for i, img in enumerate(frames):
        deep = img.dtype == np.uint16
        frame = av.VideoFrame.from_ndarray(img, "rgb48le" if deep else "rgb24")
        ctx = stream.codec_context
        matrix = {6: 5, 2: None}.get(ctx.colorspace, ctx.colorspace)
        frame = frame.reformat(format=ctx.pix_fmt, dst_colorspace=matrix, dst_color_range=ctx.color_range or 1)
        frame.pts, frame.time_base = (times[i] if times else i), base
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))


def audio_packets(stream, seconds: float, tone: float):
    """Encoded packets of a tone."""
    size = stream.codec_context.frame_size or 1024
    for start in range(0, int(48000 * seconds), size):
        wave = np.sin(np.arange(start, start + size) * tone / 48000 * 2 * np.pi).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None].repeat(1, 0), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def rich(path: Path, count: int = 12) -> Path:
    """A Matroska file with two audio tracks, subtitles, a font, a cover, chapters and tags; frames at uneven times."""
    times = [int(t) for t in np.cumsum([40 + (7 * i) % 23 for i in range(count)])]
    cover = av.VideoFrame.from_ndarray(view(0)).to_image()
    from io import BytesIO
    jpeg = BytesIO()
    cover.save(jpeg, "JPEG")
    with av.open(str(path), "w") as target:
        video = add_video(target, SIDE, time_base=Fraction(1, 1000), color_range=1, colorspace=1, color_primaries=1, color_trc=1,
                          sample_aspect_ratio=Fraction(4, 3))
        video.metadata["title"] = "main"
        sounds = [target.add_stream("aac", rate=48000, layout="mono"), target.add_stream("libopus", rate=48000, layout="mono")]
        for sound, language in zip(sounds, ("eng", "deu")): sound.metadata["language"] = language
        subtitles = target.add_mux_stream("subrip")
        subtitles.metadata["language"] = "fra"
        target.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0" * 50)
        target.add_attachment("cover.jpg", "image/jpeg", jpeg.getvalue())
        target.metadata.update(title="A film", comment="of tests", MOOD="calm")
        target.set_chapters([dict(id=1, start=0, end=200, time_base=Fraction(1, 1000), metadata={"title": "One"}),
                             dict(id=2, start=200, end=600, time_base=Fraction(1, 1000), metadata={"title": "Two"})])
        encode(target, video, [view(i) for i in range(count)], times)
        for sound, tone in zip(sounds, (440, 660)):
            target.mux(list(audio_packets(sound, times[-1] / 1000, tone)))
        for start, text in ((100, b"first"), (300, b"second")):
            packet = av.Packet(text)
            packet.stream, packet.pts, packet.dts, packet.duration, packet.time_base = subtitles, start, start, 150, Fraction(1, 1000)
            packet.is_keyframe = True
            target.mux(packet)
    return path


def frames_of(path: Path) -> list:
    with av.open(str(path)) as source:
        return list(source.decode(video=0))


def seconds_of(path: Path) -> list:
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def others(path: Path) -> dict:
    """The packets of all streams but the first video: kind and place to time and bytes."""
    found = {}
    with av.open(str(path)) as source:
        for packet in source.demux():
            if packet.stream is not source.streams.video[0] and packet.size:
                found.setdefault((packet.stream.type, packet.stream.index), []).append(((packet.pts or 0) * packet.time_base, bytes(packet)))
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return rich(tmp_path_factory.mktemp("film") / "film.mkv")


def test_streams_are_copied_bit_for_bit(film, tmp_path):
    result = upscale_video(film, tmp_path / "large.mkv", 2, segment=5, preset="ultrafast")
    assert (result.size, result.frames) == ((96, 64), 12)
    assert seconds_of(result.path) == seconds_of(film)
    before, after = others(film), others(result.path)
    assert before == after and {kind for kind, _ in after} >= {"audio", "subtitle"}
    with av.open(str(film)) as source, av.open(str(result.path)) as target:
        assert [s.type for s in source.streams] == [s.type for s in target.streams]
        for old, new in zip(source.streams, target.streams):
            assert old.metadata.get("language") == new.metadata.get("language")
            assert old.metadata.get("title") == new.metadata.get("title")
            assert old.metadata.get("filename") == new.metadata.get("filename")
            assert old.disposition == new.disposition
            if old.type == "attachment": assert old.data == new.data
        assert source.chapters() == target.chapters()
        assert {k: v for k, v in source.metadata.items() if k != "ENCODER"} == {k: v for k, v in target.metadata.items() if k != "ENCODER"}
        old, new = source.streams.video[0], target.streams.video[0]
        for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
            assert getattr(old.codec_context, name) == getattr(new.codec_context, name)
        assert old.sample_aspect_ratio == new.sample_aspect_ratio == Fraction(4, 3)
    assert not list(tmp_path.glob(".*"))
