"""Unpack a model's archive from a stream: only plain files and folders, up to a limit on number and size."""

from __future__ import annotations

import pathlib
import shutil
import tarfile
from collections.abc import Iterable
from typing import IO, Protocol, cast

MOST_BYTES = 8 << 30
"""The maximum unpacked size of an archive. A5's SavedModel has 150 MB."""
MOST_FILES = 10_000


class DamagedArchiveError(OSError):
    """An archive cannot be read. If it came from a server, a retry may give a complete one."""


class Readable(Protocol):
    """The stream of an archive."""

    def read(self, size: int, /) -> bytes:
        """Returns up to `size` bytes."""
        ...


def unpack(stream: Readable, folder: pathlib.Path) -> None:
    """Unpacks a tar archive, compressed or not, while reading it.

    Args:
      stream: the archive.
      folder: an empty folder.

    Raises:
      ValueError: the archive holds a link or a device, has a path outside the folder, or exceeds a limit.
      DamagedArchiveError: it is not a tar archive, or is truncated.
      OSError: the folder cannot be written. Errors of `stream` are passed on.
    """
    num_bytes = num_files = 0
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|*") as archive:
            for member in archive:
                num_files += 1
                num_bytes += member.size  # includes the holes of a sparse file, which are not in the archive
                if num_bytes > MOST_BYTES or num_files > MOST_FILES:
                    raise ValueError(f"more than {MOST_BYTES} bytes or {MOST_FILES} files")
                _unpack_member(archive, member, folder)
    except tarfile.TarError as error:
        raise DamagedArchiveError(f"not a tar archive, or damaged: {error}") from error


def check_size(sizes: Iterable[int]) -> None:
    """Raises ValueError if an archive's members, given by their sizes in bytes, exceed a limit."""
    num_bytes = num_files = 0
    for size in sizes:
        num_files, num_bytes = num_files + 1, num_bytes + size
        if num_bytes > MOST_BYTES or num_files > MOST_FILES:
            raise ValueError(f"more than {MOST_BYTES} bytes or {MOST_FILES} files")


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: pathlib.Path) -> None:
    path = pathlib.PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{member.name!r} leads out of the folder")
    if member.isdir():
        (folder / path).mkdir(parents=True, exist_ok=True)
        return
    if not member.isfile():
        raise ValueError(f"{member.name!r} is neither a file nor a folder")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None, "the member is a file"
    with source, (folder / path).open("wb") as target:
        shutil.copyfileobj(source, target)
