"""Decompression bombs: small files that demand much. Each costs one error, little time and little memory."""

from __future__ import annotations

import dataclasses
import pathlib
import struct
import time
from collections.abc import Callable
from fractions import Fraction

import av
import data_generation as generate
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import max_num_clips, plan_clip_spans
from reelbeam.transforms.media.sandbox import sandboxed


def with_size(path: pathlib.Path, width: int, height: int, layout: str, swapped: bool = False) -> pathlib.Path:
    """Makes a video of 96x72 claim a larger size, at every place of the file that has its size."""
    small, large = ((72, 96), (height, width)) if swapped else ((96, 72), (width, height))
    data = path.read_bytes()
    assert struct.pack(layout, *small) in data
    path.write_bytes(data.replace(struct.pack(layout, *small), struct.pack(layout, *large)))
    return path


def huge_vp8(folder: pathlib.Path) -> pathlib.Path:
    return with_size(generate.make_video(folder / "b.ivf", 2, codec="libvpx"), 16000, 16000, "<HH")


def huge_vp8_frame_in_a_small_track(folder: pathlib.Path) -> pathlib.Path:
    return with_size(generate.make_video(folder / "b.mkv", 2, codec="libvpx"), 16000, 16000, "<HH")


def huge_gif(folder: pathlib.Path) -> pathlib.Path:
    return with_size(generate.make_video(folder / "b.gif", 2, codec="gif", pix_fmt="rgb8"), 16000, 16000, "<HH")


def beyond_ffmpeg_gif(folder: pathlib.Path) -> pathlib.Path:
    return with_size(generate.make_video(folder / "b.gif", 2, codec="gif", pix_fmt="rgb8"), 65535, 65535, "<HH")


def huge_ffv1(folder: pathlib.Path) -> pathlib.Path:
    return with_size(generate.make_video(folder / "b.avi", 2, codec="ffv1"), 16000, 16000, "<II")


def huge_mjpeg(folder: pathlib.Path) -> pathlib.Path:
    path = generate.make_video(folder / "b.avi", 2, codec="mjpeg", pix_fmt="yuvj420p")
    return with_size(path, 16000, 16000, ">HH", swapped=True)


def huge_h264(folder: pathlib.Path) -> pathlib.Path:
    """A real one: coded, not claimed. 12000 x 8000 grey pixels are some kilobytes."""
    grey, *_ = generate.solid_colour((90, 90, 90))
    options = {"preset": "ultrafast"}
    return generate.make_video(folder / "b.mp4", 1, 25, 12000, 8000, draw=grey, options=options)


PICTURES: dict[Callable[[pathlib.Path], pathlib.Path], str] = {
    huge_vp8: "over_limit",
    huge_vp8_frame_in_a_small_track: "corrupt_video",
    huge_gif: "over_limit",
    beyond_ffmpeg_gif: "corrupt_video",
    huge_ffv1: "over_limit",
    huge_mjpeg: "corrupt_video",
    huge_h264: "over_limit",
}


def outcome(path: pathlib.Path, bounds: DecoderLimits = DEFAULT_LIMITS) -> str:
    """Returns the code that a file ends with, or "ok"."""
    try:
        media = sandboxed.probe(path, bounds)
        spans = plan_clip_spans(media.duration_seconds, ClipSampling(2, Fraction(25)))
        for _ in sandboxed.decode_clips(path, media, spans, Geometry(64, 64), bounds):
            pass
    except errors.MediaError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("make", PICTURES)
def test_huge_pictures(tmp_path: pathlib.Path, make: Callable[[pathlib.Path], pathlib.Path]) -> None:
    path = make(tmp_path)
    outcome(generate.make_video(tmp_path / "warm.mp4", 2))
    start = time.monotonic()
    assert outcome(path) == PICTURES[make]
    assert time.monotonic() - start < 10
    sandboxed.close_idle()


def test_size_of_a_picture_is_a_flag(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 2)
    assert outcome(path, DecoderLimits(max_pixels=96 * 72)) == "ok"
    with pytest.raises(errors.OverLimitError, match=r"v\.mp4: .*96x72 has 6912 pixels, more than --max_pixels 6911"):
        sandboxed.probe(path, DecoderLimits(max_pixels=96 * 72 - 1))


