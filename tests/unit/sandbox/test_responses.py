"""How the parent reads a decoder's responses: bounded lists, and bounded costs for each message."""

from __future__ import annotations

import contextlib
import json
import pathlib
import random
import socket
import threading
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import data_generation as generate
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import protocol, responses
from reelbeam.transforms.media.timing.stream_clock import MAX_SHIFTS
from reelbeam.transforms.records import MediaInfo

LIMITS = DecoderLimits()
SIZE = 1 << 20
LARGEST = responses.max_message_bytes(LIMITS, 1 << 40)
MEDIA = MediaInfo(
    *("mov", "h264", 0, 1, False, 64, 48, 0, Fraction(1), 25.0, 100, Fraction(4)),
    time_base=Fraction(1, 1000),
    start_pts=500,
    key_frame_pts=(0, 500, 1000, 4499),
    clock_shifts=((0, 5), (7, -3)),
)


def media(**changes: object) -> MediaInfo:
    return responses.media(protocol.media_to_json(MEDIA) | changes, LIMITS, SIZE)


def test_a_reply_comes_back_as_it_was_sent() -> None:
    assert media() == MEDIA
    assert media(key_frame_pts=protocol.pack([]), clock_shifts=protocol.pack([])).key_frame_pts == ()
    far = protocol.pack([-(1 << 63), 500])
    assert media(key_frame_pts=far).key_frame_pts == (-(1 << 63), 500)  # far before the start, but only once


@pytest.mark.parametrize(
    "ticks",
    [
        [1000, 1000],
        [1000, 500],
        [1000, 1499],  # nearer than half a second
        [4501],  # beyond the end
        [(1 << 63) - 1],
        list(range(-5000, 4500, 500)) + [4500] * 9,
        [-(1 << 63), (1 << 63) - 1],
        range(-12_000, 4501, 500),  # more than a video of that duration has
    ],
)
def test_key_frames_ascend_and_are_within_the_duration(ticks: list[int]) -> None:
    with pytest.raises(protocol.ProtocolError, match="key_frame_pts|a list of more than 24 numbers"):
        media(key_frame_pts=protocol.pack(ticks))


@pytest.mark.parametrize(
    "time_base", [Fraction(1, 10**39), Fraction(1, 3), Fraction(26, 100), Fraction(1), Fraction(7)]
)
def test_the_number_of_key_frames_is_bounded_in_any_time_base(time_base: Fraction) -> None:
    seconds = 48 * 3600
    spacing = max(int(Fraction(1, 2) / time_base), 1)
    most = int(seconds / time_base) // spacing + 16
    assert most <= 4 * seconds + 16
    facts = {"time_base": str(time_base), "duration_seconds": str(seconds)}
    with pytest.raises(protocol.ProtocolError, match=f"a list of more than {most} numbers"):
        media(key_frame_pts=protocol.pack([0]) * (most + 3), **facts)


@pytest.mark.parametrize(
    "shifts", [[0, 5, 0, 6], [7, 5, 3, 6], [-1, 5], [LIMITS.max_packets + 1, 5], [0], [*range(2 * MAX_SHIFTS + 2)]]
)
def test_shifts_of_the_clock_ascend_and_are_few(shifts: list[int]) -> None:
    with pytest.raises(protocol.ProtocolError, match="clock_shifts|a list of more than 2000 numbers"):
        media(clock_shifts=protocol.pack(shifts))


@pytest.mark.parametrize(("size_bytes", "most_seconds"), [(0, 600), (300, 900), (1 << 40, 48 * 3600)])
def test_a_duration_is_bounded_by_the_size_of_the_file(size_bytes: int, most_seconds: int) -> None:
    for seconds in (most_seconds, Fraction(most_seconds) + Fraction(1, 1000)):
        values = protocol.media_to_json(MEDIA) | {"duration_seconds": str(seconds)}
        if seconds == most_seconds:
            assert responses.media(values, LIMITS, size_bytes).duration_seconds == seconds
            continue
        with pytest.raises(protocol.ProtocolError, match=f"^duration_seconds is '{seconds}'$"):
            responses.media(values, LIMITS, size_bytes)


def test_the_largest_message_is_in_proportion_to_the_file() -> None:
    assert responses.max_message_bytes(LIMITS, 1) < 1 << 17
    assert responses.max_message_bytes(LIMITS, 1 << 20) < 2 << 20
    assert LARGEST < 8 << 20
    ticks = protocol.pack(range(4 * 48 * 3600))
    assert len(json.dumps(protocol.media_to_json(MEDIA) | {"key_frame_pts": ticks})) < LARGEST


def test_real_key_frames_are_within_what_a_file_may_have(tmp_path: pathlib.Path, shared_dir: pathlib.Path) -> None:
    dense = generate.make_video(tmp_path / "dense.mp4", 100, 2, 32, 32, gop=1)
    for path in [dense, *sorted(shared_dir.joinpath("media").glob("*.m*"))]:
        if path.suffix in (".mp4", ".mkv"):
            found = probe(path)
            message = json.dumps({"media": protocol.media_to_json(found)})
            assert responses.media(json.loads(message)["media"], LIMITS, path.stat().st_size) == found
            assert len(message) < responses.max_message_bytes(LIMITS, path.stat().st_size)


