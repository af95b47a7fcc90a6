"""Errors about the places that flags name: inputs, and the output."""

from __future__ import annotations

import os
import pathlib

from reelbeam.transforms import errors, storage


def unusable(message: str, error: errors.StorageError) -> errors.ReelbeamError:
    """Returns the error to raise if a place that a flag names cannot be used.

    A transient failure is not a wrong flag: a RunError lets a schedule try again.
    """
    return (errors.RunError if error.transient else errors.ConfigError)(message)


def unwritable(output: str, error: errors.StorageError) -> errors.ReelbeamError:
    """Returns the error to raise if an output cannot be written, with the reason if it is visible in a local folder."""
    path = storage.local_path(output)
    reason = path and _reason_of(pathlib.Path(path), error)
    return unusable(f"--output {output} cannot be written: {reason or error}", error)


def _reason_of(folder: pathlib.Path, error: errors.StorageError) -> str | None:
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is a file, not a folder; name another place"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} is read-only for user id {os.getuid()}; have that changed, or name another folder"
    if there == folder:
        return None
    return f"no folder can be made in {there} ({getattr(error.__cause__, 'strerror', None) or error})"
