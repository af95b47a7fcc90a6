"""Unpack a model's archive from a stream: only plain files and folders, up to a limit on number and size."""

from __future__ import annotations

import gzip
import pathlib
import shutil
import tarfile
import zlib
from collections.abc import Iterable
from typing import IO, cast

from reelbeam.transforms.models.registry.limited_stream import LimitedStream, Readable

MOST_BYTES = 8 << 30
"""The maximum unpacked size of an archive. A5's SavedModel has 150 MB."""
MOST_FILES = 10_000
MOST_HEADER_BYTES = 1 << 20
"""The maximum size of all headers of one file: tarfile reads them into memory. A long path needs a few KiB."""
_MOST_GLOBAL_HEADERS = 100
_MOST_PATH_CHARACTERS = 4096


class DamagedArchiveError(OSError):
    """An archive cannot be read. If it came from a server, a retry may give a complete one."""


def unpack(stream: Readable, folder: pathlib.Path, max_bytes: int = MOST_BYTES) -> None:
    """Unpacks a tar archive, plain or compressed with gzip, while reading it.

    Args:
      stream: the archive.
      folder: an empty folder.
      max_bytes: the maximum unpacked size, in bytes.

    Raises:
      ValueError: the archive holds a link or a device, has a path outside the folder, or exceeds a limit.
      DamagedArchiveError: it is not a tar archive, or is truncated.
      OSError: the folder cannot be written. Errors of `stream` are passed on.
    """
    num_bytes = num_files = 0
    limited = LimitedStream(stream, max_bytes)
    try:
        limited.allow(MOST_HEADER_BYTES)
        with tarfile.open(fileobj=cast(IO[bytes], limited), mode="r|") as archive:
            while (member := archive.next()) is not None:
                num_files += 1
                num_bytes += member.size  # includes the holes of a sparse file, which are not in the archive
                if num_bytes > max_bytes or num_files > MOST_FILES:
                    raise ValueError(f"more than {max_bytes} bytes or {MOST_FILES} files")
                if len(archive.pax_headers or ()) > _MOST_GLOBAL_HEADERS:
                    raise ValueError(f"more than {_MOST_GLOBAL_HEADERS} global headers")
                limited.allow(member.size + MOST_HEADER_BYTES)
                _unpack_member(archive, member, folder)
                archive.members.clear()  # type: ignore[attr-defined]  # each has a copy of the global headers
                limited.allow(MOST_HEADER_BYTES)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedArchiveError(f"not a tar archive, or damaged: {error}") from error
    except RecursionError as error:  # tarfile reads the headers of one member recursively
        raise ValueError("too many headers in a row") from error


def check_size(sizes: Iterable[int]) -> None:
    """Raises ValueError if an archive's members, given by their sizes in bytes, exceed a limit."""
    num_bytes = num_files = 0
    for size in sizes:
        num_files, num_bytes = num_files + 1, num_bytes + size
        if num_bytes > MOST_BYTES or num_files > MOST_FILES:
            raise ValueError(f"more than {MOST_BYTES} bytes or {MOST_FILES} files")


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: pathlib.Path) -> None:
    if len(member.name) > _MOST_PATH_CHARACTERS:
        raise ValueError(f"a path of {len(member.name)} characters")
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
