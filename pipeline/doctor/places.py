"""Caches, free disk, inputs and output on local disk. Folders are tested by writing."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shutil
import tempfile

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms import storage
from reelbeam.transforms.models.registry import cache

_GIBIBYTE = 1 << 30
_TEMPORARY_BYTES = _GIBIBYTE // 4
_SPOOL_BYTES = 5 * _GIBIBYTE


def check_cache(_: Subject) -> Finding:
    """Writes a file in the cache for converted models."""
    usual = cache.folders("openvino")[:1]
    folder = cache.writable_folder("openvino")
    write_and_rename(folder)
    if usual != [folder]:
        missing = usual[0] if usual else "the home folder, which this user does not have,"
        return Finding(
            "warning",
            f"{missing} cannot be written: {folder} is used, and models are converted again after a restart",
            "a cache that lasts",
            f"set {cache.ROOT_VARIABLE} to a folder that this user can write",
        )
    return ok(f"{folder.parent} can be written")


def check_disk(subject: Subject) -> Finding:
    """Looks up free space where a run writes."""
    spool = pathlib.Path(subject.spool_dir or tempfile.gettempdir())
    places = {"temporary files": (pathlib.Path(tempfile.gettempdir()), _TEMPORARY_BYTES)}
    if subject.remote:
        places["copies of videos"] = (spool, _SPOOL_BYTES)
    if (output := _local_output(subject)) is not None:
        places["output"] = (output, _TEMPORARY_BYTES)
    found, small = [], []
    for name, (folder, needed) in places.items():
        free = shutil.disk_usage(nearest_existing(folder)).free
        found.append(f"{name} {free / _GIBIBYTE:.1f} GiB ({folder})")
        if free < needed:
            small.append(f"{needed / _GIBIBYTE:g} GiB for {name}")
    if small:
        remedy = "free the disk, or set TMPDIR or --spool_dir to a folder on a larger one"
        return Finding("warning", f"free: {', '.join(found)}", f"at least {', '.join(small)}", remedy)
    return ok(f"free: {', '.join(found)}")


def check_inputs(subject: Subject) -> Finding:
    """Looks for a video at each local input."""
    from reelbeam.transforms.inputs.expansion import matches_anything, why_nothing

    wrong = [f"{given}: {why_nothing(given)}" for given in subject.local_inputs if not matches_anything(given)]
    if wrong:
        return Finding("error", "; ".join(wrong), "at least one video at each input", "correct the paths")
    return ok(f"{', '.join(subject.local_inputs)}: videos are there")


def check_output(subject: Subject) -> Finding:
    """Writes and renames a file in the output, or in the folder that will hold it."""
    output = _local_output(subject)
    if output is None:
        return ok(f"{subject.output} is remote: see credentials, and stores with --reach")
    folder = nearest_existing(output)
    remedy = f"give this user (id {os.getuid()}) the right to write there, or name another folder"
    if not folder.is_dir():
        return Finding("error", f"{folder} is a file", "a folder that can be written", "name another folder")
    try:
        write_and_rename(folder)
    except OSError as error:
        return Finding("error", f"{folder}: {error.strerror}", "a folder that can be written", remedy)
    return ok(f"a file was written and renamed in {folder}")


def _local_output(subject: Subject) -> pathlib.Path | None:
    path = subject.output and storage.local_path(storage.normalize(subject.output))
    return pathlib.Path(path) if path else None


def nearest_existing(path: pathlib.Path) -> pathlib.Path:
    """Returns a path, or its nearest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))


def write_and_rename(folder: pathlib.Path) -> None:
    """Writes a file, renames it, reads it and removes it, as a commit does.

    Raises:
      OSError: one of these steps failed.
    """
    data = secrets.token_bytes(64)
    first = folder / f".reelbeam-doctor-{secrets.token_hex(8)}"
    second = first.with_suffix(".renamed")
    try:
        with first.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        first.rename(second)
        if second.read_bytes() != data:
            raise OSError(f"{folder} returns other bytes than were written")
    finally:
        for path in (first, second):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
