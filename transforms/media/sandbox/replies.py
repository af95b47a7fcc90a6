"""What a decoder process answers, checked: a file may have taken it over, so nothing that it says is trusted.

Each function takes values as they came out of JSON and raises `wire.ProtocolError` for what no sane process sends.
"""

from __future__ import annotations

import dataclasses
import math
import re
import reprlib
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import TypeGuard

import numpy as np

from reelbeam.transforms import errors
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox.wire import (
    FRACTIONS,
    NUM_SLOTS,
    ProtocolError,
    media_from_json,
    packed_length,
    shown,
    unpack,
)
from reelbeam.transforms.media.timing.key_frames import min_spacing_ticks
from reelbeam.transforms.media.timing.stream_clock import MAX_SHIFTS
from reelbeam.transforms.records import ClipSpan, MediaInfo

_KEY_FRAMES_A_SECOND = 4
"""At most: `key_frames.py` keeps half a second between them, rounded down to a tick."""
_KEY_FRAMES_BEFORE = 16
"""More than come before the first shown frame, where an edit list cuts the beginning away."""
_KEY_FRAME_BYTES = 8
_OTHER_BYTES = 1 << 16

_FRACTION = re.compile(r"\d{1,40}(/\d{1,40})?")
_ERROR_CLASSES: dict[str, type[errors.ReelbeamError]] = {errors.MediaError.code: errors.MediaError}
_ERROR_CLASSES |= {cls.code: cls for cls in errors.error_classes(errors.MediaError)}


def media(values: object, limits: DecoderLimits, size_bytes: int) -> MediaInfo:
    """Returns the MediaInfo that a decoder process sent, every field checked.

    Args:
      values: what it sent.
      limits: the limits of the request.
      size_bytes: the size of the file.

    Raises:
      ProtocolError: a field is missing, or no decoder could have meant its value.
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
    """Returns how long the longest message about a file of that size can be."""
    seconds = _max_seconds(limits, size_bytes)
    num_key_frames = min(_KEY_FRAMES_A_SECOND * int(seconds), size_bytes // _KEY_FRAME_BYTES) + _KEY_FRAMES_BEFORE
    return _OTHER_BYTES + packed_length(num_key_frames) + packed_length(2 * MAX_SHIFTS)


def _max_seconds(limits: DecoderLimits, size_bytes: int) -> float:
    """Returns the maximum duration that the decoder itself accepts, see `DecoderLimits.check_duration`."""
    return min(limits.max_duration_seconds, limits.plausible_seconds(size_bytes))


def _check_key_frames(text: object, start_pts: int, duration_ticks: Fraction, time_base: Fraction) -> None:
    """Raises ProtocolError for key frames that are too near to each other, or beyond the video's end."""
    spacing = min_spacing_ticks(time_base)
    end_pts = start_pts + duration_ticks
    ticks = unpack(text, int(duration_ticks // spacing) + _KEY_FRAMES_BEFORE)
    if len(ticks):
        _require("key_frame_pts", ticks[-1], int(ticks[-1]) <= end_pts)
    if len(ticks) > 1:
        _require("key_frame_pts", ticks[:5], (ticks[1:] > ticks[:-1]).all())
        least = np.diff(ticks.view("<u8")).min()  # without a sign, no difference overflows
        _require("key_frame_pts", ticks[:5], int(least) >= spacing)


def _check_shifts(text: object, max_packets: int) -> None:
    shifts = unpack(text, 2 * MAX_SHIFTS)
    _require("clock_shifts", shifts[:5], len(shifts) % 2 == 0)
    packets = shifts[::2]
    is_ascending = bool((packets[1:] > packets[:-1]).all())
    is_within = not len(packets) or (packets[0] >= 0 and packets[-1] <= max_packets)
    _require("clock_shifts", shifts[:5], is_ascending and is_within)


def byte_range(values: object, size_bytes: int) -> tuple[int, int]:
    """Returns the range of a file's bytes that a decoder process asks for.

    Raises:
      ProtocolError: it is none, is empty, or is not within the file.
    """
    start, stop = values if isinstance(values, list) and len(values) == 2 else (-1, -1)
    _require("need", values, _is_whole(start, 0, size_bytes - 1) and _is_whole(stop, 1, size_bytes) and start < stop)
    return int(start), int(stop)


def clip(reply: Mapping[str, object], missing: Collection[int], spans: Sequence[ClipSpan]) -> tuple[int, int, int]:
    """Returns the position of a missing clip that has come, its slot of the ring, and how many of its frames are real.

    Raises:
      ProtocolError: there is no such clip or slot, or more real frames than planned, or none.
    """
    position = _whole("clip", reply.get("clip", -1), 0, len(spans) - 1)
    _require("clip", position, position in missing)
    slot = _whole("slot", reply.get("slot", -1), 0, NUM_SLOTS - 1)
    return position, slot, _whole("real", reply.get("real", -1), 1, spans[position].num_real_frames)


def full_decodes(reply: Mapping[str, object], num_clips: int) -> tuple[int, str]:
    """Returns how many stretches of so many clips were decoded in full, and why."""
    return _whole("stretches", reply.get("stretches", 0), 1, num_clips), shown(str(reply["full_decode"]))


def error(values: object) -> errors.ReelbeamError:
    """Returns the error that the process met, told by its code."""
    code, message = values if isinstance(values, list) and len(values) == 2 else ("", "")
    _require("error", values, isinstance(code, str) and code in _ERROR_CLASSES and isinstance(message, str))
    return _ERROR_CLASSES[code](shown(message))


def _require(name: str, value: object, holds: object) -> None:
    if not holds:
        raise ProtocolError(f"{name} is {shown(reprlib.repr(value)[:100])}")


def _whole(name: str, value: object, least: int, most: int) -> int:
    if _is_whole(value, least, most):
        return value
    raise ProtocolError(f"{name} is {shown(reprlib.repr(value)[:100])}")


def _is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_tick(value: object) -> bool:
    return _is_whole(value, -(1 << 63), (1 << 63) - 1)


def _is_positive_fraction(value: object) -> bool:
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        return False
    numerator, _, denominator = value.partition("/")
    return int(numerator) > 0 and int(denominator or 1) > 0
