"""Local files inside an output, without following a link: others may be able to write there.

A link, or a name with ".." in it, must not make a run read, overwrite or delete what is outside of its output. So each
folder below the output is opened from the one above it, and refused where it is a link. The output itself may be
reached by links: its user named it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO

from reelbeam.transforms.errors import StorageError

_TABLE = "(?:videos|clips|errors)"
_INSIDE = re.compile(
    rf"/((?:\.staging(?:/run=[^/]+(?:/(?:{_TABLE}|selected))?)?|runs|{_TABLE}(?:/run=[^/]+)?)/[^/]+|"
    rf"\.staging|runs|{_TABLE})$"
)
"""What follows the output in the path of a file or folder of it: the longest such end is taken."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading.

    Raises:
      StorageError: it is a link or no regular file, or a folder above it is a link.
      OSError: it cannot be opened.
    """
    with folder_of(path) as (folder, name):
        try:
            # A FIFO would keep its reader waiting.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            raise _is_link(path, folder, name) or error  # noqa: B904
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(f"{path} is not a regular file: remove it")
    return os.fdopen(descriptor, "rb")


def create_file(path: str) -> BinaryIO:
    """Makes a file for writing, and the folders above it. Raises FileExistsError where something has its name."""
    with folder_of(path, make=True) as (folder, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")


def move_file(source: str, target: str) -> None:
    """Gives a file another name, over what has that name; the folders above it are made."""
    with folder_of(source) as (from_folder, from_name), folder_of(target, make=True) as (to_folder, to_name):
        os.replace(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def remove_file(path: str) -> None:
    """Removes a file, or a link itself; it may be gone already."""
    with contextlib.suppress(FileNotFoundError), folder_of(path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def remove_empty_folder(path: str) -> None:
    """Removes a folder if nothing is in it; it may be gone already."""
    with contextlib.suppress(OSError), folder_of(path) as (folder, name):
        os.rmdir(name, dir_fd=folder)


def remove_tree(path: str) -> None:
    """Removes a folder with all that is in it, as far as that is possible; links are left or removed, not followed."""
    with contextlib.suppress(OSError, StorageError), folder_of(path) as (folder, name):
        shutil.rmtree(name, ignore_errors=True, dir_fd=folder)


def make_folder(path: str) -> None:
    """Makes a folder and those above it, unless it is there."""
    with folder_of(f"{path.rstrip('/')}/x", make=True):
        pass


def names_in(path: str) -> list[str]:
    """Returns the names in a folder; none where there is no folder."""
    try:
        with folder_of(f"{path.rstrip('/')}/x") as (folder, _):
            return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def folder_of(path: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """Opens the folder of a file or folder, from the output on without following links.

    Args:
      path: local.
      make: whether to make the folders above it.

    Yields:
      the descriptor of the folder, and the name in it.

    Raises:
      StorageError: one of the folders is a link.
      OSError: one is missing, or may not be opened.
    """
    root, names = _split(path)
    if make:
        os.makedirs(root, exist_ok=True)  # noqa: PTH103
    with contextlib.ExitStack() as stack:
        folder = os.open(root, _FOLDER)
        stack.callback(os.close, folder)
        for name in names[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            try:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                raise _is_link(path, folder, name) or error  # noqa: B904
            stack.callback(os.close, below)
            folder = below
        yield folder, names[-1]


def _split(path: str) -> tuple[str, list[str]]:
    """Returns the output's folder and the names below it; for any other file the folder in which it is."""
    match = _INSIDE.search(path)
    if match is None:
        root, _, name = path.rpartition("/")
        return root or ("/" if path.startswith("/") else "."), [name]
    names = match[1].split("/")
    if ".." in names or "." in names:
        raise _refused(f"{path} is not a path inside an output")
    return path[: match.start()] or "/", names


def _is_link(path: str, folder: int, name: str) -> StorageError | None:
    try:
        if not stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
            return None
    except OSError:
        return None
    return _refused(f"{path}: {name} is a symbolic link, which is not followed inside an output: remove it")


def _refused(message: str) -> StorageError:
    error = StorageError(message)
    error.__cause__ = ValueError(message)  # another try would end the same way
    return error
