"""Where bytes live: one door to local disk and to every file system that Beam knows (gs, s3, hdfs, ...).

Three habits of Beam's file systems are kept out here: a path with "[" or "*" in it is a file's name before it is a
pattern, a file that is called .gz is not unpacked on the way, and the exceptions of a store's client library become
errors of our tree.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms import plain_files
from transforms.errors import (
    EmptyFileError,
    FileTooLargeError,
    StorageError,
    VideoChangedError,
    VideoNotFoundError,
    without_query,
)
from transforms.records import VideoRef
from transforms.spool import DEFAULT_SPOOL, SpoolConfig, spool_of
from transforms.spool_file import SpooledVideo
from transforms.stores.base import Pattern, is_refusal, store_for
from transforms.stores.beam import file_system, is_final, storage_errors

__all__ = [
    "delete_folder",
    "file_system",
    "find_files",
    "identified",
    "is_final",
    "is_refusal",
    "local_file",
    "local_path",
    "match",
    "matching",
    "normalize",
    "open_binary",
    "open_inside",
    "stat",
    "storage_errors",
]

_FILE_SCHEME = "file://"


def normalize(uri: str, base_dir: str | None = None) -> str:
    """Returns `uri` as rows name it: local paths absolute (from `base_dir`) and plain, remote ones untouched.

    A local name that is no UTF-8 cannot stand in a table; it is named as file:// with its bytes percent-encoded.
    """
    path = local_path(uri)
    if path is None:
        return uri
    trailing = "/" if path.endswith("/") else ""
    path = os.path.abspath(os.path.join(base_dir or ".", path)) + trailing  # noqa: PTH100, PTH118
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return _FILE_SCHEME + urllib.parse.quote(os.fsencode(path))
    return path


def local_path(uri: str) -> str | None:
    """Returns the path of a local file or folder; None for what has another scheme than file://."""
    if uri.startswith(_FILE_SCHEME):
        return os.fsdecode(urllib.parse.unquote_to_bytes(uri.removeprefix(_FILE_SCHEME)))
    return uri if FileSystems.get_scheme(uri) is None else None


def stat(uri: str) -> VideoRef:
    """Returns size and version of what is at `uri`, never taking it for a pattern.

    Raises:
      VideoNotFoundError: nothing is there, or it is a folder.
      UnsupportedUriError: no file system for the scheme.
      StorageError: the store refuses to tell.
    """
    path = local_path(uri)
    if path is None:
        return store_for(uri).stat(uri)
    with storage_errors(uri):
        if os.path.isdir(path):  # noqa: PTH112  # unlike pathlib's, it never raises
            raise VideoNotFoundError(f"{uri} is a folder, not a video; name it as an input to label what is in it")
        facts = os.stat(path)  # noqa: PTH116
        return VideoRef(uri, facts.st_size, f"mtime:{facts.st_mtime:.6f}", modified_seconds=facts.st_mtime)


def identified(video: VideoRef) -> VideoRef:
    """Returns a video with size, version and time, looked up where the listing did not tell them.

    Raises:
      MediaError: as `stat`.
    """
    if video.size_bytes is not None:
        return video
    found = stat(video.video_uri)
    return dataclasses.replace(
        video,
        size_bytes=found.size_bytes,
        content_version=found.content_version,
        modified_seconds=found.modified_seconds,
    )


def matching(pattern: str) -> Iterator[VideoRef]:
    """Yields the files that a pattern of Beam's matches, of an object store a page at a time; local ones without size.

    Raises:
      UnsupportedUriError, StorageError: as `stat`.
    """
    if local_path(pattern) is None:
        yield from store_for(pattern).matching(pattern)
        return
    wanted = Pattern(pattern)
    if wanted.is_plain:
        with contextlib.suppress(VideoNotFoundError):
            yield stat(pattern)
        return
    for path in walk(os.path.dirname(wanted.prefix), wanted.depth):  # noqa: PTH120
        if wanted.matches(path):
            yield VideoRef(normalize(path))


def match(pattern: str, limit: int | None = None) -> list[VideoRef]:
    """Returns what `matching` yields, at most `limit`: for few files, or for a look at the first."""
    return list(itertools.islice(matching(pattern), limit))


def walk(folder: str, max_depth: int | None = None) -> Iterator[str]:
    """Yields the path of everything below a local folder that is no folder, in no order.

    Folders further down than `max_depth` are not opened; 0: only what lies in `folder` itself; None: all are.

    Links to folders are not followed: they may lead in circles. A folder that may not be read is told of and left out.
    """
    folders = [(folder, 0)]
    while folders:
        opened, depth = folders.pop()
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if max_depth is None or depth < max_depth:
                            folders.append((entry.path, depth + 1))
                    elif not (entry.is_symlink() and os.path.isdir(entry.path)):  # noqa: PTH112
                        yield entry.path
        except OSError as error:
            logging.getLogger(__name__).warning("left out: %s", error)


@contextlib.contextmanager
def local_file(
    video: VideoRef,
    max_bytes: int,
    spool: SpoolConfig = DEFAULT_SPOOL,
) -> Iterator[str | SpooledVideo]:
    """Gives a video as the decoder takes it: the path of a local one, a remote one by way of the spool.

    The video is one whose size is known, see `identified`. Rows name a video by the size and version that were listed;
    where the listing could not tell them, no row could say which video it is about.

    Raises:
      FileTooLargeError: the video is larger than `max_bytes`, or than the spool.
      VideoChangedError: a remote video is not the version that was listed; a video was not identified, but could be.
      MediaError: as `stat` and the store raise.
    """
    uri = video.video_uri
    path = local_path(uri)
    if path is not None or video.size_bytes is None:
        found = stat(uri)
        if video.size_bytes is None:
            raise VideoChangedError(f"{without_query(uri)} could not be told apart when it was listed; run again")
        video = dataclasses.replace(video, size_bytes=found.size_bytes, content_version=found.content_version)
    assert video.size_bytes is not None
    if video.size_bytes > max_bytes:
        raise FileTooLargeError(
            f"{without_query(uri)} has {video.size_bytes} bytes, more than --max_video_bytes {max_bytes}"
        )
    if path is not None:
        if not os.access(path, os.R_OK):
            raise StorageError(f"{uri} cannot be read: permission denied for user id {os.getuid()}")
        yield path
        return
    if video.size_bytes == 0:
        raise EmptyFileError(f"{without_query(uri)}: the file is empty (0 bytes); upload it again")
    with spool_of(spool).lend(video, store_for(uri)) as spooled:
        yield spooled


def open_binary(uri: str) -> Any:
    """Opens `uri` for reading its bytes as they are stored; Beam gives file-like objects without a common type."""
    path = local_path(uri)
    if path is not None:
        return open(path, "rb")  # noqa: PTH123, SIM115
    return FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def open_inside(uri: str) -> Any:
    """Opens a file of an output as `open_binary` does; of a local one, no link is followed."""
    path = local_path(uri)
    return open_binary(uri) if path is None else plain_files.open_file(path)


def find_files(folder: str, pattern: str) -> list[str]:
    """Returns the URIs of the files below `folder` that match a pattern; the folder may hold any letter."""
    path = local_path(folder)
    if path is not None:
        return sorted(str(found) for found in pathlib.Path(path).glob(pattern))
    return sorted(video.video_uri for video in match(f"{folder.rstrip('/')}/{pattern}"))


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`, a folder of an output; nothing being there is fine."""
    path = local_path(uri)
    if path is not None:
        plain_files.remove_tree(path)
        return
    found = [video.video_uri for video in match(f"{uri.rstrip('/')}/**")]
    if found:
        FileSystems.delete(found)
