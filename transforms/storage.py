"""Where bytes live: one door to local disk and to every file system that Beam knows (gs, s3, hdfs, ...).

Two habits of Beam's file systems are kept out here: a path with "[" or "*" in it is a file's name before it is a
pattern, and a file that is called .gz is not unpacked on the way.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from transforms.errors import (
    FileTooLargeError,
    StorageError,
    UnsupportedUriError,
    VideoNotFoundError,
    without_query,
)
from transforms.records import VideoRef

COPY_CHUNK_BYTES = 8 << 20


def normalize(uri: str, base_dir: str | None = None) -> str:
    """Returns `uri` as rows name it: local paths absolute (from `base_dir`), without "file://"; others untouched."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    if is_remote(uri):
        return uri
    trailing = "/" if uri.endswith("/") else ""
    return os.path.abspath(os.path.join(base_dir or ".", uri)) + trailing  # noqa: PTH100, PTH118


def is_remote(uri: str) -> bool:
    """Whether `uri` has a scheme, such as s3://."""
    return FileSystems.get_scheme(uri) is not None


def stat(uri: str) -> VideoRef:
    """Returns size and version of what is at `uri`, never taking it for a pattern.

    Raises:
      VideoNotFoundError: nothing is there, or it is a folder.
      UnsupportedUriError: no file system for the scheme.
      StorageError: the store refuses to tell.
    """
    if not is_remote(uri) and pathlib.Path(uri).is_dir():
        raise VideoNotFoundError(f"{uri} is a folder, not a video; name it as an input to label what is in it")
    with _storage_errors(uri):
        system = FileSystems.get_filesystem(uri)
        if not system.exists(uri):
            raise VideoNotFoundError(f"{without_query(uri)} does not exist; check the path and its spelling")
        return to_video_ref(system.metadata(uri))


def to_video_ref(metadata: FileMetadata) -> VideoRef:
    """Returns the listing's entry as a record; a store that tells no time gives an empty version."""
    updated = metadata.last_updated_in_seconds
    return VideoRef(metadata.path, metadata.size_in_bytes, f"mtime:{updated:.6f}" if updated else "")


@contextlib.contextmanager
def local_file(video: VideoRef, max_bytes: int) -> Iterator[str]:
    """Gives a local path with the video's bytes; a remote video is copied to a temporary file for the while.

    Raises:
      FileTooLargeError: the video is larger than `max_bytes`.
      MediaError: as `stat` and the store raise.
    """
    if video.size_bytes is None:
        video = stat(video.video_uri)
    size_bytes = video.size_bytes or 0
    if size_bytes > max_bytes:
        raise FileTooLargeError(
            f"{without_query(video.video_uri)} has {size_bytes} bytes, more than --max_video_bytes {max_bytes}"
        )
    if not is_remote(video.video_uri):
        yield _readable(video.video_uri)
        return
    with tempfile.TemporaryDirectory(prefix="reelbeam-") as folder:
        # The extension stays: some demuxers (raw streams, image sequences) are chosen by it.
        path = pathlib.Path(folder, "video" + pathlib.PurePosixPath(video.video_uri).suffix[:16])
        with _storage_errors(video.video_uri), open_binary(video.video_uri) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, COPY_CHUNK_BYTES)
        yield str(path)


def open_binary(uri: str):  # type: ignore[no-untyped-def]  # Beam gives a file-like object without a common type
    """Opens `uri` for reading its bytes as they are stored."""
    return FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`; nothing being there is fine."""
    if not is_remote(uri):
        shutil.rmtree(uri, ignore_errors=True)
        return
    found = [metadata.path for metadata in FileSystems.match([f"{uri.rstrip('/')}/**"])[0].metadata_list]
    if found:
        FileSystems.delete(found)


def _readable(path: str) -> str:
    """Returns `path` if this process may read it: a clearer error than the demuxer would give."""
    if not pathlib.Path(path).exists():
        raise VideoNotFoundError(f"{path} does not exist any more: it vanished after it was listed")
    if not os.access(path, os.R_OK):
        raise StorageError(f"{path} cannot be read: permission denied for user id {os.getuid()}")
    return path


@contextlib.contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    """Turns what Beam's file systems raise into the error tree."""
    try:
        yield
    except ValueError as error:  # get_filesystem: no file system for the scheme
        raise UnsupportedUriError(
            f"no file system for {without_query(uri)}: supported are local paths and what Beam's extras add "
            "(pip install 'reelbeam[gcp]' for gs://, 'reelbeam[aws]' for s3://)"
        ) from error
    except FileNotFoundError as error:
        raise VideoNotFoundError(f"{without_query(uri)} does not exist; check the path and its spelling") from error
    except (BeamIOError, OSError) as error:
        raise StorageError(f"{without_query(uri)} cannot be read: {without_query(str(error))}") from error
