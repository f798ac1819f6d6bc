"""Videos: what `upscale_video` copies, keeps and refuses, on small videos written here."""
import os
import signal
import subprocess
import sys
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
    """Encoded packets of a noisy tone: no two are equal."""
    size = stream.codec_context.frame_size or 1024
    for start in range(0, int(48000 * seconds), size):
        wave = np.sin(np.arange(start, start + size) * tone / 48000 * 2 * np.pi)
        wave = (0.5 * wave + 0.2 * np.random.default_rng(start).standard_normal(size)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
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
                packets = found.setdefault((packet.stream.type, packet.stream.index), [])
                packets.append(((packet.pts or 0) * packet.time_base, bytes(packet)))
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


def test_another_container_holds_what_it_can_and_the_rest_is_named(film, tmp_path):
    named = r"mp4 file cannot hold .*subtitle stream 3 \((srt|subrip)\).*attachment stream 4.*write .mkv.*--drop"
    with pytest.raises(ImageError, match=named):
        upscale_video(film, tmp_path / "large.mp4", 2)
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning) as said:
        result = upscale_video(film, tmp_path / "large.mp4", 2, drop=True, preset="ultrafast")
    assert [("left out" in str(w.message), "MOOD" in str(w.message)) for w in said] == [(True, False), (True, True)]
    first = seconds_of(film)[0]
    assert seconds_of(result.path) == seconds_of(film) and first == Fraction(40, 1000)  # also times in milliseconds are exact in MP4
    before, after = others(film), others(result.path)
    sounds = [key for key in after if key[0] == "audio"]
    assert len(sounds) == 2
    for key in sounds:
        assert [data for _, data in before[key]] == [data for _, data in after[key]]
        assert max(abs(a - b) for (a, _), (b, _) in zip(before[key], after[key])) < Fraction(1, 1000)
    with av.open(str(result.path)) as target:
        assert target.metadata["title"] == "A film" and len(target.chapters()) == 2
        assert any(s.disposition & av.stream.Disposition.attached_pic for s in target.streams.video)


def test_a_part_keeps_sound_in_step(film, tmp_path):
    result = upscale_video(film, tmp_path / "part.mkv", 2, start=0.2, end=0.45, preset="ultrafast")
    kept = [t for t in seconds_of(film) if seconds_of(film)[0] + Fraction(1, 5) <= t < seconds_of(film)[0] + Fraction(45, 100)]
    shift = kept[0]
    assert seconds_of(result.path) == [t - shift for t in kept] and result.frames == len(kept)
    before, after = others(film), others(result.path)
    for key in (("audio", 1), ("audio", 2)):
        times = {data: time for time, data in before[key]}
        moved = [times[data] - time for time, data in after[key] if list(times.values()).count(times[data]) == 1]
        assert moved and all(abs(m - shift) < Fraction(2, 1000) for m in moved)  # Matroska counts milliseconds
    with av.open(str(result.path)) as target:
        assert [c["metadata"]["title"] for c in target.chapters()] == ["Two"] or len(target.chapters()) == 2
        assert target.chapters()[-1]["end"] <= 500_000_000


@pytest.mark.parametrize("name, codec, pixels", [("a.mp4", "h264", "yuv420p"), ("a.mp4", "av1", "yuv420p"), ("a.mov", "h265", "yuv422p"),
                                                 ("a.mkv", "h264", "yuv444p"), ("a.webm", "vp9", "yuv420p"), ("a.webm", "av1", "yuv420p")])
def test_codecs_containers_and_subsampling(name, codec, pixels, tmp_path):
    clip = write(tmp_path / "in.mkv", [view(i) for i in range(6)], pix_fmt=pixels)
    result = upscale_video(clip, tmp_path / name, 2, codec=codec, segment=4)
    frames = frames_of(result.path)
    assert len(frames) == 6 and (frames[0].width, frames[0].height) == (96, 64) and seconds_of(result.path) == seconds_of(clip)
    assert frames[0].format.name == pixels
    from srfast import imresize
    error = imresize(frames[3].to_ndarray(format="rgb24"), size=SIDE[::-1]).astype(float) - frames_of(clip)[3].to_ndarray(format="rgb24")
    assert abs(error).mean() < 4 and abs(error.mean()) < 1


