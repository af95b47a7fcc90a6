"""When the fast path fails at run time, or a seek goes wrong, the frames are those of a full decode."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import data_generation as generate
import pytest
from fast_and_full import assert_same_as_full, decoded, samplings
from record_factory import span_at
from slow_cases import fast_first
from watched_videos import WatchedVideos

from reelbeam.transforms.media.codecs.packet_order import has_hole
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans


@pytest.fixture
def ten_seconds(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    def make(name: str = "v.mp4", **options: Any) -> pathlib.Path:
        made = {"b_frames": 2, "gop": 30, "draw": generate.draw_moving, "options": {"sc_threshold": "0"}, **options}
        return generate.make_video(tmp_path / name, 300, 30, **made)

    return make


def test_a_wanted_frame_that_does_not_come_out(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path]
) -> None:
    """A packet becomes a lone end-of-sequence mark: the decoder says nothing and shows nothing."""

    def edit(index: int, data: memoryview) -> None:
        if index == 155:
            data[:] = (len(data) - 4).to_bytes(4, "big") + b"\x0a" + bytes([255]) * (len(data) - 5)

    path = generate.with_edited_packets(ten_seconds(), tmp_path / "hole.mp4", edit)
    media = probe(path)
    spans = list(plan_clip_spans(media.duration_seconds, ClipSampling(30, Fraction(30))))
    stats = DecodeStats()
    fast = decoded(path, media, spans, stats)
    assert fast == decoded(path, dataclasses.replace(media, key_frame_pts=()), spans)
    assert len(fast[0]) >= 9
    assert stats.full_decodes == 1
    assert "was expected" in stats.reason


def test_decoding_again_starts_at_the_key_frame_before_what_is_missing(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path]
) -> None:
    path = generate.with_broken_packets(ten_seconds(), tmp_path / "broken.mp4", [245], b"\x00")
    media = probe(path)
    spans = list(plan_clip_spans(media.duration_seconds, ClipSampling(10, Fraction(10))))
    watch, stats = WatchedVideos(), DecodeStats()
    found, message = decoded(path, media, spans, stats, watch.open)
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    assert "1 of 10 clips lost" in message
    assert stats.full_decodes == 1
    # Clips 0 to 7 are out when packet 245 fails: two key frames, one a second, before clip 8.
    assert min(watch.fully_decoded) * media.time_base == 6


def test_only_the_stretch_that_failed_is_decoded_again(tmp_path: pathlib.Path) -> None:
    """Its neighbours, behind gaps that decoding can skip, stay on the fast way, and the gaps are not decoded."""
    made: dict[str, Any] = {"b_frames": 2, "gop": 30, "draw": generate.draw_moving, "options": {"sc_threshold": "0"}}
    whole = generate.make_video(tmp_path / "v.mp4", 1800, 30, **made)
    path = generate.with_broken_packets(whole, tmp_path / "broken.mp4", [845], b"\x00")
    media = probe(path)
    spans = [span_at(n, *[Fraction(20 * n + 8) + Fraction(k, 10) for k in range(10)]) for n in range(3)]
    spans.append(span_at(3, Fraction(57, 2)))
    full = decoded(path, dataclasses.replace(media, key_frame_pts=()), spans)
    watch, stats = WatchedVideos(), DecodeStats()
    found, message = decoded(path, media, spans, stats, watch.open)
    assert found == full[0]
    assert sorted(found) == [0, 2]
    assert "2 of 4 clips lost" in message
    assert stats.full_decodes == 1
    assert min(watch.fully_decoded) * media.time_base == 26
    assert max(watch.fully_decoded) * media.time_base < 31


@pytest.mark.parametrize("seed", fast_first(range(4)))
@pytest.mark.parametrize("fill", [b"\x00", b"\xff"])
def test_rejected_packets_give_no_other_frames(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path], fill: bytes, seed: int
) -> None:
    """A packet that is left out can't be rejected, so there may be more clips than from a full decode."""
    broken = random.Random(seed).sample(range(10, 300), 3)
    path = generate.with_broken_packets(ten_seconds(), tmp_path / "broken.mp4", broken, fill)
    media = probe(path)
    full = dataclasses.replace(media, key_frame_pts=())
    for kind, spans in samplings(media).items():
        expected, (found, _) = decoded(path, full, spans)[0], decoded(path, media, spans)
        assert expected.keys() <= found.keys(), kind
        assert all(found[clip] == expected[clip] for clip in expected), kind


