"""Interlaced video whose fields are packets of their own: frames are counted, and shown, as if they were joined."""

from __future__ import annotations

import dataclasses
import pathlib
import random
from collections.abc import Collection
from fractions import Fraction
from typing import Any

import av
import data_generation as generate
import h264_generation as h264
import pytest
import transport_streams
from fast_and_full import check, decoded
from h264_generation import Picture
from record_factory import span_at

from reelbeam.transforms.media.decoding.probe import probe

_GOP = 25
_NUM_FRAMES = 100
_MAX_STILLS = 13  # a frame replaces lost ones for half a second
_FRAMES_AND_FIELDS = [n % 7 < 4 for n in range(_NUM_FRAMES)]


def _stored() -> list[tuple[int, int, bool]]:
    """Returns (place in the GOP, number, whether others refer to it) of frames, in decoding order: I P B P B."""
    frames = []
    for start in range(0, _NUM_FRAMES, _GOP):
        places = [0] + [place for last in range(2, _GOP, 2) for place in (last, last - 1)]
        frames += [(place, start + place, place % 2 == 0) for place in places]
    return frames


def _interlaced(
    split: Collection[bool], lost: Collection[int] = (), first_field: int = 0
) -> list[tuple[bytes, int, bool]]:
    """Returns (data, time in half frames, whether it is a key frame) of packets; some frames are two."""
    pictures: list[tuple[Picture, int, bool]] = []
    for (place, number, is_reference), is_split in zip(_stored(), split, strict=True):
        for half in range(2 if is_split else 1):
            field = half ^ first_field if is_split else None
            is_idr = place == 0 and half == 0
            picture = Picture(2 * place + half, 16 + number, is_idr, is_reference, field)
            pictures.append((picture, 2 * number + half, is_idr))
    units = h264.coded([picture for picture, _, _ in pictures], has_fields=True)
    headers = h264.headers(1, has_fields=True)
    packets = [
        (headers + data if is_idr else data, time, is_idr)
        for data, (_, time, is_idr) in zip(units, pictures, strict=True)
    ]
    return [packet for index, packet in enumerate(packets) if index not in lost]


def _written(path: pathlib.Path, packets: list[tuple[bytes, int, bool]]) -> pathlib.Path:
    units, times, are_keys = zip(*packets, strict=True)
    keys = [index for index, is_key in enumerate(are_keys) if is_key]
    return h264.muxed(path, units, times, keys, Fraction(1, 50))


def _levels(path: pathlib.Path) -> list[int]:
    media = probe(path)
    middles = [media.duration_seconds * Fraction(2 * n + 1, 2 * _NUM_FRAMES) for n in range(_NUM_FRAMES)]
    found, message = decoded(path, media, [span_at(n, instant) for n, instant in enumerate(middles)])
    assert message == ""
    return [found[n][0] for n in range(_NUM_FRAMES)]


@pytest.mark.parametrize("first_field", [0, 1], ids=["top first", "bottom first"])
@pytest.mark.parametrize("split", [[True] * _NUM_FRAMES, _FRAMES_AND_FIELDS], ids=["all", "some"])
@pytest.mark.parametrize("name", ["v.ts", "v.mkv"])
def test_fields_with_times(tmp_path: pathlib.Path, name: str, split: list[bool], first_field: int) -> None:
    path = _written(tmp_path / name, _interlaced(split, first_field=first_field))
    media = probe(path)
    assert media.num_frames == _NUM_FRAMES and len(media.key_frame_pts) == _NUM_FRAMES // _GOP
    check(path, is_proven=True, full_decodes=0)
    levels = _levels(path)
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("split", [[True] * _NUM_FRAMES, _FRAMES_AND_FIELDS], ids=["all", "some"])
def test_fields_in_a_raw_stream(tmp_path: pathlib.Path, split: list[bool]) -> None:
    path = tmp_path / "v.264"
    path.write_bytes(b"".join(data for data, _, _ in _interlaced(split)))
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (_NUM_FRAMES, _NUM_FRAMES / Fraction(25))
    levels = _levels(path)
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["v.ts", "v.mkv"])
def test_fields_of_which_some_are_lost(tmp_path: pathlib.Path, name: str, seed: int) -> None:
    lost = random.Random(seed).sample(range(2, 2 * _NUM_FRAMES), 3)
    path = _written(tmp_path / name, _interlaced([True] * _NUM_FRAMES, lost))
    media = probe(path)
    spans = [span_at(n, media.duration_seconds * Fraction(n, 97)) for n in range(97)]
    assert decoded(path, media, spans) == decoded(path, dataclasses.replace(media, key_frame_pts=()), spans)


@pytest.mark.parametrize("share", range(4))
def test_a_damaged_field_spoils_its_own_frame_only(tmp_path: pathlib.Path, share: int) -> None:
    """One packet of 188 bytes is lost: whichever it is, pairing goes on in step, and nothing wrong is unmarked."""
    sound = _written(tmp_path / "sound.ts", _interlaced([True] * _NUM_FRAMES))
    expected = _levels(sound)
    num_packets = sound.stat().st_size // 188
    instants = [span_at(n, Fraction(2 * n + 1, 50)) for n in range(_NUM_FRAMES - 1)]
    for lost in range(40 + 9 * share, num_packets - 20, 36):
        path = tmp_path / "damaged.ts"
        transport_streams.without_packets(sound, path, range(lost, lost + 1))
        media = probe(path)
        assert media.num_frames == _NUM_FRAMES
        found, _ = decoded(path, media, instants)
        wrong = [n for n, data in found.items() if data[0] != expected[n]]
        # Without its first field, a whole group of pictures cannot be decoded.
        assert len(found) >= len(instants) - _GOP, lost
        assert len(wrong) <= (1 if len(found) >= len(instants) - 1 else _MAX_STILLS), lost


@pytest.mark.parametrize("slices", ["b-pyramid=none", "slices=4", "bframes=1"])
def test_progressive_frames_after_interlaced_ones_are_not_taken_for_fields(tmp_path: pathlib.Path, slices: str) -> None:
    """A recording that changes: FFmpeg itself says how many frames there are, as both ways join packets."""
    common: dict[str, Any] = {"b_frames": 3, "gop": 250, "draw": generate.draw_moving}
    interlaced = {"x264-params": "tff=1:b-adapt=0", "flags": "+ildct+ilme"}
    first = generate.make_video(tmp_path / "a.ts", 60, 25, options=interlaced, **common)
    options = {"x264-params": f"b-adapt=0:{slices}"}
    second = generate.make_video(tmp_path / "b.ts", 120, 25, start_pts=60, options=options, **common)
    path = tmp_path / "c.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with av.open(str(path)) as container:
        assert probe(path).num_frames == sum(1 for _ in container.decode(video=0)) == 180


def test_fields_are_found_after_long_messages(tmp_path: pathlib.Path) -> None:
    packets = _interlaced([True] * _NUM_FRAMES)
    message = b"\0\0\0\1\x06\x05" + b"\xff" * 9 + b"\x10" + b"\x5a" * (9 * 255 + 16) + b"\x80"
    assert len(message) > 2048
    longer = [(message + data, time, is_key) for data, time, is_key in packets]
    assert probe(_written(tmp_path / "fields.ts", longer)).num_frames == _NUM_FRAMES
