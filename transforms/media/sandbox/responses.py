"""Check the messages of a decoder process. They are not trusted, because a file may have taken the process over.

Each function takes values parsed from JSON and raises `protocol.ProtocolError` for values that violate the protocol.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import re
import reprlib
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import TypeGuard

import numpy as np

from reelbeam.transforms import errors
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox.confinement import WALLS
from reelbeam.transforms.media.sandbox.protocol import (
    FRACTIONS,
    NUM_SLOTS,
    ProtocolError,
    media_from_json,
    packed_length,
    printable,
    unpack,
)
from reelbeam.transforms.media.timing.key_frames import min_spacing_ticks
from reelbeam.transforms.media.timing.stream_clock import MAX_SHIFTS
from reelbeam.transforms.records import ClipSpan, MediaInfo

_KEY_FRAMES_A_SECOND = 4
"""An upper limit: `key_frames.py` keeps half a second between key frames, rounded down to a tick."""
_KEY_FRAMES_BEFORE = 16
"""An upper limit of key frames before the first shown frame, where an edit list skips the beginning."""
_KEY_FRAME_BYTES = 8
_OTHER_BYTES = 1 << 16

_FRACTION = re.compile(r"\d{1,40}(/\d{1,40})?")
_ERROR_CLASSES: dict[str, type[errors.ReelbeamError]] = {errors.MediaError.code: errors.MediaError}
_ERROR_CLASSES |= {cls.code: cls for cls in errors.error_classes(errors.MediaError)}

_log = logging.getLogger(__name__)


def check_walls(walls: object, allow_unconfined: bool) -> tuple[str, ...]:
    """Returns the walls that confine a decoder process, after a check; warns if some are missing.

    Raises:
      ProtocolError: the value is not a list of walls.
      ConfigError: the process is not confined, and `allow_unconfined` is False.
    """
    if not isinstance(walls, list) or not set(walls) <= set(WALLS):
        raise ProtocolError(f"confined_by is {printable(repr(walls)[:100])}")
    if "seccomp" in walls:
        return tuple(walls)
    if not walls and not allow_unconfined:
        raise errors.ConfigError(
            "decoder processes cannot be confined here: the system allows neither seccomp filters nor Landlock, so a"
            " hostile video could read files and open connections; run on Linux 5.13 or later on x86-64 or aarch64, in"
            " a container that allows one of them, or pass --allow_unconfined_decoder"
        )
    _warn_of_missing_walls(bool(walls))
    return tuple(walls)


@functools.cache
def _warn_of_missing_walls(has_landlock: bool) -> None:
    """Logs the warning once per process."""
    if has_landlock:
        _log.warning(
            "decoder processes run without a seccomp filter: Landlock keeps them from files and TCP, but a hostile "
            "video that takes over a decoder could use other system calls"
        )
    else:
        _log.warning(
            "decoder processes are not confined: a hostile video that takes over a decoder could read files and open "
            "connections"
        )


def media(values: object, limits: DecoderLimits, size_bytes: int) -> MediaInfo:
    """Returns the MediaInfo of a decoder process after checking every field.

    Args:
      values: the value from the message.
      limits: the limits of the request.
      size_bytes: the size of the file.

    Raises:
      ProtocolError: a field is missing, or its value is impossible.
    """
    names = [field.name for field in dataclasses.fields(MediaInfo)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ProtocolError("media information without its fields")
    for name in ("container", "codec"):
        _require(
            name, values[name], isinstance(values[name], str) and re.fullmatch(r"[\x20-\x7e]{1,100}", values[name])
        )
    for name in ("stream_index", "num_video_streams"):
        _require(name, values[name], _is_whole(values[name], 0, limits.max_streams))
    _require("has_audio", values["has_audio"], isinstance(values["has_audio"], bool))
    for name in ("width", "height"):
        _require(name, values[name], _is_whole(values[name], 1, limits.max_pixels))
    _require("size", values["width"], values["width"] * values["height"] <= limits.max_pixels)
    degrees = values["rotation_degrees"]
    _require("rotation_degrees", degrees, _is_whole(degrees, 0, 270) and degrees % 90 == 0)
    fps = values["source_fps"]
    _require("source_fps", fps, fps is None or (isinstance(fps, float) and math.isfinite(fps) and fps >= 0))
    _require("num_frames", values["num_frames"], _is_whole(values["num_frames"], 1, limits.max_packets))
    num_jumps = values["num_discontinuities"]
    _require("num_discontinuities", num_jumps, _is_whole(num_jumps, 0, limits.max_packets))
    _require("start_pts", values["start_pts"], _is_tick(values["start_pts"]))
    for name in FRACTIONS:
        _require(name, values[name], _is_positive_fraction(values[name]))
    seconds = Fraction(values["duration_seconds"])
    _require("duration_seconds", values["duration_seconds"], seconds <= _max_seconds(limits, size_bytes))
    time_base = Fraction(values["time_base"])
    _check_key_frames(values["key_frame_pts"], values["start_pts"], seconds / time_base, time_base)
    _check_shifts(values["clock_shifts"], limits.max_packets)
    return media_from_json(values)


def max_message_bytes(limits: DecoderLimits, size_bytes: int) -> int:
    """Returns the maximum length of a message about a file of this size."""
    seconds = _max_seconds(limits, size_bytes)
    num_key_frames = min(_KEY_FRAMES_A_SECOND * int(seconds), size_bytes // _KEY_FRAME_BYTES) + _KEY_FRAMES_BEFORE
    return _OTHER_BYTES + packed_length(num_key_frames) + packed_length(2 * MAX_SHIFTS)


def _max_seconds(limits: DecoderLimits, size_bytes: int) -> float:
    """Returns the maximum duration that the decoder itself accepts, see `DecoderLimits.check_duration`."""
    return min(limits.max_duration_seconds, limits.plausible_seconds(size_bytes))


def _check_key_frames(text: object, start_pts: int, duration_ticks: Fraction, time_base: Fraction) -> None:
    """Raises ProtocolError for key frames that are too close to each other, or after the video's end."""
    spacing = min_spacing_ticks(time_base)
    end_pts = start_pts + duration_ticks
    ticks = unpack(text, int(duration_ticks // spacing) + _KEY_FRAMES_BEFORE)
    if len(ticks):
        _require("key_frame_pts", ticks[-1], int(ticks[-1]) <= end_pts)
    if len(ticks) > 1:
        _require("key_frame_pts", ticks[:5], (ticks[1:] > ticks[:-1]).all())
        least = np.diff(ticks.view("<u8")).min()  # unsigned, because signed differences can overflow
        _require("key_frame_pts", ticks[:5], int(least) >= spacing)


def _check_shifts(text: object, max_packets: int) -> None:
    shifts = unpack(text, 2 * MAX_SHIFTS)
    _require("clock_shifts", shifts[:5], len(shifts) % 2 == 0)
    packets = shifts[::2]
    is_ascending = bool((packets[1:] > packets[:-1]).all())
    is_within = not len(packets) or (packets[0] >= 0 and packets[-1] <= max_packets)
    _require("clock_shifts", shifts[:5], is_ascending and is_within)


def byte_range(values: object, size_bytes: int) -> tuple[int, int]:
    """Returns the byte range that a decoder process requests.

    Raises:
      ProtocolError: the value is not a range, is empty, or is not within the file.
    """
    start, stop = values if isinstance(values, list) and len(values) == 2 else (-1, -1)
    _require("need", values, _is_whole(start, 0, size_bytes - 1) and _is_whole(stop, 1, size_bytes) and start < stop)
    return int(start), int(stop)


def clip(response: Mapping[str, object], missing: Collection[int], spans: Sequence[ClipSpan]) -> tuple[int, int, int]:
    """Returns a received clip: its position, its slot in the ring, and its number of real frames.

    Raises:
      ProtocolError: the clip or the slot does not exist, or the number of real frames is not within 1 and the plan's.
    """
    position = _whole("clip", response.get("clip", -1), 0, len(spans) - 1)
    _require("clip", position, position in missing)
    slot = _whole("slot", response.get("slot", -1), 0, NUM_SLOTS - 1)
    return position, slot, _whole("real", response.get("real", -1), 1, spans[position].num_real_frames)


def full_decodes(response: Mapping[str, object], num_clips: int) -> tuple[int, str]:
    """Returns how many decode ranges were decoded in full, at most `num_clips`, and why."""
    return _whole("ranges", response.get("ranges", 0), 1, num_clips), printable(str(response["full_decode"]))


def spent(values: object, elapsed_seconds: float) -> tuple[float, float]:
    """Returns the CPU-seconds of scaling and the seconds of waiting that a process reports; neither is measured here.

    Args:
      values: the reported list.
      elapsed_seconds: the duration of the request. A process cannot have waited longer.

    Raises:
      ProtocolError: the value is not a list of two durations.
    """
    numbers = values if isinstance(values, list) and len(values) == 2 else [-1.0]
    for number in numbers:
        _require("spent", values, isinstance(number, float) and math.isfinite(number) and number >= 0)
    scaling, waiting = numbers
    return scaling, min(waiting, elapsed_seconds)


def error(values: object) -> errors.ReelbeamError:
    """Returns the error with the code and the message that a decoder process sent."""
    code, message = values if isinstance(values, list) and len(values) == 2 else ("", "")
    _require("error", values, isinstance(code, str) and code in _ERROR_CLASSES and isinstance(message, str))
    return _ERROR_CLASSES[code](printable(message))


def _require(name: str, value: object, holds: object) -> None:
    if not holds:
        raise ProtocolError(f"{name} is {printable(reprlib.repr(value)[:100])}")


def _whole(name: str, value: object, least: int, most: int) -> int:
    if _is_whole(value, least, most):
        return value
    raise ProtocolError(f"{name} is {printable(reprlib.repr(value)[:100])}")


def _is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_tick(value: object) -> bool:
    return _is_whole(value, -(1 << 63), (1 << 63) - 1)


def _is_positive_fraction(value: object) -> bool:
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        return False
    numerator, _, denominator = value.partition("/")
    return int(numerator) > 0 and int(denominator or 1) > 0
