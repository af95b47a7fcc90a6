"""Google Cloud Storage, with the client that Beam creates: its credentials, its project, STORAGE_EMULATOR_HOST."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, TypeAlias, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from reelbeam.transforms.errors import ObjectChangedError, ObjectNotFoundError
from reelbeam.transforms.storage.stores.failures import changed, missing, request_error, storage_errors
from reelbeam.transforms.storage.stores.retries import TransientError, with_retries
from reelbeam.transforms.storage.stores.store import ObjectInfo, Versioned, holds, matching
from reelbeam.transforms.storage.stores.whole_objects import WholeObjects, content_type
from reelbeam.transforms.storage.uris import object_place
from reelbeam.transforms.wording import counted

_TIMEOUT = (10, 30)  # seconds to connect, and between two parts of a response
_GENERATION = "generation:"
_FIELDS = "items(name,size,generation,updated),nextPageToken"
_MAX_READS = 5
_UPLOADED_PART_BYTES = 16 << 20  # a larger object takes a request for each part
_lock = threading.Lock()

_T = TypeVar("_T")
_Foreign: TypeAlias = Any
"""Google's client, its blobs, and an error of it: the packages have no types."""


def store(options: PipelineOptions) -> GcsStore:
    """Returns the store, one per process. Raises ImportError if the client library is not installed."""
    with _lock:
        return _store(options)


@functools.lru_cache(maxsize=8)
def _store(options: PipelineOptions) -> GcsStore:
    from apache_beam.io.gcp import gcsio

    return GcsStore(gcsio.create_storage_client(options))