def received(line: bytes) -> dict[str, Any] | None:
    """Returns what a channel makes of a line that the other side sends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=_send, args=(theirs, line))
        sender.start()
        try:
            return protocol.Channel(ours, LARGEST).receive()
        finally:
            ours.close()
            sender.join()


def _send(end: socket.socket, line: bytes) -> None:
    with contextlib.suppress(OSError):
        end.sendall(line)


def _filled(unit: bytes, before: bytes = b"[", after: bytes = b"0]\n") -> bytes:
    return before + unit * ((LARGEST - 100) // len(unit)) + after


@pytest.mark.parametrize(
    "line",
    [
        _filled(b"0,"),
        _filled(b"[],"),
        _filled(b"{},"),
        _filled(b'"",'),
        _filled(b"1e9,"),
        _filled(b'"a":0,', b"{", b'"b":0}\n'),
        _filled(b"[", b"", b"\n"),
        _filled(b'{"a":', b"", b"\n"),
        _filled(b"9", b'{"media":', b"}\n"),
        _filled(b"9", b'{"media":1.', b"}\n"),
        _filled(b"x", b'{"media": "', b'"}\n'),
        _filled(b"\\u20ac", b'{"media": "', b'"}\n'),
        _filled(b"\xff", b"", b"\n"),
        _filled(b" ", b"{}", b"\n"),
        _filled(b"x" * 1000, b"", b"x" * (1 << 18)),
        _filled(b"x", b'{"media": {"codec": "', b'"}}\n'),
    ],
)
def test_the_largest_message_costs_ten_times_its_length_at_most(line: bytes) -> None:
    tracemalloc.start()
    try:
        message = received(line)
        responses.media((message or {}).get("media"), LIMITS, SIZE)
    except protocol.ProtocolError as error:
        assert len(str(error)) < 3000
    else:
        pytest.fail("it was taken for good")
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10 * LARGEST


def test_the_most_key_frames_that_are_allowed_cost_little() -> None:
    seconds = 48 * 3600
    changes = {
        "duration_seconds": str(seconds),
        "key_frame_pts": protocol.pack(range(500, 1000 * seconds, 500)),
    }
    line = json.dumps({"media": protocol.media_to_json(MEDIA) | changes}).encode() + b"\n"
    tracemalloc.start()
    message = received(line)
    assert message is not None
    assert len(responses.media(message["media"], LIMITS, SIZE).key_frame_pts) == 2 * seconds - 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


READERS: list[Callable[[dict[str, Any]], object]] = [
    lambda message: responses.media(message.get("media"), LIMITS, SIZE),
    lambda message: responses.byte_range(message.get("need"), 1000),
    lambda message: responses.full_decodes({"full_decode": "x", **message}, 3),
    lambda message: responses.error(message.get("error")),
]
SEEDS = [
    {"media": protocol.media_to_json(MEDIA)},
    {"need": [0, 100]},
    {"full_decode": "a picture", "ranges": 2},
    {"error": ["corrupt_video", "v.mp4: broken"]},
    {"clip": 0, "slot": 1, "real": 2},
]
ODD: list[object] = [
    *(None, True, False, -1, 0, 1 << 64, -(1 << 63), 1.5, -0.0, 1e308, float("nan"), float("inf"), "", "0", "1/0"),
    *("x" * 5000, "\x00\x1b[31m", "\ud800", "9" * 4000, "AAAA", "AAAAAAAAAAA=", [], [[]], {}, {"": {}}, [1, 2]),
]


def mutated(value: Any, chance: random.Random) -> Any:
    """Returns a JSON value with something changed in it."""
    if chance.random() < 0.15:
        return chance.choice(ODD)
    if isinstance(value, dict):
        changed = {key: mutated(item, chance) if chance.random() < 0.3 else item for key, item in value.items()}
        if changed and chance.random() < 0.1:
            del changed[chance.choice(list(changed))]
        if chance.random() < 0.1:
            changed[str(chance.choice(ODD))] = chance.choice(ODD)
        return changed
    if isinstance(value, list):
        return [mutated(item, chance) for item in value] * chance.choice([1, 1, 1, 2])
    if isinstance(value, str) and value:
        at = chance.randrange(len(value))
        return value[:at] + chance.choice(["", "=", "A", "\n", "\u20ac", value]) + value[at + 1 :]
    return chance.choice([value, chance.randint(-(1 << 64), 1 << 64), chance.choice(ODD)])


def test_mutated_replies_are_taken_or_refused_and_nothing_else() -> None:
    chance = random.Random(7)
    outcomes = {"taken": 0, "refused": 0}
    for number in range(30_000):
        line = json.dumps(mutated(SEEDS[number % len(SEEDS)], chance)).encode()
        if number % 3 == 0:
            broken = bytearray(line)
            for _ in range(chance.randint(1, 4)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            line = bytes(broken)
        try:
            message = protocol._object(line)
        except protocol.ProtocolError:
            outcomes["refused"] += 1
            continue
        for read in READERS:
            try:
                found = read(message)
            except protocol.ProtocolError as error:
                outcomes["refused"] += 1
                assert len(str(error)) < 3000 and str(error).isprintable()
            else:
                outcomes["taken"] += 1
                assert not isinstance(found, errors.ReelbeamError) or str(found).isprintable()
    assert min(outcomes.values()) > 1000