def test_absurd_times(tmp_path: pathlib.Path) -> None:
    hours_11 = generate.make_video(tmp_path / "11h.mkv", 2, pts=[0, 39_600], time_base=Fraction(1))
    assert hours_11.stat().st_size < 6000
    with pytest.raises(errors.OverLimitError, match=r"11h\.mkv: \d+ s in \d+ bytes cannot be right"):
        sandboxed.probe(hours_11, DEFAULT_LIMITS)
    days_3 = generate.make_video(tmp_path / "3d.mkv", 2, pts=[0, 259_200], time_base=Fraction(1))
    with pytest.raises(errors.OverLimitError, match=r"3d\.mkv: .* more than --max_duration_seconds 172800"):
        sandboxed.probe(days_3, DEFAULT_LIMITS)


def test_a_still_picture_may_be_shown_for_long(tmp_path: pathlib.Path) -> None:
    slides = generate.make_video(tmp_path / "slides.mkv", 4, pts=[0, 300, 900, 1500], time_base=Fraction(1))
    assert probe(slides).duration_seconds > 1500


def test_streams(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("mpeg4", rate=25) for _ in range(20)]
        for stream in streams:
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            file.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            file.mux(stream.encode(None))
    assert outcome(path) == "ok"
    with pytest.raises(errors.OverLimitError, match="20 streams, more than 19"):
        sandboxed.probe(path, DecoderLimits(max_streams=19))


def test_packets(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 30)
    assert outcome(path, DecoderLimits(max_packets=30)) == "ok"
    with pytest.raises(errors.OverLimitError, match=r"v\.mp4: more than 29 frames"):
        sandboxed.probe(path, DecoderLimits(max_packets=29))


def test_clips() -> None:
    dense = ClipSampling(5, Fraction(5), clip_stride_seconds=Fraction(1, 1000))
    assert max_num_clips(Fraction(100), dense) == 100_001
    with pytest.raises(errors.OverLimitError, match="--clip_stride_seconds"):
        DEFAULT_LIMITS.check_clips("v.mp4", max_num_clips(Fraction(100), dense))
    few = ClipSampling(5, Fraction(5), clips_per_video=3)
    assert max_num_clips(Fraction(10**9), few) == 3
    for seconds in (Fraction(1, 3), Fraction(7), Fraction(61, 3)):
        sampling = ClipSampling(5, Fraction(5))
        assert len(plan_clip_spans(seconds, sampling)) <= max_num_clips(seconds, sampling)


def test_the_library_keeps_the_limits_as_well(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 30)
    with pytest.raises(errors.OverLimitError):
        probe(path, DecoderLimits(max_packets=29))
    assert probe(path).num_frames == 30


def growing_stream(path: pathlib.Path) -> pathlib.Path:
    """H.264 in MPEG-TS whose picture grows from 320x240 to 2560x1440 after ten seconds, far beyond its first header."""
    packets = []
    for width, height, num_frames in ((320, 240, 100), (2560, 1440, 30)):
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 10), Fraction(10)
        encoder.options = {"preset": "ultrafast", "x264-params": "repeat-headers=1:keyint=10:bframes=0"}
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(generate.draw_number(index, width, height), format="rgb24")
            frame.pts = index
            packets += encoder.encode(frame.reformat(format="yuv420p"))
        packets += encoder.encode(None)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index, encoded in enumerate(bytes(packet) for packet in packets):
            packet = av.Packet(encoded)
            packet.stream, packet.time_base = stream, Fraction(1, 90_000)
            packet.pts = packet.dts = index * 9000
            packet.is_keyframe = index % 10 == 0
            container.mux(packet)
    return path


def test_a_growing_picture_hits_its_limit_in_both_decode_paths(tmp_path: pathlib.Path) -> None:
    path = growing_stream(tmp_path / "grow.ts")
    whole_clips: list[list[int]] = []
    small = DecoderLimits(max_pixels=320 * 240)
    media = probe(path, small)
    assert media.key_frame_pts
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(10, Fraction(5)))
    for way in (media, dataclasses.replace(media, key_frame_pts=())):
        whole_clips.append([])
        clips = decode_clips(path, way, spans, Geometry(64, 64), limits=small)
        with pytest.raises(errors.CorruptVideoError):
            whole_clips[-1].extend(span.clip_index for span, _ in clips)
    assert whole_clips == [[0, 1, 2, 3, 4]] * 2