def test_frames_that_refer_to_a_concealed_one(tmp_path: pathlib.Path) -> None:
    """The decoder reports no error but marks an unwanted frame; frames that refer to it are not marked."""
    whole = generate.make_video(tmp_path / "v.mp4", 300, 30, b_frames=2, gop=30, draw=generate.draw_moving)
    path = _damaged(whole, tmp_path / "damaged.mp4", random.Random("v.mp44"))
    media = probe(path)
    full = dataclasses.replace(media, key_frame_pts=())
    for kind, spans in samplings(media).items():
        expected, (found, _) = decoded(path, full, spans)[0], decoded(path, media, spans)
        assert expected.items() <= found.items(), kind


def _damaged(whole: pathlib.Path, path: pathlib.Path, chance: random.Random) -> pathlib.Path:
    data = bytearray(whole.read_bytes())
    for _ in range(3):
        at = chance.randrange(len(data) // 10, len(data) * 9 // 10)
        data[at : at + 40] = chance.randbytes(40)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("seed", fast_first(range(4)))
@pytest.mark.parametrize("name", ["v.mp4", "v.ts", "v.mkv"])
def test_random_damage_loses_no_other_clip(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path], name: str, seed: int
) -> None:
    """Pixels are not compared: FFmpeg silently conceals errors with the pictures that it has."""
    path = _damaged(ten_seconds(name), tmp_path / f"damaged_{name}", random.Random(f"{name}{seed}"))
    media = probe(path)
    full = dataclasses.replace(media, key_frame_pts=())
    for kind, spans in samplings(media).items():
        assert decoded(path, full, spans)[0].keys() <= decoded(path, media, spans)[0].keys(), kind


@pytest.mark.parametrize(
    ("name", "codec"), [("v.flv", "libx264"), ("v.ts", "libx264"), ("v.mpg", "mpeg2video"), ("v.ts", "mpeg2video")]
)
@pytest.mark.parametrize("lost", fast_first([[33], [40], [37, 61]]))
def test_packets_that_a_damaged_container_lost(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path], name: str, codec: str, lost: list[int]
) -> None:
    """Decoders fill in for them without a word: differently, where frames are skipped."""
    path = generate.without_packets(ten_seconds(f"whole_{name}", codec=codec), tmp_path / name, lost)
    media = probe(path)
    assert_same_as_full(path, media, None)
    if (name, lost) == ("v.mpg", [40]):
        assert not media.key_frame_pts, "the time that is made up for another frame is that of its neighbour"
        return
    stats = DecodeStats()
    decoded(path, media, samplings(media)["five a second"], stats)
    assert stats.full_decodes == 1
    # B pictures of MPEG-2 come out before another picture, where that which they were stored behind is lost.
    assert stats.reason in ("a packet seems to be missing", "the times of frames contradict their order")
    stats = DecodeStats()
    decoded(path, media, samplings(media)["the middle"], stats)
    assert "missing" not in stats.reason, "nothing is missing there"


@pytest.mark.parametrize(
    ("steps", "is_to_the_end", "expected"),
    [
        ([40] * 50, True, False),
        ([40] * 25 + [80] + [40] * 25, True, True),
        ([33, 33, 34] * 10 + [67] + [33, 33, 34] * 10, True, True),
        ([40] * 25 + [0, 40, 80] + [40] * 25, True, False),
        ([40] * 25 + [0] + [40] * 20 + [80] + [40] * 25, True, True),
        ([33, 50, 33, 17] * 20, True, False),
        ([1, 1, 1, 2] * 20, True, False),
        ([40] * 45 + [80] + [40] * 4, False, False),
        ([40] * 45 + [80] + [40] * 4, True, True),
        ([], True, False),
    ],
)
def test_holes_in_a_constant_frame_rate(steps: list[int], is_to_the_end: bool, expected: bool) -> None:
    times = list(itertools.accumulate(steps, initial=1000))
    times[1:] = sorted(times[1:], key=lambda time: time // 200 * 200 - time % 200)  # Stored in another order.
    assert has_hole(times, is_to_the_end) is expected


@pytest.mark.parametrize("seeks", ["late", "refused", "nowhere"])
def test_seeks_that_lie(ten_seconds: Callable[..., pathlib.Path], seeks: str) -> None:
    path, watch = ten_seconds(), WatchedVideos(seeks)
    assert_same_as_full(path, probe(path), open_video=watch.open)
    assert watch.sought


def test_file_that_was_replaced(ten_seconds: Callable[..., pathlib.Path]) -> None:
    media = probe(ten_seconds())
    path = ten_seconds("other.mp4", gop=17, b_frames=0)
    assert_same_as_full(path, media, None)


def test_unwanted_gops_are_not_decoded(ten_seconds: Callable[..., pathlib.Path]) -> None:
    path, watch, stats = ten_seconds(), WatchedVideos(), DecodeStats()
    media = probe(path)
    decoded(path, media, [span_at(0, Fraction(17, 2))], stats, watch.open)
    assert stats.full_decodes == 0
    assert [pts * media.time_base for pts in watch.sought] == [8]
