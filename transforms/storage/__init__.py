"""Files on local disk and in every store that Beam knows (gs, s3, hdfs, …): read, list, replace and delete.

Differences from Beam's file systems: a path with "[" or "*" in it is taken for a file's name before it is taken for a
pattern, a file with the extension .gz is not unpacked, and exceptions of a client library become errors of ours.

    uris.py               URIs of objects, and patterns
    local_folders.py      what is below a local folder (ignored.py: what a listing leaves out, by kind)
    plain_files.py        files of an output, opened without following links
    documents.py          JSON documents of an output, which may be hostile (typed_json.py: as dataclasses)
    conditional_files.py  files that are replaced only if they still are what was read
    stores/               object stores
    spool/                remote videos on local disk
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.errors import (
    EmptyFileError,
    FileTooLargeError,
    MediaError,
    StorageError,
    UnsupportedUriError,
    VideoChangedError,
    VideoNotFoundError,
    without_query,
)
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage import local_folders, plain_files
from reelbeam.transforms.storage.ignored import ignore
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig, spool_of
from reelbeam.transforms.storage.spool.spooled_video import SpooledVideo
from reelbeam.transforms.storage.stores import gcs
from reelbeam.transforms.storage.stores.beam import file_system
from reelbeam.transforms.storage.stores.failures import changed, is_final, is_refusal, storage_errors
from reelbeam.transforms.storage.stores.registry import pipeline_options, store_for
from reelbeam.transforms.storage.uris import Pattern, literal

__all__ = [
    "delete_files",
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
_LOCAL_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
"""file:///PATH, file://localhost/PATH and file:/PATH; what names another host is not local."""


def normalize(uri: str, base_dir: str | None = None) -> str:
    """Returns `uri` as rows name it: local paths absolute (from `base_dir`) and plain, remote ones untouched.

    A local name that is no UTF-8 cannot stand in a table; it is named as file:// with its bytes percent-encoded.
    """
    path = local_path(uri)
    if path is None or "\0" in path:  # no file has such a name: `stat` says so
        return uri
    trailing = "/" if path.endswith("/") else ""
    path = os.path.abspath(os.path.join(base_dir or ".", path)) + trailing  # noqa: PTH100, PTH118
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return _FILE_SCHEME + urllib.parse.quote(os.fsencode(path))
    return path


def local_path(uri: str) -> str | None:
    """Returns the path of a local file or folder; None for another scheme, and for file:// with the name of a host."""
    if found := _LOCAL_FILE_URI.match(uri):
        return os.fsdecode(urllib.parse.unquote_to_bytes(uri[found.end() :]))
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
    if "\0" in path:
        raise UnsupportedUriError(f"{uri} cannot be the name of a file: it holds a zero byte; check the URI")
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
    for path in local_folders.files_matching(wanted, ignore):
        yield VideoRef(normalize(path))


def match(pattern: str, limit: int | None = None) -> list[VideoRef]:
    """Returns what `matching` yields, at most `limit`: for few files, or for a look at the first."""
    return list(itertools.islice(matching(pattern), limit))


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
      VideoChangedError: the video is not the version that was listed, or no longer is when the caller has read it; a
        video was not identified, but could be.
      MediaError: as `stat` and the store raise.
    """
    uri = video.video_uri
    path = local_path(uri)
    if path is not None or video.size_bytes is None:
        found = stat(uri)
        if video.size_bytes is None:
            raise VideoChangedError(f"{without_query(uri)} could not be told apart when it was listed; run again")
        if video.content_version:
            _require_same(video, found)
        video = dataclasses.replace(video, size_bytes=found.size_bytes, content_version=found.content_version)
    assert video.size_bytes is not None
    if video.size_bytes > max_bytes:
        raise FileTooLargeError(
            f"{without_query(uri)} has {video.size_bytes} bytes, more than --max_video_bytes {max_bytes}"
        )
    if path is not None:
        if not os.access(path, os.R_OK):
            raise StorageError(f"{uri} cannot be read: permission denied for user id {os.getuid()}")
        yield from _unchanged(video, path)
        return
    if video.size_bytes == 0:
        raise EmptyFileError(f"{without_query(uri)}: the file is empty (0 bytes); upload it again")
    with spool_of(spool).lend(video, store_for(uri)) as spooled:
        yield spooled


def _require_same(video: VideoRef, found: VideoRef) -> None:
    if (video.size_bytes, video.content_version) != (found.size_bytes, found.content_version):
        raise changed(video.video_uri)


def _unchanged(video: VideoRef, path: str) -> Iterator[str]:
    """Gives a local video to its reader; an error of a file that was written meanwhile is not the content's fault."""
    error: MediaError | None = None
    try:
        yield path
    except MediaError as met:
        error = met
    try:
        _require_same(video, stat(video.video_uri))
    except VideoChangedError as change:
        raise change from error
    except MediaError:  # it was removed after it was opened
        pass
    if error is not None:
        raise error


def open_binary(uri: str) -> BinaryIO:
    """Opens `uri` for reading its bytes as they are stored. Beam's files have `read`, `seek` and `close`, no more."""
    path = local_path(uri)
    if path is not None:
        return open(path, "rb")  # noqa: PTH123, SIM115
    return FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def open_inside(uri: str) -> BinaryIO:
    """Opens a file of an output as `open_binary` does; of a local one, no link is followed."""
    path = local_path(uri)
    return open_binary(uri) if path is None else plain_files.open_file(path)


def find_files(folder: str, pattern: str) -> list[str]:
    """Returns the URIs of the files below `folder` that match a pattern; the folder may hold any letter."""
    path = local_path(folder)
    if path is not None:
        return sorted(str(found) for found in pathlib.Path(path).glob(pattern))
    return sorted(video.video_uri for video in match(f"{literal(folder.rstrip('/'))}/{pattern}"))


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`, a folder of an output; nothing being there is fine."""
    path = local_path(uri)
    if path is not None:
        plain_files.remove_tree(path)
        return
    found = [video.video_uri for video in match(f"{literal(uri.rstrip('/'))}/**")]
    if found:
        delete_files(found)


def delete_files(uris: Sequence[str]) -> None:
    """Deletes files of an object store, all of one; their names may hold any letter.

    Raises whatever the store's client raises, see `storage_errors`.
    """
    if FileSystems.get_scheme(uris[0]) == "gs":  # Beam's file system takes each name for a pattern
        gcs.delete(uris, pipeline_options())
    else:
        FileSystems.delete(list(uris))
