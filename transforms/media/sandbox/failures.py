"""Errors for decoder processes that crash or time out."""

from __future__ import annotations

import signal

from reelbeam.transforms import errors


def timeout_error(name: str) -> errors.DecoderTimeoutError:
    """Returns the error for a decoder process that exceeded its deadline.

    Args:
      name: the name of the file.
    """
    return errors.DecoderTimeoutError(
        f"{name}: the decoder took too long; if the video plays, raise --decode_deadline_seconds"
    )


def crash_error(name: str, status: int | None, bug: str) -> errors.DecoderCrashedError:
    """Returns the error for a decoder process that ended before its response.

    Args:
      name: the name of the file.
      status: the exit status as in `subprocess`; None: the process still runs.
      bug: the exception that the process reported; "" if it reported none.
    """
    error = errors.DecoderCrashedError(
        f"{name}: the decoder process {_ending(status, bug)}; check that the file plays, and report it"
    )
    # A decoder process cannot send a signal, not even to itself. So SIGKILL comes from the kernel, because memory is
    # short, or from a scheduler. The file is rarely the cause.
    error.transient = status == -signal.SIGKILL
    return error


def is_native_crash(status: int | None) -> bool:
    """Returns whether a process ended by a fault in native code."""
    return status is not None and status < 0 and status != -signal.SIGKILL


def _ending(status: int | None, bug: str) -> str:
    if bug:
        return f"failed with {bug}"
    if status is not None and status < 0:
        hint = ", perhaps by the kernel because memory was short" if status == -signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-status).name}{hint}"
    return "closed its socket" if status is None else f"ended with exit code {status}"
