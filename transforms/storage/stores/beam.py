"""Stores that are supported only through Beam's file systems (hdfs, Azure, …).

Beam's buffering applies: each read may fetch up to 16 MiB more than requested. Listings are in memory, as Beam creates
them. The version is the modification time, and is compared before each read. There are no conditional writes: the
file is read again just before it is written, which leaves a gap of milliseconds.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import UnavailableError, UnsupportedUriError
from reelbeam.transforms.redaction import has_credentials, without_query
from reelbeam.transforms.storage.stores.clients import lacks_client, unsupported
from reelbeam.transforms.storage.stores.failures import changed, storage_errors
from reelbeam.transforms.storage.stores.gcs_credentials import settle_credentials
from reelbeam.transforms.storage.stores.retries import TransientError, with_retries
from reelbeam.transforms.storage.stores.store import ObjectInfo, Versioned, content_version
from reelbeam.transforms.storage.uris import scheme_of
from reelbeam.transforms.wording import counted

T = TypeVar("T")


class BeamStore:
    """A store behind Beam's file systems, see `store.Store`."""

    def stat(self, uri: str) -> ObjectInfo:
        """See `store.Store`."""

        def request() -> ObjectInfo:
            system = file_system(uri)
            if not system.exists(uri):
                raise FileNotFoundError(uri)
            return _to_info(system.metadata(uri))

        return _with_retries(uri, request)

    def matching(self, pattern: str) -> Iterator[ObjectInfo]:
        """See `store.Store`."""

        def request() -> list[FileMetadata]:
            system = file_system(pattern)
            if system.has_dirs() and not system.exists(_folder_of(pattern)):
                return []  # listing a folder that does not exist would be an error
            return [found for found in system.match([pattern])[0].metadata_list if not found.path.endswith("/")]

        yield from map(_to_info, _with_retries(pattern, request))

    def read(self, found: ObjectInfo, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        uri = found.uri

        def request() -> bytes:
            if _to_info(file_system(uri).metadata(uri)).version != found.version:
                raise changed(uri)
            with FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
                file.seek(start)
                data: bytes = file.read(stop - start)
            if len(data) < stop - start:
                raise TransientError(f"an answer of {counted(len(data), 'byte')} to a request for {stop - start}")
            return data

        return _with_retries(uri, request)

    def read_versioned(self, uri: str) -> Versioned | None:
        """See `store.Store`."""

        def request() -> Versioned | None:
            if not FileSystems.exists(uri):
                return None
            with FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
                data: bytes = file.read()
            return Versioned(data, content_version(data))

        return _with_retries(uri, request)

    def write_if(self, uri: str, data: bytes, version: str | None) -> bool:
        """See `store.Store`."""
        found = self.read_versioned(uri)
        if (found and found.version) != version:
            return False
        with (
            storage_errors(uri),
            FileSystems.create(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as sink,
        ):
            sink.write(data)
        return True

    def open(self, uri: str) -> BinaryIO:
        """See `store.Store`."""
        opened: BinaryIO = _with_retries(
            uri, lambda: FileSystems.open(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)
        )
        return opened

    @contextlib.contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """See `store.Store`. Creates the parent folders."""
        with storage_errors(uri):
            _make_folder_of(uri)
            with FileSystems.create(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as sink:
                yield sink

    def move(self, source: str, target: str) -> None:
        """See `store.Store`. Creates the target's parent folders."""
        with storage_errors(source):
            _make_folder_of(target)
            FileSystems.rename([source], [target])

    def delete(self, uris: Sequence[str]) -> None:
        """See `store.Store`."""
        with storage_errors(uris[0]):
            FileSystems.delete(list(uris))


def _make_folder_of(uri: str) -> None:
    folder = FileSystems.split(uri)[0]
    try:
        FileSystems.mkdirs(folder)
    except (BeamIOError, OSError):  # it exists already, or another worker was faster
        if not FileSystems.exists(folder):
            raise


def _folder_of(pattern: str) -> str:
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] + "/"


def _with_retries(uri: str, request: Callable[[], T]) -> T:
    """Retries a request that failed in Beam, because Beam's errors do not show whether they are transient."""

    def translated() -> T:
        try:
            with storage_errors(uri):
                return request()
        except UnavailableError as error:
            raise TransientError(str(error)) from error
        except ValueError as error:  # Beam's file systems reject a URI that they cannot parse
            raise UnsupportedUriError(f"{without_query(uri)}: {error}; check the URI") from error

    return with_retries(uri, translated)


def _to_info(metadata: FileMetadata) -> ObjectInfo:
    """Converts an entry of a listing; the version is empty if the store has no modification times."""
    updated = metadata.last_updated_in_seconds
    version = f"mtime:{updated:.6f}" if updated else ""
    return ObjectInfo(metadata.path, metadata.size_in_bytes, version, updated or None)


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
    if scheme_of(uri) == "gs":
        with contextlib.suppress(ImportError):  # Beam's file system reports it below
            settle_credentials(pipeline_options())
    with storage_errors(uri):
        try:
            return FileSystems.get_filesystem(uri)
        except (ValueError, ImportError) as error:  # ValueError: unknown scheme, or a flag of Beam is missing
            raise unsupported(uri, error) from error
