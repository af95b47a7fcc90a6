"""The messages about lost clips and replaced frames have the true numbers and the true cause."""

from __future__ import annotations

import pathlib
from fractions import Fraction

import data_generation as generate
import pytest
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import decoder
from reelbeam.transforms.media.decoding.decoder import Geometry
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.stream import plan_stream_spans
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import ClipSpan

WHOLE = Geometry(72, 72)
LIMITS = DecoderLimits()


@pytest.fixture
def cut(tmp_path: pathlib.Path) -> pathlib.Path:
    """A recording of 99 frames that starts inside a GOP: its first key frame is shown at 0.3 s."""
    source = generate.make_video(tmp_path / "v.ts", 120, 30, gop=30, options={"sc_threshold": "0"})
    return generate.cut_before_packet(source, tmp_path / "cut.ts", 21)


def real_frames(path: pathlib.Path, spans: list[ClipSpan]) -> tuple[list[tuple[int, int]], str]:
    """Returns (clip, real frames) of each whole clip, and the error; the sandbox must give the same as the library."""
    media, found = probe(path), []
    for decode in (
        decoder.decode_clips(path, media, spans, WHOLE),
        sandboxed.decode_clips(path, media, spans, WHOLE, LIMITS),
    ):
        clips: list[tuple[int, int]] = []
        message = ""
        try:
            clips.extend((span.clip_index, span.num_real_frames) for span, _ in decode)
        except errors.CorruptVideoError as error:
            message = str(error)
        found.append((clips, message))
    assert found[0] == found[1]
    return found[0]


def test_replaced_frames_at_the_start_of_a_recording_are_not_real(cut: pathlib.Path) -> None:
    assert probe(cut).num_frames == 99
    spans = [span_at(0, Fraction(0), Fraction(1)), span_at(1, Fraction(1, 2), Fraction(1))]
    clips = decoder.decode_clips(cut, probe(cut), spans, WHOLE)
    shown = {span.clip_index: [generate.read_frame_number(frame) for frame in frames] for span, frames in clips}
    assert shown == {0: [30, 51], 1: [36, 51]}  # frame 30 replaces frame 21
    assert real_frames(cut, spans) == ([(0, 1), (1, 2)], "")


def test_every_kind_of_clip_counts_its_real_frames(cut: pathlib.Path) -> None:
    seconds = probe(cut).duration_seconds
    assert seconds == Fraction(33, 10)
    base = plan_clip_spans(seconds, ClipSampling(20, Fraction(10)))
    # The instants 0, 0.1 and 0.2 are before the first key frame.
    assert real_frames(cut, list(base)) == ([(0, 17), (1, 20)], "")
    looped = plan_clip_spans(seconds, ClipSampling(100, Fraction(10)))
    assert [span.num_real_frames for span in looped] == [33]
    assert real_frames(cut, list(looped)) == ([(0, 30)], "")
    stream = plan_stream_spans(seconds, ClipSampling(20, Fraction(10), kind="stream", tail_policy="keep"))
    assert real_frames(cut, list(stream)) == ([(0, 17), (1, 13)], "")
    # Warm-up frames do not belong to the clip.
    warmed = ClipSpan(0, Fraction(1), Fraction(2), Fraction(1, 10), tuple(range(-10, 10)), 10, num_warm_up_frames=10)
    assert real_frames(cut, [warmed]) == ([(0, 10)], "")


def test_clips_lost_before_the_first_key_frame_name_it(cut: pathlib.Path) -> None:
    spans = [span_at(0, Fraction(1, 10)), span_at(1, Fraction(1, 2)), span_at(2, Fraction(2, 10))]
    assert real_frames(cut, spans) == (
        [(1, 1)],
        f"{cut}: 2 of 3 clips lost: the recording starts inside a GOP: no key frame before 0.300 s;"
        " cut it at a key frame, or upload the part before it",
    )


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts"])
def test_recording_without_a_key_frame(tmp_path: pathlib.Path, name: str) -> None:
    source = generate.make_video(tmp_path / "v.mkv", 40, 30, gop=100)
    path = generate.without_packets(source, tmp_path / name, {0})
    remedy = "cut it at a key frame, or upload the part before it"
    reason = f"the recording has no key frame, so none of its frames can be decoded; {remedy}"
    if name == "cut.mkv":  # its header has the size of the pictures
        whole, message = real_frames(path, [span_at(0, Fraction(0)), span_at(1, Fraction(1))])
        assert (whole, message) == ([], f"{path}: 2 of 2 clips lost: {reason}")
    else:
        with pytest.raises(errors.CorruptVideoError, match="has no picture size") as caught:
            probe(path)
        assert str(caught.value) == f"{path}: video stream 0 (h264) has no picture size: {reason}"
