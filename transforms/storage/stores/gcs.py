"""Google Cloud Storage, with the client that Beam creates: its credentials, its project, STORAGE_EMULATOR_HOST."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from apache_beam.io.filesystem import BeamIOError
from apache_beam.options.pipeline_options import PipelineOptions

from reelbeam.transforms.errors import VideoNotFoundError
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.stores.failures import changed, missing, what_store_says
from reelbeam.transforms.storage.stores.retries import TransientError, with_retries
from reelbeam.transforms.storage.stores.store import matching
from reelbeam.transforms.storage.uris import object_place
from reelbeam.transforms.wording import counted

_TIMEOUT = (10, 30)  # seconds to connect, and between two parts of a response
_GENERATION = "generation:"
_FIELDS = "items(name,size,generation,updated),nextPageToken"
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


def delete(uris: Sequence[str], options: PipelineOptions) -> None:
    """Deletes objects by their exact names. Raises BeamIOError if one cannot be deleted."""
    from apache_beam.io.gcp.gcsio import GcsIO

    errors = {uri: error for uri, error in GcsIO(pipeline_options=options).delete_batch(list(uris)) if error}
    if errors:
        raise BeamIOError("Delete operation failed", errors)


class GcsStore:
    """Google Cloud Storage, see `store.Store`. The version of an object is its generation."""

    def __init__(self, client: _Foreign) -> None:
        self._client = client

    def stat(self, uri: str) -> VideoRef:
        """See `store.Store`."""
        bucket, key = object_place(uri)
        blob = _with_retries(uri, lambda: self._client.bucket(bucket).get_blob(key, timeout=_TIMEOUT, retry=None))
        if blob is None:
            raise missing(uri)
        return _to_video_ref(bucket, blob)

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """See `store.Store`."""
        return matching(self, pattern, self._listed)

    def _listed(self, pattern: str, bucket: str, prefix: str) -> Iterator[VideoRef]:
        token: str | None = None
        while True:
            page, token = _with_retries(pattern, functools.partial(self._page, bucket, prefix, token))
            yield from (_to_video_ref(bucket, blob) for blob in page)
            if not token:
                return

    def _page(self, bucket: str, prefix: str, token: str | None) -> tuple[list[_Foreign], str | None]:
        listing = self._client.list_blobs(
            bucket, prefix=prefix, page_token=token, fields=_FIELDS, timeout=_TIMEOUT, retry=None
        )
        page = list(next(listing.pages, ()))
        return page, listing.next_page_token

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        bucket, key = object_place(video.video_uri)
        version = video.content_version
        generation = int(version.removeprefix(_GENERATION)) if version.startswith(_GENERATION) else None

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
            return _with_retries(video.video_uri, request)
        except VideoNotFoundError:
            self.stat(video.video_uri)  # raises if the object was deleted
            raise changed(video.video_uri) from None


def _to_video_ref(bucket: str, blob: _Foreign) -> VideoRef:
    modified = blob.updated.timestamp() if blob.updated else None
    uri, version = f"gs://{bucket}/{blob.name}", f"{_GENERATION}{blob.generation}"
    return VideoRef(uri, blob.size, version, modified_seconds=modified)


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
            raise what_store_says(uri, error) from error

    return with_retries(uri, translated)


def _from_reply(uri: str, error: _Foreign) -> Exception:
    if error.code in (408, 429) or (error.code or 0) >= 500:
        return TransientError(str(error))
    if error.code in (412, 416):
        return changed(uri)
    return what_store_says(uri, error)
