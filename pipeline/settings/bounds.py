"""The bounds of numeric flags. Beyond them, a run would exhaust memory, threads or days without an error."""

from __future__ import annotations

import pathlib
import resource
from collections.abc import Mapping
from fractions import Fraction

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.wording import counted

MOST_THREADS = 1024
_MOST = 1 << 53
"""The default upper bound: the largest integer that JSON represents exactly."""
_GIBIBYTE = 1 << 30
_START_BYTES = 2 * _GIBIBYTE

_HIGHEST: dict[str, float] = {
    "num_frames": 10_000,
    "target_fps": 1000,
    "resize": 8192,
    "size": 8192,
    "clip_stride_seconds": 1_000_000,
    "warm_up_seconds": 86_400,
    "clips_per_video": 1_000_000,
    "top_k": 1_000_000,
    "max_video_bytes": _MOST,
    "max_pixels": 1 << 30,
    "max_duration_seconds": 31_536_000,
    "decoder_memory_bytes": 1 << 45,
    "decode_deadline_seconds": 86_400,
    "max_batch_bytes": 1 << 40,
    "spool_bytes": _MOST,
    "num_threads": MOST_THREADS,
    "direct_num_workers": MOST_THREADS,
    "max_attempts": 1_000_000,
    "limit": _MOST,
    "videos_per_part": _MOST,
    "sample": _MOST,
    "runs": _MOST,
}
_LOWEST = {"target_fps": Fraction(1, 100), "clip_stride_seconds": Fraction(1, 1000)}
"""Lower bounds of fractional numbers. All others are integers, whose lower bounds are checked where they are used."""


def check(values: Mapping[str, object]) -> None:
    """Raises ConfigError for the first flag with a number out of bounds; accepts None and other flags.

    Args:
      values: the values by flag name, without dashes.
    """
    for name, value in values.items():
        if name not in _HIGHEST or not isinstance(value, int | float | Fraction):
            continue
        if value > _HIGHEST[name]:
            raise ConfigError(f"--{name} is {_number(value)}: it must be at most {_number(_HIGHEST[name])}")
        if 0 < value < _LOWEST.get(name, 0):
            raise ConfigError(f"--{name} is {_number(value)}: it must be at least {_number(_LOWEST[name])}")


def require_start() -> None:
    """Raises ConfigError if no command can run: the address space is tiny, or the working directory was removed."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _START_BYTES:
        raise ConfigError(
            f"the address space is limited to {limit >> 10} KiB, and every command needs {_START_BYTES >> 10}: "
            "set `ulimit -v unlimited`"
        )
    try:
        pathlib.Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the working directory was removed: change to one that exists") from None


def check_address_space(num_threads: int, decoder_memory_bytes: int) -> None:
    """Raises ConfigError if `ulimit -v` is too small for a local run: native code would crash at any point.

    Args:
      num_threads: the number of threads of the local runner.
      decoder_memory_bytes: the limit of a decoder process, in addition to half a gibibyte for its program.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    own = 3 * _GIBIBYTE + num_threads * _GIBIBYTE // 4
    if limit < own:
        raise ConfigError(
            f"the address space is limited to {limit >> 10} KiB, and a run with {counted(num_threads, 'thread')} needs "
            f"{own >> 10}: set `ulimit -v unlimited`, or lower --direct_num_workers"
        )
    if limit < decoder_memory_bytes + _GIBIBYTE // 2:
        raise ConfigError(
            f"the address space is limited to {limit >> 10} KiB, which leaves no room for --decoder_memory_bytes "
            f"{decoder_memory_bytes}: set `ulimit -v unlimited`, or lower it"
        )


def _number(value: float | Fraction) -> str:
    """Returns a number in its usual notation.

    >>> [_number(value) for value in (1 << 53, Fraction(1, 100), Fraction(10**9), float("inf"))]
    ['9007199254740992', '0.01', '1e+09', 'inf']
    """
    return str(value) if isinstance(value, int) else f"{float(value):g}"
