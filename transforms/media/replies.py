"""What a decoder process answers, checked: a file may have taken it over, so nothing that it says is trusted.

Each function takes values as they came out of JSON and raises `wire.GarbageError` for what no sane process sends.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from transforms import errors
from transforms.media.limits import DecoderLimits
from transforms.media.stream_clock import MAX_SHIFTS
from transforms.media.wire import FRACTIONS, NUM_SLOTS, GarbageError, media_from_json, shown
from transforms.records import ClipSpan, MediaInfo

_FRACTION = re.compile(r"\d{1,40}(/\d{1,40})?")
_ERROR_CLASSES: dict[str, type[errors.ReelbeamError]] = {errors.MediaError.code: errors.MediaError}
_ERROR_CLASSES |= {cls.code: cls for cls in errors.error_classes(errors.MediaError)}


def media(values: object, limits: DecoderLimits) -> MediaInfo:
    """Returns the MediaInfo that a decoder process sent, every field checked.

    Raises:
      GarbageError: a field is missing, or no decoder could have meant its value.
    """
    names = [field.name for field in dataclasses.fields(MediaInfo)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise GarbageError("media information without its fields")
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
    ticks = values["key_frame_ticks"]
    _require("key_frame_ticks", ticks, isinstance(ticks, list) and all(_is_tick(tick) for tick in ticks))
    _require("key_frame_ticks", ticks, ticks == sorted(ticks) and len(ticks) <= limits.max_packets)
    shifts = values["clock_shifts"]
    _require("clock_shifts", shifts, isinstance(shifts, list) and len(shifts) <= MAX_SHIFTS)
    _require("clock_shifts", shifts, all(_is_shift(shift, limits.max_packets) for shift in shifts))
    _require("start_tick", values["start_tick"], _is_tick(values["start_tick"]))
    for name in FRACTIONS:
        _require(name, values[name], _is_positive_fraction(values[name]))
    found = media_from_json(values)
    _require("duration_seconds", values["duration_seconds"], found.duration_seconds <= limits.max_duration_seconds)
    return found


def byte_range(values: object, size_bytes: int) -> tuple[int, int]:
    """Returns the range of a file's bytes that a decoder process asks for.

    Raises:
      GarbageError: it is none, is empty, or is not within the file.
    """
    start, stop = values if isinstance(values, list) and len(values) == 2 else (-1, -1)
    _require("need", values, _is_whole(start, 0, size_bytes - 1) and _is_whole(stop, 1, size_bytes) and start < stop)
    return int(start), int(stop)


def clip(reply: Mapping[str, Any], missing: Collection[int], spans: Sequence[ClipSpan]) -> tuple[int, int, int]:
    """Returns the position of a missing clip that has come, its slot of the ring, and how many of its frames are real.

    Raises:
      GarbageError: there is no such clip or slot, or more real frames than planned, or none.
    """
    position, slot = reply.get("clip", -1), reply.get("slot", -1)
    _require("clip", position, type(position) is int and position in missing)
    _require("slot", slot, _is_whole(slot, 0, NUM_SLOTS - 1))
    real = reply.get("real", -1)
    _require("real", real, _is_whole(real, 1, spans[position].num_real_frames))
    return int(position), int(slot), int(real)


def full_decodes(reply: Mapping[str, Any], num_clips: int) -> tuple[int, str]:
    """Returns how many stretches of so many clips were decoded in full, and why."""
    num_stretches = reply.get("stretches", 0)
    _require("stretches", num_stretches, _is_whole(num_stretches, 1, num_clips))
    return int(num_stretches), shown(str(reply["full_decode"]))


def error(values: object) -> errors.ReelbeamError:
    """Returns the error that the process met, told by its code."""
    code, message = values if isinstance(values, list) and len(values) == 2 else ("", "")
    _require("error", values, isinstance(code, str) and code in _ERROR_CLASSES and isinstance(message, str))
    return _ERROR_CLASSES[code](shown(message))


def _require(name: str, value: object, holds: object) -> None:
    if not holds:
        raise GarbageError(f"{name} is {shown(repr(value)[:100])}")


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_tick(value: object) -> bool:
    return _is_whole(value, -(1 << 63), (1 << 63) - 1)


def _is_shift(value: object, max_packets: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_whole(value[0], 0, max_packets) and _is_tick(value[1])


def _is_positive_fraction(value: object) -> bool:
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        return False
    numerator, _, denominator = value.partition("/")
    return int(numerator) > 0 and int(denominator or 1) > 0
