"""Unpacks a model's archive from a stream: plain files and folders only, and no more of them than a model has."""

from __future__ import annotations

import pathlib
import shutil
import tarfile
from collections.abc import Iterable
from typing import IO, Protocol, cast

MOST_BYTES = 8 << 30
"""What an archive may unpack to: A5's SavedModel has 150 MB."""
MOST_FILES = 10_000


class DamagedArchiveError(OSError):
    """An archive cannot be read; from a server, another try may give a whole one."""


class Readable(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Returns so many bytes, or fewer at the end."""
        ...


def unpack(stream: Readable, folder: pathlib.Path) -> None:
    """Unpacks a tar archive, compressed or not, while it is read.

    Args:
      stream: the archive.
      folder: an empty folder.

    Raises:
      ValueError: the archive holds a link or a device, leads out of the folder, or unpacks to too much.
      DamagedArchiveError: it is not a tar archive, or breaks off.
      OSError: it cannot be written; or what `stream` raises.
    """
    num_bytes = num_files = 0
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|*") as archive:
            for member in archive:
                num_files += 1
                num_bytes += member.size  # also of a sparse file, whose holes are not in the archive
                if num_bytes > MOST_BYTES or num_files > MOST_FILES:
                    raise ValueError(f"more than {MOST_BYTES} bytes or {MOST_FILES} files")
                _unpack_member(archive, member, folder)
    except tarfile.TarError as error:
        raise DamagedArchiveError(f"not a tar archive, or damaged: {error}") from error


def check_size(sizes: Iterable[int]) -> None:
    """Raises ValueError for members of an archive, by their sizes in bytes, that are too many or too large."""
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
    assert source is not None, "it is a file"
    with source, (folder / path).open("wb") as target:
        shutil.copyfileobj(source, target)
