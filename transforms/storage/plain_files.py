"""Access local files inside an output without following links, because others may be able to write there.

A link, or a name with "..", must not make a run read, overwrite or delete anything outside its output. So each folder
below the output is opened relative to its parent, and rejected if it is a link. The path of the output itself may
contain links, because the user named it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO

from reelbeam.transforms.errors import UnusableFileError

_TABLE = "(?:videos|clips|errors)"
_INSIDE = re.compile(
    rf"/((?:\.staging(?:/run=[^/]+(?:/(?:{_TABLE}|selected))?)?|runs|{_TABLE}(?:/run=[^/]+)?)/[^/]+|"
    rf"\.staging|runs|{_TABLE})$"
)
"""The part of a path that is inside the output; the longest match is used."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading.

    Raises:
      UnusableFileError: it is a link or not a regular file, or a parent folder is a link.
      OSError: it cannot be opened.
    """
    with folder_of(path) as (folder, name):
        try:
            # Without O_NONBLOCK, opening a FIFO would block.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            raise _is_link(path, folder, name) or error  # noqa: B904
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnusableFileError(f"{path} is not a regular file: remove it")
    return os.fdopen(descriptor, "rb")


def create_file(path: str) -> BinaryIO:
    """Creates a file for writing, and its parent folders. Raises FileExistsError if the name is in use."""
    with folder_of(path, make=True) as (folder, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")


def move_file(source: str, target: str) -> None:
    """Renames a file and replaces an existing target; creates the target's parent folders."""
    with folder_of(source) as (from_folder, from_name), folder_of(target, make=True) as (to_folder, to_name):
        os.replace(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def remove_file(path: str) -> None:
    """Removes a file, or a link itself, which may not exist."""
    with contextlib.suppress(FileNotFoundError), folder_of(path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def remove_empty_folder(path: str) -> None:
    """Removes an empty folder, which may not exist."""
    with contextlib.suppress(OSError), folder_of(path) as (folder, name):
        os.rmdir(name, dir_fd=folder)


def remove_tree(path: str) -> None:
    """Removes a folder and its content as far as possible; links are left or removed, never followed."""
    with contextlib.suppress(OSError, UnusableFileError), folder_of(path) as (folder, name):
        if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        else:  # `rmtree` opens what it removes, which blocks for a FIFO
            os.unlink(name, dir_fd=folder)


def names_in(path: str) -> list[str]:
    """Returns the names in a folder; an empty list if it does not exist."""
    try:
        with folder_of(f"{path.rstrip('/')}/x") as (folder, _):
            return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def folder_of(path: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """Opens the parent folder of a file or folder, without following links from the output on.

    Args:
      path: a local path.
      make: whether to create the parent folders.

    Yields:
      The descriptor of the folder, and the name in it.

    Raises:
      UnusableFileError: one of the folders is a link.
      OSError: one is missing, or cannot be opened.
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
    """Returns the output's folder and the names below it; for any other file, its folder and its name."""
    match = _INSIDE.search(path)
    if match is None:
        root, _, name = path.rpartition("/")
        return root or ("/" if path.startswith("/") else "."), [name]
    names = match[1].split("/")
    if ".." in names or "." in names:
        raise UnusableFileError(f"{path} is not a path inside an output")
    return path[: match.start()] or "/", names


def _is_link(path: str, folder: int, name: str) -> UnusableFileError | None:
    try:
        if not stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
            return None
    except OSError:
        return None
    return UnusableFileError(f"{path}: {name} is a symbolic link, which is not followed inside an output: remove it")