def test_hdr_keeps_ten_bits_tags_and_static_metadata(tmp_path):
    master = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:log-level=error"
    ramp = np.linspace(8000, 50000, 64).astype(np.uint16)[None, :, None].repeat(48, 0).repeat(3, 2)  # libx265 needs 64 pixels
    deep = [ramp + np.uint16(40 * i) for i in range(3)]
    tags = dict(color_range=1, colorspace=9, color_primaries=9, color_trc=16)
    clip = write(tmp_path / "hdr.mkv", deep, "libx265", options={"x265-params": master, "crf": "4"}, pix_fmt="yuv420p10le", **tags)
    old = frames_of(clip)[0]
    assert {side.type.name for side in old.side_data} >= {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}
    for name, codec in (("a.mp4", "auto"), ("b.mkv", "auto"), ("c.mp4", "av1"), ("d.mkv", "h264")):
        result = upscale_video(clip, tmp_path / name, 2, codec=codec, crf=4)
        new = frames_of(result.path)[0]
        assert new.format.name == "yuv420p10le", name
        assert [getattr(new, tag) for tag in tags] == list(tags.values()), name
        sides = [{s.type.name: bytes(s) for s in frame.side_data} for frame in (old, new)]
        from srfast.inference.streams import _hdr
        assert _hdr(new)["light"] == _hdr(old)["light"] == (1000, 400), (name, sides)
        assert np.allclose(_hdr(new)["master"], _hdr(old)["master"], rtol=1e-3), name
        row = new.to_ndarray(format="rgb48le")[32, 8:-8, 0]
        assert len(np.unique(row)) > 60, name  # 8 bits would leave under 40 levels


def test_rotation_is_kept_and_sizes_are_as_shown(tmp_path):
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as target:
        stream = add_video(target, SIDE)
        stream.set_display_rotation(90)
        encode(target, stream, [view(i) for i in range(3)])
    for name in ("a.mp4", "b.mkv"):
        result = upscale_video(path, tmp_path / name, width=80)
        frame = frames_of(result.path)[0]
        assert result.size == (80, 120) and (frame.width, frame.height) == (120, 80)
        assert frame.rotation == frames_of(path)[0].rotation != 0, name


def test_colours_that_players_would_guess_by_size_are_stated(tmp_path):
    clip = write(tmp_path / "old.mp4", [view(0, (96, 64))] * 2)
    assert frames_of(clip)[0].colorspace == 2
    large = upscale_video(clip, tmp_path / "large.mp4", size=(1440, 960)).path
    assert frames_of(large)[0].colorspace == 6


def test_shape_follows_pixel_aspect_and_sides_are_even(tmp_path):
    clip = write(tmp_path / "dv.mp4", [view(0, (90, 72))] * 2, sample_aspect_ratio=Fraction(64, 45))
    with av.open(str(upscale_video(clip, tmp_path / "wide.mp4", size=(256, 144)).path)) as target:
        assert target.streams.video[0].sample_aspect_ratio in (1, None)
    odd = write(tmp_path / "odd.mkv", [view(0, (31, 33))] * 2, "ffv1", pix_fmt="yuv444p")
    with pytest.warns(UserWarning, match="even sides: 94 x 100 instead of 93 x 99"):
        result = upscale_video(odd, tmp_path / "even.mp4", 3, codec="av1")
    assert result.size == (94, 100)
    assert upscale_video(odd, tmp_path / "odd.mp4", 3).size == (93, 99)  # 4:4:4 has no need
    with pytest.raises(ValueError, match="expected even sides for av1, got 93 x 99; use 94 x 100"):
        upscale_video(odd, tmp_path / "x.mp4", size=(93, 99), codec="av1")


def test_avi_with_reordered_frames_has_the_right_times(tmp_path):
    clip = write(tmp_path / "in.avi", [view(4 * i) for i in range(14)], options={"bf": "3", "b-pyramid": "normal"})
    result = upscale_video(clip, tmp_path / "out.mkv", 2, segment=5)
    times = [float(t) for t in seconds_of(result.path)]
    assert np.allclose(np.diff(times), 0.04, atol=0.0011) and times[0] < 0.001
    assert np.abs(frames_of(result.path)[9].to_ndarray(format="rgb24")[::2, ::2].astype(float) - view(36)).mean() < 12


