"""The bounds of this machine and of Beam's options: beyond them, a run would exhaust memory or threads."""

from __future__ import annotations

import pathlib
import resource
from collections.abc import Mapping

from reelbeam.pipeline.settings.values import Range
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.wording import counted

MOST_THREADS = 1024
_GIBIBYTE = 1 << 30
_START_BYTES = 2 * _GIBIBYTE

_BEAM_RANGES = {"direct_num_workers": Range(0, MOST_THREADS)}


def check(values: Mapping[str, object]) -> None:
    """Raises ConfigError for the first of Beam's options that is out of range; other names are accepted.

    Args:
      values: the values by the names of the flags, without dashes.
    """
    for name, value in values.items():
        if name in _BEAM_RANGES and isinstance(value, int):
            _BEAM_RANGES[name].require(f"--{name}", value)


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


def check_address_space(
    num_threads: int, decoder_memory_bytes: int, threads_option: str = "--direct_num_workers"
) -> None:
    """Raises ConfigError if `ulimit -v` is too small for a local run: native code would crash at any point.

    Args:
      num_threads: the number of threads of the local runner.
      decoder_memory_bytes: the limit of a decoder process, in addition to half a gibibyte for its program.
      threads_option: the option that sets the number of threads.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    own = 3 * _GIBIBYTE + num_threads * _GIBIBYTE // 4
    if limit < own:
        raise ConfigError(
            f"the address space is limited to {limit >> 10} KiB, and a run with {counted(num_threads, 'thread')} needs "
            f"{own >> 10}: set `ulimit -v unlimited`, or lower {threads_option}"
        )
    if limit < decoder_memory_bytes + _GIBIBYTE // 2:
        raise ConfigError(
            f"the address space is limited to {limit >> 10} KiB, which leaves no room for --decoder_memory_bytes "
            f"{decoder_memory_bytes}: set `ulimit -v unlimited`, or lower it"
        )
