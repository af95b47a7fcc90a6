"""Files on local disk and in every store that Beam supports (gs, s3, hdfs, …): read, list, replace and delete.

Differences from Beam's file systems: a path that contains "[" or "*" is tried as a file's name before it is used as a
pattern; a file with the extension .gz is not decompressed; exceptions of client libraries are converted.

    uris.py               URIs of objects, and patterns
    local_folders.py      lists files below a local folder (ignored.py: counts skipped files by kind)
    plain_files.py        files of an output, opened without following links
    documents.py          JSON documents of an output, which are not trusted (typed_json.py: as dataclasses)
    conditional_files.py  files that are replaced only if they have not changed since they were read
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

from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import (
    EmptyFileError,
    FileTooLargeError,
    MediaError,
    StorageError,
    UnsupportedUriError,
    VideoChangedError,
    VideoNotFoundError,
)
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage import local_folders, plain_files
from reelbeam.transforms.storage.ignored import ignore
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig, spool_of
from reelbeam.transforms.storage.spool.spooled_video import SpooledVideo
from reelbeam.transforms.storage.stores import gcs
from reelbeam.transforms.storage.stores.beam import file_system
from reelbeam.transforms.storage.stores.failures import changed, is_final, is_refusal, storage_errors
from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.uris import Pattern, literal
from reelbeam.transforms.wording import counted

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
"""file:///PATH, file://localhost/PATH and file:/PATH. A URI that names another host is not local."""


def normalize(uri: str, base_dir: str | None = None) -> str:
    """Returns the URI as it appears in rows: an absolute local path (from `base_dir`), or a remote URI unchanged.

    A table cannot hold a local name that is not UTF-8, so it becomes a file:// URI with percent-encoded bytes.
    """
    path = local_path(uri)
    if path is None or "\0" in path:  # no file can have such a name; `stat` reports it
        return uri
    trailing = "/" if path.endswith("/") else ""
    path = os.path.abspath(os.path.join(base_dir or ".", path)) + trailing  # noqa: PTH100, PTH118
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return _FILE_SCHEME + urllib.parse.quote(os.fsencode(path))
    return path


def local_path(uri: str) -> str | None:
    """Returns the path of a local file or folder; None for another scheme, or for file:// with a host's name."""
    if found := _LOCAL_FILE_URI.match(uri):
        return os.fsdecode(urllib.parse.unquote_to_bytes(uri[found.end() :]))
    return uri if FileSystems.get_scheme(uri) is None else None


def stat(uri: str) -> VideoRef:
    """Returns the size and version of the file at `uri`, which is never used as a pattern.

    Raises:
      VideoNotFoundError: there is nothing at the URI, or it is a folder.
      UnsupportedUriError: there is no file system for the scheme.
      StorageError: the store does not provide the information.
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
    """Returns a video with size, version and time; looks them up if the listing did not provide them.

    Raises:
      MediaError: as in `stat`.
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
    """Yields the files that match a Beam pattern. Object stores are listed by page; local files have no size.

    Raises:
      UnsupportedUriError, StorageError: as in `stat`.
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
    """Returns the first `limit` results of `matching`, or all: for few files, or to look at the first."""
    return list(itertools.islice(matching(pattern), limit))


@contextlib.contextmanager
def local_file(
    video: VideoRef,
    max_bytes: int,
    spool: SpoolConfig = DEFAULT_SPOOL,
) -> Iterator[str | SpooledVideo]:
    """Yields a video for the decoder: the path of a local video, or a remote video through the spool.

    The video's size must be known, see `identified`. Rows identify a video by the size and version from the listing;
    without them, a row could not say which content it describes.

    Raises:
      FileTooLargeError: the video is larger than `max_bytes`, or than the spool.
      VideoChangedError: the video is not the listed version, or changed while the caller read it; or it was not
        identified although it exists.
      MediaError: as raised by `stat` and by the store.
    """
    uri = video.video_uri
    path = local_path(uri)
    if path is not None or video.size_bytes is None:
        found = stat(uri)
        if video.size_bytes is None:
            raise VideoChangedError(f"{without_query(uri)} could not be identified when it was listed; run again")
        if video.content_version:
            _require_same(video, found)
        video = dataclasses.replace(video, size_bytes=found.size_bytes, content_version=found.content_version)
    assert video.size_bytes is not None
    if video.size_bytes > max_bytes:
        raise FileTooLargeError(
            f"{without_query(uri)} has {counted(video.size_bytes, 'byte')}, more than --max_video_bytes {max_bytes}"
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
    """Yields a local video. If the file changed meanwhile, raises that instead of an error about its content."""
    error: MediaError | None = None
    try:
        yield path
    except MediaError as met:
        error = met
    try:
        _require_same(video, stat(video.video_uri))
    except VideoChangedError as change:
        raise change from error
    except MediaError:  # the file was removed after it was opened
        pass
    if error is not None:
        raise error


def open_binary(uri: str) -> BinaryIO:
    """Opens `uri` to read its stored bytes. Beam's file objects have no common type."""
    path = local_path(uri)
    if path is not None:
        return open(path, "rb")  # noqa: PTH123, SIM115
    return FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def open_inside(uri: str) -> BinaryIO:
    """Opens a file of an output like `open_binary`, but follows no link of a local one."""
    path = local_path(uri)
    return open_binary(uri) if path is None else plain_files.open_file(path)


def find_files(folder: str, pattern: str) -> list[str]:
    """Returns the URIs of the files below `folder` that match a pattern; the folder may have any name."""
    path = local_path(folder)
    if path is not None:
        return sorted(str(found) for found in pathlib.Path(path).glob(pattern))
    return sorted(video.video_uri for video in match(f"{literal(folder.rstrip('/'))}/{pattern}"))


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`, a folder of an output, which may not exist."""
    path = local_path(uri)
    if path is not None:
        plain_files.remove_tree(path)
        return
    found = [video.video_uri for video in match(f"{literal(uri.rstrip('/'))}/**")]
    if found:
        delete_files(found)


def delete_files(uris: Sequence[str]) -> None:
    """Deletes files of one object store; they may have any names.

    Raises the exceptions of the store's client, see `storage_errors`.
    """
    if FileSystems.get_scheme(uris[0]) == "gs":  # Beam's file system would use each name as a pattern
        gcs.delete(uris, pipeline_options())
    else:
        FileSystems.delete(list(uris))