def test_interlaced_video_is_refused_or_made_whole(tmp_path):
    comb = [np.where(np.arange(32)[:, None, None] % 2 == 0, view(6 * i), view(6 * i + 3)) for i in range(6)]
    clip = write(tmp_path / "tv.mkv", comb, options={"x264-params": "tff=1", "crf": "4"})
    assert frames_of(clip)[0].interlaced_frame
    with pytest.raises(ImageError, match="interlaced.*--deinterlace"): upscale_video(clip, tmp_path / "x.mkv")
    result = upscale_video(clip, tmp_path / "whole.mkv", 1, model="photo_real", deinterlace=True, segment=4)
    made = [f.to_ndarray(format="rgb24").astype(float) for f in frames_of(result.path)]
    assert len(made) == 6 and seconds_of(result.path) == seconds_of(clip) and not frames_of(result.path)[0].interlaced_frame
    teeth = lambda img: np.abs(2 * img[1:-1] - img[:-2] - img[2:]).mean()  # noqa: E731
    assert teeth(made[3]) < 0.5 * teeth(comb[3].astype(float))


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capfd):
    clip = write(tmp_path / "good.mp4", [view(i) for i in range(4)])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:600])
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (tmp_path / "live.m3u8").write_text("#EXTM3U\n#EXTINF:1,\ngood.mp4\n")
    key = dict(encryption_scheme="cenc-aes-ctr", encryption_key="76a6c65c5ea762046bd749a2e632ccbb",
               encryption_kid="a7e61c373e219033c21091fa607bf3b8")
    write(tmp_path / "secret.mp4", [view(0)] * 3, container=key)
    with av.open(str(tmp_path / "sound.mp4"), "w") as target:
        target.mux(list(audio_packets(target.add_stream("aac", rate=48000, layout="mono"), 0.2, 440)))
    for name in ("none.mkv", "none.mp4"):
        with av.open(str(tmp_path / name), "w") as target:
            add_video(target, SIDE)
            target.start_encoding()
    inputs = {"text.mp4": "expected a video", "cut.mp4": "expected a video", "empty.mkv": "empty file", "list.mp4": "expected a video",
              "live.m3u8": "expected a video", "secret.mp4": "encrypted", "sound.mp4": "expected a video stream, got audio",
              "none.mkv": "expected a video", "none.mp4": "expected a video stream, got no streams", "gone.mp4": "no such file"}
    options = {("--codec", "h266"): "unknown codec", ("--crf", "99"): "expected a crf from 0 to 51", ("--preset", "warp"): "unknown preset",
               ("-o", "x.avi"): "ending in .mp4", ("-o", "good.mp4", "--force"): "would overwrite", ("--end", "soon"): "such as 90, 1:30",
               ("--codec", "h264", "-o", "x.webm"): "expected vp9 or av1", ("--start", "9"): "expected frames between start and end",
               ("--start", "2", "--end", "1"): "start < end", ("--max-pixels", "1kP"): "at most 1,000 pixels",
               ("--scale", "40"): "from 1 to 16",
               ("-o", "no/x.mp4"): "no such folder"}
    before, home = {p.name for p in tmp_path.iterdir()}, os.getcwd()
    os.chdir(tmp_path)
    try:
        for args, message in [((name,), text) for name, text in inputs.items()] + [(("good.mp4", *a), text) for a, text in options.items()]:
            assert run(["video", *args]) == 2, args
            said = capfd.readouterr()
            assert message in said.err and said.err.count("\n") == 1 and not said.out, (args, said)
            assert {p.name for p in tmp_path.iterdir()} == before, args
    finally:
        os.chdir(home)
    with pytest.raises(PixelLimitError, match="results of at most 2,000 pixels, got 192 x 128"): upscale_video(clip, max_pixels_out=2000)


