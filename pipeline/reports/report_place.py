"""Where the HTML report of an output is: its URI, whether it can be written there, and writing it."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import secrets
from collections.abc import Iterator

from reelbeam.pipeline.job.places import unusable
from reelbeam.pipeline.terminal.streams import printable
from reelbeam.transforms import errors, storage
from reelbeam.transforms.schemas import TABLES

_FOLDERS = ("runs", *TABLES, ".staging")
"""The folders of an output."""


def default_place(output: str) -> str:
    """Returns the URI of the report of an output."""
    return f"{output}/report.html"


def place_of(to: str | None, output: str) -> str:
    """Returns the URI of the report.

    Args:
      to: the name that the user gave; None: in the output.
      output: the URI of the output.

    Raises:
      ConfigError: the name has another extension, so that it may be the name of a video, or it is in a folder of the
        output that holds its tables and runs.
    """
    if to is None:
        return default_place(output)
    if not to.lower().endswith(".html"):
        raise errors.ConfigError(f"--to {to} is not the name of a page: pass a name that ends in .html")
    target = storage.normalize(to)
    for folder in _FOLDERS:
        if target.startswith(f"{output}/{folder}/"):
            raise errors.ConfigError(
                f"--to {to} is in {output}/{folder}, which only runs write: pass a name in another folder, such as "
                f"{default_place(output)}"
            )
    return target


def shown_place(target: str) -> str:
    """Returns the place of a report as text: relative to the working directory if it is in it."""
    return printable(target.removeprefix(f"{pathlib.Path.cwd()}/"))


def require_writable(target: str) -> None:
    """Checks that the report can be written, before videos are read for it.

    An object store is only asked whether it responds: it may permit writing but not reading, or the reverse.

    Args:
      target: the URI of the report. An existing report is not changed.

    Raises:
      ConfigError: the place cannot be written.
      RunError: it cannot be written now.
    """
    path = storage.local_path(target)
    with _errors_of_place(target):
        if path is None:
            with contextlib.suppress(errors.AccessDeniedError):
                storage.exists(target)
            return
        with storage.storage_errors(target):
            if pathlib.Path(path).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        draft = str(pathlib.Path(path).with_name(f".draft-{secrets.token_hex(16)}"))
        storage.replace_file(draft, b"")
        storage.delete_files([draft])


def write_page(target: str, page: str) -> int:
    """Writes the report. Returns its size in bytes. Raises as `require_writable`."""
    data = page.encode()
    with _errors_of_place(target):
        storage.replace_file(target, data)
    return len(data)


@contextlib.contextmanager
def _errors_of_place(target: str) -> Iterator[None]:
    try:
        yield
    except errors.StorageError as error:
        reason = getattr(error.__cause__, "strerror", None) or error
        raise unusable(f"{target} cannot be written ({reason}): pass --to FILE.html", error) from error