class GcsStore(WholeObjects):
    """Google Cloud Storage, see `store.Store`. The version of an object is its generation."""

    def __init__(self, client: _Foreign) -> None:
        self._client = client

    def stat(self, uri: str) -> ObjectInfo:
        """See `store.Store`."""
        bucket, key = object_place(uri)
        blob = _with_retries(uri, lambda: self._client.bucket(bucket).get_blob(key, timeout=_TIMEOUT, retry=None))
        if blob is None:
            raise missing(uri)
        return _to_info(bucket, blob)

    def matching(self, pattern: str) -> Iterator[ObjectInfo]:
        """See `store.Store`."""
        return matching(self, pattern, self._listed)

    def _listed(self, pattern: str, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        token: str | None = None
        while True:
            page, token = _with_retries(pattern, functools.partial(self._page, bucket, prefix, token))
            yield from (_to_info(bucket, blob) for blob in page)
            if not token:
                return

    def _page(self, bucket: str, prefix: str, token: str | None) -> tuple[list[_Foreign], str | None]:
        listing = self._client.list_blobs(
            bucket, prefix=prefix, page_token=token, fields=_FIELDS, timeout=_TIMEOUT, retry=None
        )
        page = list(next(listing.pages, ()))
        return page, listing.next_page_token

    def read(self, found: ObjectInfo, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        bucket, key = object_place(found.uri)
        generation = _generation(found.version) if found.version.startswith(_GENERATION) else None

        def request() -> bytes:
            data: bytes = (
                self._client.bucket(bucket)
                .blob(key, generation=generation)
                .download_as_bytes(
                    start=start,
                    end=stop - 1,
                    raw_download=True,
                    timeout=_TIMEOUT,
                    checksum=None,  # a range has none
                    retry=None,
                )
            )
            if len(data) != stop - start:
                raise TransientError(f"an answer of {counted(len(data), 'byte')} to a request for {stop - start}")
            return data

        try:
            return _with_retries(found.uri, request)
        except ObjectNotFoundError:
            self.stat(found.uri)  # raises if the object was deleted
            raise changed(found.uri) from None

    def read_versioned(self, uri: str) -> Versioned | None:
        """See `store.Store`."""
        bucket, key = object_place(uri)
        for tries_left in reversed(range(_MAX_READS)):
            blob = _with_retries(uri, lambda: self._client.bucket(bucket).get_blob(key, timeout=_TIMEOUT, retry=None))
            if blob is None:
                return None
            request = functools.partial(
                blob.download_as_bytes, if_generation_match=blob.generation, timeout=_TIMEOUT, retry=None
            )
            try:
                return Versioned(_with_retries(uri, request), f"{_GENERATION}{blob.generation}")
            except (ObjectNotFoundError, ObjectChangedError):  # it was written between the two requests
                if not tries_left:
                    raise
        raise AssertionError("unreachable")

    def write_if(self, uri: str, data: bytes, version: str | None) -> bool:
        """See `store.Store`."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        bucket, key = object_place(uri)
        generation = 0 if version is None else _generation(version)

        def request() -> bool:
            blob = self._client.bucket(bucket).blob(key)
            try:
                blob.upload_from_string(data, if_generation_match=generation, timeout=_TIMEOUT, retry=None)
            except PreconditionFailed:
                return False
            except NotFound as error:  # no such bucket
                raise request_error(uri, error) from error
            return True

        return _with_retries(uri, request) or holds(self, uri, data)

    def upload(self, uri: str, file: BinaryIO) -> None:
        """See `WholeObjects`."""
        bucket, key = object_place(uri)

        def request() -> None:
            blob = self._client.bucket(bucket).blob(key, chunk_size=_UPLOADED_PART_BYTES)
            blob.upload_from_file(file, content_type=content_type(uri), rewind=True, timeout=_TIMEOUT, retry=None)

        with storage_errors(uri):  # the stored bytes have another checksum
            _with_retries(uri, request)

    def move(self, source: str, target: str) -> None:
        """See `store.Store`."""
        (from_bucket, from_key), (bucket, key) = object_place(source), object_place(target)
        found = self._client.bucket(from_bucket).blob(from_key)
        copy = self._client.bucket(bucket).blob(key)
        token: str | None = None
        while True:
            request = functools.partial(copy.rewrite, found, token=token, timeout=_TIMEOUT, retry=None)
            token, _, _ = _with_retries(source, request)
            if token is None:
                break
        with contextlib.suppress(ObjectNotFoundError):  # deleted by a request whose response was lost
            _with_retries(source, functools.partial(found.delete, timeout=_TIMEOUT, retry=None))

    def delete(self, uris: Sequence[str]) -> None:
        """See `store.Store`."""
        from apache_beam.io.gcp.gcsio import GcsIO
        from google.api_core.exceptions import from_http_status

        # Beam's file system would use each name as a pattern.
        with storage_errors(uris[0]):
            replies = GcsIO(self._client, PipelineOptions([])).delete_batch(list(uris))
        for uri, status in replies:
            if status:
                raise request_error(uri, from_http_status(status, "the object cannot be deleted"))


def _generation(version: str) -> int:
    return int(version.removeprefix(_GENERATION))


def _to_info(bucket: str, blob: _Foreign) -> ObjectInfo:
    modified = blob.updated.timestamp() if blob.updated else None
    uri, version = f"gs://{bucket}/{blob.name}", f"{_GENERATION}{blob.generation}"
    return ObjectInfo(uri, blob.size, version, modified)


def _with_retries(uri: str, request: Callable[[], _T]) -> _T:
    """Retries a request until it succeeds, and converts the client's exceptions."""
    import requests
    import urllib3
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud.exceptions import NotFound

    def translated() -> _T:
        try:
            return request()
        except NotFound as error:
            raise missing(uri) from error
        except GoogleAPICallError as error:
            raise _from_reply(uri, error) from error
        except (requests.exceptions.RequestException, ConnectionError, TransportError) as error:
            raise TransientError(str(error)) from error
        except (
            urllib3.exceptions.HTTPError
        ) as error:  # the connection was closed within the response; the client does not wrap this error
            raise TransientError(str(error)) from error
        except GoogleAuthError as error:
            raise request_error(uri, error) from error

    return with_retries(uri, translated)


def _from_reply(uri: str, error: _Foreign) -> Exception:
    if error.code in (408, 429) or (error.code or 0) >= 500:
        return TransientError(str(error))
    if error.code in (412, 416):
        return changed(uri)
    return request_error(uri, error)
