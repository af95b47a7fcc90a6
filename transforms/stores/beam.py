"""Stores that only Beam knows (hdfs, Azure, …), through its file systems; and the errors that those raise.

Here Beam's buffering holds: each read may fetch up to 16 MiB more than was asked for. Listings stand in memory, as Beam
makes them. The version is the time of the last change, and is compared before each read.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from transforms.errors import (
    MediaError,
    StorageError,
    UnsupportedUriError,
    has_credentials,
    without_query,
)
from transforms.records import VideoRef
from transforms.stores.base import changed, is_refusal, missing, pipeline_options, status_of, what_store_says
from transforms.stores.clients import lacks_client, unsupported
from transforms.stores.gcs_credentials import settle_credentials
from transforms.stores.retrying import PassingError, insist
from transforms.wording import counted

_CLIENT_ERRORS = (
    "google.api_core.exceptions:GoogleAPIError",
    "google.auth.exceptions:GoogleAuthError",
    "google.cloud.storage.exceptions:InvalidResponse",
    "google.cloud.storage.exceptions:DataCorruption",
    "google.resumable_media:InvalidResponse",
    "google.resumable_media:DataCorruption",
    "urllib3.exceptions:HTTPError",
    "botocore.exceptions:BotoCoreError",
    "botocore.exceptions:ClientError",
    "apache_beam.io.aws.clients.s3.messages:S3ClientError",
)
"""What stores' clients raise beside OSError: those of their base classes that are installed count as storage errors."""

_FINAL_ERRNOS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)
_PASSING_STATUSES = frozenset({408, 409, 412, 425, 429})
"""Those of HTTP's 4xx that speak of a moment."""

T = TypeVar("T")


class BeamStore:
    """See `base.Store`."""

    def stat(self, uri: str) -> VideoRef:
        """See `base.Store`."""

        def request() -> VideoRef:
            system = file_system(uri)
            if not system.exists(uri):
                raise FileNotFoundError(uri)
            return to_video_ref(system.metadata(uri))

        return _insist(uri, request)

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """See `base.Store`."""

        def request() -> list[FileMetadata]:
            system = file_system(pattern)
            if system.has_dirs() and not system.exists(_folder_of(pattern)):
                return []  # to list what is not there would be an error
            return [found for found in system.match([pattern])[0].metadata_list if not found.path.endswith("/")]

        yield from map(to_video_ref, _insist(pattern, request))

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """See `base.Store`."""
        uri = video.video_uri

        def request() -> bytes:
            if to_video_ref(file_system(uri).metadata(uri)).content_version != video.content_version:
                raise changed(uri)
            with FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
                file.seek(start)
                data: bytes = file.read(stop - start)
            if len(data) < stop - start:
                raise PassingError(f"an answer of {counted(len(data), 'byte')} to a request for {stop - start}")
            return data

        return _insist(uri, request)


def _folder_of(pattern: str) -> str:
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] + "/"


def _insist(uri: str, request: Callable[[], T]) -> T:
    """Makes a request again where Beam says no more than that it failed: its errors don't tell what may pass."""

    def translated() -> T:
        try:
            with storage_errors(uri):
                return request()
        except StorageError as error:
            raise PassingError(str(error)) from error
        except ValueError as error:  # Beam's file systems refuse a URI that they cannot parse
            raise UnsupportedUriError(f"{without_query(uri)}: {error}; check the URI") from error

    return insist(uri, translated)


def to_video_ref(metadata: FileMetadata) -> VideoRef:
    """Returns the listing's entry as a record; a store that tells no time gives an empty version."""
    updated = metadata.last_updated_in_seconds
    version = f"mtime:{updated:.6f}" if updated else ""
    return VideoRef(metadata.path, metadata.size_in_bytes, version, modified_seconds=updated or None)


def file_system(uri: str) -> FileSystem:
    """Returns Beam's file system for `uri`.

    Raises:
      UnsupportedUriError: there is none for its scheme, the store's client library is not installed, or the URI holds
        credentials.
      StorageError: the file system does not start.
    """
    if has_credentials(uri):  # a client would take them for a bucket's name, and repeat them in its messages
        raise UnsupportedUriError(
            f"{without_query(uri)} was given with a user name or a password: remove it, and give the credentials by "
            "the environment or by Beam's flags"
        )
    if lacks_client(uri):
        raise unsupported(uri)
    if FileSystems.get_scheme(uri) == "gs":
        with contextlib.suppress(ImportError):  # Beam's file system tells of it below
            settle_credentials(pipeline_options())
    with storage_errors(uri):
        try:
            return FileSystems.get_filesystem(uri)
        except (ValueError, ImportError) as error:  # ValueError: no such scheme, or a flag of Beam's is missing
            raise unsupported(uri, error) from error


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turns what file systems and stores' clients raise into the error tree."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(uri) from error
    except (BeamIOError, OSError, *_client_errors()) as error:
        if lacks_client(uri) or _is_import_error(error):
            raise unsupported(uri, error) from error
        raise what_store_says(uri, error) from error


def _is_import_error(error: Exception) -> bool:
    """Whether a client library could not be imported: Beam wraps what its file systems raise."""
    details = getattr(error, "exception_details", None)
    return any(isinstance(detail, ImportError) for detail in (details or {}).values())


def is_final(error: MediaError) -> bool:
    """Whether a place cannot be used, however often one tries: not there, not allowed, or not what it should be.

    Of one video among many every `StorageError` counts as transient, and is tried again for some nights. Whoever waits
    for a run's output wants to know at once whether to wait or to change something.
    """
    cause = error.__cause__
    if isinstance(cause, ValueError) or (isinstance(cause, OSError) and cause.errno in _FINAL_ERRNOS):
        return True
    status = status_of(cause) or 0
    is_refused = is_refusal(cause) or (400 <= status < 500 and status not in _PASSING_STATUSES)
    return is_refused or not error.transient


def _client_errors() -> tuple[type[Exception], ...]:
    found = []
    for place in _CLIENT_ERRORS:
        module, name = place.split(":")
        with contextlib.suppress(ImportError, AttributeError):  # AttributeError: an older release, without that class
            found.append(getattr(importlib.import_module(module), name))
    return tuple(found)
