"""Identify and open videos. Only here a storage error becomes the error of a video, which becomes a row."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

from reelbeam.transforms.errors import (
    EmptyFileError,
    FileTooLargeError,
    MediaError,
    StorageError,
    UnreadableVideoError,
    VideoChangedError,
    error_classes,
)
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.files import stat
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig, spool_of
from reelbeam.transforms.storage.spool.spooled_video import SpooledVideo
from reelbeam.transforms.storage.stores.failures import changed
from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.stores.store import ObjectInfo
from reelbeam.transforms.storage.uris import local_path
from reelbeam.transforms.wording import counted

_BY_CODE = {kind.code: kind for kind in error_classes(MediaError)}


def video_of(found: ObjectInfo) -> VideoRef:
    """Returns the video in a file."""
    return VideoRef(found.uri, found.size_bytes, found.version, modified_seconds=found.modified_seconds)


def identified(video: VideoRef) -> VideoRef:
    """Returns a video with size, version and time; looks them up if the listing did not provide them.

    Raises:
      MediaError: the video does not exist or cannot be read.
    """
    if video.size_bytes is not None:
        return video
    with _errors_of_video():
        found = stat(video.video_uri)
    return dataclasses.replace(
        video, size_bytes=found.size_bytes, content_version=found.version, modified_seconds=found.modified_seconds
    )


def with_known_size(video: VideoRef) -> VideoRef:
    """Returns a video with its size, version and time; unchanged if the store does not have them."""
    try:
        return identified(video)
    except MediaError:  # the step that opens the file turns it into a row, see `local_file`
        return video


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
      MediaError: it does not exist or cannot be read. This includes storage errors while the caller reads it.
    """
    uri = video.video_uri
    path = local_path(uri)
    with _errors_of_video():
        if path is not None or video.size_bytes is None:
            found = stat(uri)
            if video.size_bytes is None:
                raise VideoChangedError(f"{without_query(uri)} could not be identified when it was listed; run again")
            listed = ObjectInfo(uri, video.size_bytes, video.content_version)
            if video.content_version and _differ(listed, found):
                raise changed(uri)
        else:
            found = ObjectInfo(uri, video.size_bytes, video.content_version)
        if found.size_bytes > max_bytes:
            raise FileTooLargeError(
                f"{without_query(uri)} has {counted(found.size_bytes, 'byte')}, more than --max_video_bytes {max_bytes}"
            )
        if path is not None:
            if not os.access(path, os.R_OK):
                raise UnreadableVideoError(f"{uri} cannot be read: permission denied for user id {os.getuid()}")
            yield from _unchanged(found, path)
            return
        if found.size_bytes == 0:
            raise EmptyFileError(f"{without_query(uri)}: the file is empty (0 bytes); upload it again")
        with spool_of(spool).acquire(found, store_for(uri)) as spooled:
            yield spooled


@contextlib.contextmanager
def _errors_of_video() -> Iterator[None]:
    """Converts a storage error to the error of a video with the same code."""
    try:
        yield
    except StorageError as error:
        raise _BY_CODE[error.code](str(error)) from error


def _differ(listed: ObjectInfo, found: ObjectInfo) -> bool:
    return (listed.size_bytes, listed.version) != (found.size_bytes, found.version)


def _unchanged(listed: ObjectInfo, path: str) -> Iterator[str]:
    """Yields a local video. If the file changed meanwhile, raises that instead of an error about its content."""
    error: MediaError | None = None
    try:
        yield path
    except MediaError as met:
        error = met
    with contextlib.suppress(StorageError):  # the file was removed after it was opened
        if _differ(listed, stat(listed.uri)):
            raise VideoChangedError(str(changed(listed.uri))) from error
    if error is not None:
        raise error
