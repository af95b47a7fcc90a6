"""Stores that are supported only through Beam's file systems (hdfs, Azure, …).

Beam's buffering applies: each read may fetch up to 16 MiB more than requested. Listings are in memory, as Beam creates
them. The version is the modification time, and is compared before each read.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from apache_beam.io.filesystem import CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import StorageError, UnsupportedUriError
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.redaction import has_credentials, without_query
from reelbeam.transforms.storage.stores.clients import lacks_client, unsupported
from reelbeam.transforms.storage.stores.failures import changed, storage_errors
from reelbeam.transforms.storage.stores.gcs_credentials import settle_credentials
from reelbeam.transforms.storage.stores.retries import TransientError, with_retries
from reelbeam.transforms.wording import counted

T = TypeVar("T")


class BeamStore:
    """A store behind Beam's file systems, see `store.Store`."""

    def stat(self, uri: str) -> VideoRef:
        """See `store.Store`."""

        def request() -> VideoRef:
            system = file_system(uri)
            if not system.exists(uri):
                raise FileNotFoundError(uri)
            return to_video_ref(system.metadata(uri))

        return _with_retries(uri, request)

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """See `store.Store`."""

        def request() -> list[FileMetadata]:
            system = file_system(pattern)
            if system.has_dirs() and not system.exists(_folder_of(pattern)):
                return []  # listing a folder that does not exist would be an error
            return [found for found in system.match([pattern])[0].metadata_list if not found.path.endswith("/")]

        yield from map(to_video_ref, _with_retries(pattern, request))

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        uri = video.video_uri

        def request() -> bytes:
            if to_video_ref(file_system(uri).metadata(uri)).content_version != video.content_version:
                raise changed(uri)
            with FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
                file.seek(start)
                data: bytes = file.read(stop - start)
            if len(data) < stop - start:
                raise TransientError(f"an answer of {counted(len(data), 'byte')} to a request for {stop - start}")
            return data

        return _with_retries(uri, request)


def _folder_of(pattern: str) -> str:
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] + "/"


def _with_retries(uri: str, request: Callable[[], T]) -> T:
    """Retries a request that failed in Beam, because Beam's errors do not show whether they are transient."""

    def translated() -> T:
        try:
            with storage_errors(uri):
                return request()
        except StorageError as error:
            raise TransientError(str(error)) from error
        except ValueError as error:  # Beam's file systems reject a URI that they cannot parse
            raise UnsupportedUriError(f"{without_query(uri)}: {error}; check the URI") from error

    return with_retries(uri, translated)


def to_video_ref(metadata: FileMetadata) -> VideoRef:
    """Converts an entry of a listing; the version is empty if the store has no modification times."""
    updated = metadata.last_updated_in_seconds
    version = f"mtime:{updated:.6f}" if updated else ""
    return VideoRef(metadata.path, metadata.size_in_bytes, version, modified_seconds=updated or None)


def file_system(uri: str) -> FileSystem:
    """Returns Beam's file system for `uri`.

    Raises:
      UnsupportedUriError: there is none for its scheme, the store's client library is not installed, or the URI
        contains credentials.
      StorageError: the file system cannot be created.
    """
    if has_credentials(uri):  # a client would use them as a bucket's name, and repeat them in its messages
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
        except (ValueError, ImportError) as error:  # ValueError: unknown scheme, or a flag of Beam is missing
            raise unsupported(uri, error) from error