def test_a_damaged_packet_is_left_out_and_counted(tmp_path):
    clip = write(tmp_path / "in.mkv", [view(i) for i in range(8)], options={"bf": "0", "g": "1"})
    with av.open(str(clip)) as source, av.open(str(tmp_path / "torn.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            torn = av.Packet(b"\0\0\0\4" + b"\xff" * 40) if number == 3 else packet
            torn.pts, torn.dts, torn.time_base, torn.stream = packet.pts, packet.dts, packet.time_base, stream
            torn.is_keyframe = True
            target.mux(torn)
    with pytest.warns(UserWarning, match="1 packets could not be decoded"):
        result = upscale_video(tmp_path / "torn.mkv", tmp_path / "out.mkv", 2)
    assert result.frames == 7


def test_repeated_frames_and_small_changes_are_computed_once():
    side, rng = (160, 144), np.random.default_rng(0)
    first = np.ascontiguousarray(photo()[100:100 + side[1], 150:150 + side[0]])
    second = first.copy()
    second[60:68, 70:80] = rng.integers(0, 256, (8, 10, 3))
    for model, scale in (("fast", 4), ("fast", 2), ("photo", 2)):
        upscaler = Upscaler(model, precision="float32")
        repeats = _Repeats(upscaler, (side[1] * scale, side[0] * scale))
        assert (repeats(first) == repeats(first.copy())).all() and repeats.computed == 1
        part = repeats(second)
        whole = upscaler(second, scale)
        assert 1 < repeats.computed < 1.6 and (part != repeats(first)).any()
        assert np.abs(part.astype(int) - whole).max() <= 1 and (part != whole).mean() < 1e-3, model


KILLED = """
import sys
from srfast.inference import video
video.upscale_video(sys.argv[1], sys.argv[2], 2, segment=6, preset="ultrafast", progress=lambda done: print(done, flush=True))
"""


def test_killed_at_any_moment_the_same_call_goes_on(tmp_path):
    clip = rich(tmp_path / "film.mkv", 40)
    out, whole = tmp_path / "out.mkv", upscale_video(clip, tmp_path / "whole.mkv", 2, segment=6, preset="ultrafast")
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    for kill_at in (0.2, 0.55, 0.85):
        child = subprocess.Popen([sys.executable, "-c", KILLED, clip, out], stdout=subprocess.PIPE, text=True, env=env)
        for line in child.stdout:
            if float(line) >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
        assert child.wait() == -signal.SIGKILL and not out.exists()
    result = upscale_video(clip, out, 2, segment=6, preset="ultrafast")
    assert result.resumed >= 30 and result.resumed + result.computed <= 40 and result.frames == 40
    assert seconds_of(out) == seconds_of(clip) and others(out) == others(clip)
    for a, b in zip(frames_of(out), frames_of(whole.path)):
        assert (a.to_ndarray(format="rgb24") == b.to_ndarray(format="rgb24")).all()
    assert not list(tmp_path.glob(".*"))


def test_segments_of_another_request_are_not_used(tmp_path):
    clip, out = write(tmp_path / "in.mp4", [view(i) for i in range(8)]), tmp_path / "out.mp4"

    class Stop(Exception): pass

    def stop(done):
        if done > 0.7: raise Stop

    with pytest.raises(Stop): upscale_video(clip, out, 2, segment=2, progress=stop)
    assert (tmp_path / ".out.mp4.parts").is_dir()
    result = upscale_video(clip, out, 3, segment=2)
    assert (result.resumed, result.size) == (0, (144, 96)) and not (tmp_path / ".out.mp4.parts").exists()


def test_upscale_points_to_video(tmp_path, capfd):
    for name in ("film.mp4", "film.mkv", "film.avi"):
        assert run(["upscale", str(write(tmp_path / name, [view(0)] * 2))]) == 2
        assert "srfast video" in capfd.readouterr().err


def test_sound_stays_in_step_through_edit_lists(film, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clip = upscale_video(film, tmp_path / "in.mp4", 1, model="photo_real", drop=True).path  # the encoder's delay is an edit list there
        results = [upscale_video(clip, tmp_path / name, 2, drop=True).path for name in ("out.mp4", "out.mkv")]
    begin = seconds_of(clip)[0]
    before = others(clip)[("audio", 1)]
    assert before[0][0] < begin
    for path in results:
        after = others(path)[("audio", 1)]
        shift = seconds_of(path)[0] - begin  # Matroska has no negative times: all streams move together
        steps = [abs((new - old) - shift) for (old, data), (new, copied) in zip(before, after)]
        assert len(before) == len(after) and max(steps) < Fraction(2, 1000), path
        assert [t - seconds_of(path)[0] for t in seconds_of(path)] == [t - begin for t in seconds_of(clip)]
