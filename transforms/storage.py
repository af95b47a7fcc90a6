"""Where bytes live: one door to local disk and to every file system that Beam knows (gs, s3, hdfs, ...).

Three habits of Beam's file systems are kept out here: a path with "[" or "*" in it is a file's name before it is a
pattern, a file that is called .gz is not unpacked on the way, and the exceptions of a store's client library become
errors of our tree.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
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

_FILE_SCHEME = "file://"
_CLIENT_ERRORS = (
    "google.api_core.exceptions:GoogleAPIError",
    "botocore.exceptions:BotoCoreError",
    "botocore.exceptions:ClientError",
)
"""What stores' clients raise beside OSError: those of their base classes that are installed count as storage errors."""


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
    with storage_errors(uri):
        if path is not None:
            if os.path.isdir(path):  # noqa: PTH112  # unlike pathlib's, it never raises
                raise VideoNotFoundError(f"{uri} is a folder, not a video; name it as an input to label what is in it")
            facts = os.stat(path)  # noqa: PTH116
            return VideoRef(uri, facts.st_size, f"mtime:{facts.st_mtime:.6f}")
        system = file_system(uri)
        if not system.exists(uri):
            raise FileNotFoundError(uri)
        return to_video_ref(system.metadata(uri))


def to_video_ref(metadata: FileMetadata) -> VideoRef:
    """Returns the listing's entry as a record; a store that tells no time gives an empty version."""
    updated = metadata.last_updated_in_seconds
    return VideoRef(normalize(metadata.path), metadata.size_in_bytes, f"mtime:{updated:.6f}" if updated else "")


def match(pattern: str, limit: int | None = None) -> list[VideoRef]:
    """Returns the files that a pattern of Beam's matches, at most `limit`.

    Raises:
      UnsupportedUriError, StorageError: as `stat`.
    """
    with storage_errors(pattern):
        file_system(pattern)
        found = FileSystems.match([pattern], limits=[limit])[0].metadata_list
    return [to_video_ref(metadata) for metadata in found]


@contextlib.contextmanager
def local_file(video: VideoRef, max_bytes: int) -> Iterator[str]:
    """Gives a local path with the video's bytes; a remote video is copied to a temporary file for the while.

    Raises:
      FileTooLargeError: the video is larger than `max_bytes`.
      MediaError: as `stat` and the store raise.
    """
    uri = video.video_uri
    path = local_path(uri)
    size_bytes = stat(uri).size_bytes if path is not None or video.size_bytes is None else video.size_bytes
    if (size_bytes or 0) > max_bytes:
        raise FileTooLargeError(f"{without_query(uri)} has {size_bytes} bytes, more than --max_video_bytes {max_bytes}")
    if path is not None:
        if not os.access(path, os.R_OK):
            raise StorageError(f"{uri} cannot be read: permission denied for user id {os.getuid()}")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="reelbeam-") as folder:
        # The extension stays: some demuxers (raw streams) are chosen by it.
        copy = pathlib.Path(folder, "video" + pathlib.PurePosixPath(uri).suffix[:16])
        with storage_errors(uri), open_binary(uri) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, COPY_CHUNK_BYTES)
        yield str(copy)


def open_binary(uri: str) -> Any:
    """Opens `uri` for reading its bytes as they are stored; Beam gives file-like objects without a common type."""
    path = local_path(uri)
    if path is not None:
        return open(path, "rb")  # noqa: PTH123, SIM115
    return FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def find_files(folder: str, pattern: str) -> list[str]:
    """Returns the URIs of the files below `folder` that match a pattern; the folder may hold any letter."""
    path = local_path(folder)
    if path is not None:
        return sorted(str(found) for found in pathlib.Path(path).glob(pattern))
    return sorted(video.video_uri for video in match(f"{folder.rstrip('/')}/{pattern}"))


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`; nothing being there is fine."""
    path = local_path(uri)
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)
        return
    found = [video.video_uri for video in match(f"{uri.rstrip('/')}/**")]
    if found:
        FileSystems.delete(found)


def file_system(uri: str) -> FileSystem:
    """Returns Beam's file system for `uri`.

    Raises:
      UnsupportedUriError: there is none for its scheme, or the store's client library is not installed.
    """
    try:
        return FileSystems.get_filesystem(uri)
    except (ValueError, ImportError) as error:
        raise UnsupportedUriError(
            f"no file system for {without_query(uri)}: supported are local paths and what Beam's extras add "
            "(pip install 'reelbeam[gcp]' for gs://, 'reelbeam[aws]' for s3://)"
        ) from error


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turns what file systems and stores' clients raise into the error tree."""
    try:
        yield
    except FileNotFoundError as error:
        raise VideoNotFoundError(f"{without_query(uri)} does not exist; check the path and its spelling") from error
    except (BeamIOError, OSError, *_client_errors()) as error:
        if "requirement" in str(error):  # Beam's way to say that a client library is missing
            raise UnsupportedUriError(f"{without_query(uri)}: {error} (pip install 'reelbeam[aws]')") from error
        raise StorageError(f"{without_query(uri)}: the storage says {without_query(str(error))}") from error


def _client_errors() -> tuple[type[Exception], ...]:
    found = []
    for place in _CLIENT_ERRORS:
        module, name = place.split(":")
        with contextlib.suppress(ImportError):
            found.append(getattr(importlib.import_module(module), name))
    return tuple(found)
