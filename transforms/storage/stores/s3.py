"""S3, and servers with its protocol. Configured like Beam's own S3 file system, by --s3_endpoint_url and others."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, TypeAlias, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from reelbeam.transforms.storage.stores.failures import changed, missing, request_error
from reelbeam.transforms.storage.stores.retries import TransientError, with_retries
from reelbeam.transforms.storage.stores.store import ObjectInfo, Versioned, holds, matching
from reelbeam.transforms.storage.stores.whole_objects import WholeObjects, content_type
from reelbeam.transforms.storage.uris import object_place
from reelbeam.transforms.wording import counted

_CONNECT_SECONDS, _READ_SECONDS = 10, 30
_MAX_CONNECTIONS = 64
_ETAG = "etag:"
_MAX_DELETED = 1000  # in one request
_UPLOADED_PART_BYTES, _COPIED_PART_BYTES = 16 << 20, 256 << 20  # a larger object takes a request for each part
_OPTIONS = (
    "s3_access_key_id s3_secret_access_key s3_session_token s3_endpoint_url s3_region_name s3_api_version s3_verify"
    " s3_disable_ssl"
)
_lock = threading.Lock()

_T = TypeVar("_T")
_Foreign: TypeAlias = Any
"""boto3's client, and an error of botocore's: the packages have no types."""


def store(options: PipelineOptions) -> S3Store:
    """Returns the store, one for equal options. Raises ImportError if boto3 is not installed."""
    s3_options = options.view_as(S3Options)
    with _lock:  # creating a client is not thread-safe
        return _store(*(getattr(s3_options, name) for name in _OPTIONS.split()))


@functools.lru_cache(maxsize=8)
def _store(
    key_id: str | None,
    secret: str | None,
    token: str | None,
    endpoint_url: str | None,
    region: str | None,
    api_version: str | None,
    verify: bool | str | None,
    disable_ssl: bool,
) -> S3Store:
    import boto3
    from botocore.config import Config

    return S3Store(
        boto3.session.Session().client(
            "s3",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            endpoint_url=endpoint_url,
            region_name=region,
            api_version=api_version,
            verify=verify,
            use_ssl=not disable_ssl,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                max_pool_connections=_MAX_CONNECTIONS,
                retries={"total_max_attempts": 1},  # `retries.py` retries; boto's retries end where the body begins
            ),
        )
    )


class S3Store(WholeObjects):
    """S3, see `store.Store`. The version of an object is its etag: it stays if the same bytes are written again."""

    def __init__(self, client: _Foreign) -> None:
        self._client = client

    def stat(self, uri: str) -> ObjectInfo:
        """See `store.Store`."""
        bucket, key = object_place(uri)
        reply = _with_retries(uri, lambda: self._client.head_object(Bucket=bucket, Key=key))
        return _to_info(uri, reply, reply["ContentLength"])

    def matching(self, pattern: str) -> Iterator[ObjectInfo]:
        """See `store.Store`."""
        return matching(self, pattern, self._listed)

    def _listed(self, pattern: str, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        request = {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = _with_retries(pattern, lambda: self._client.list_objects_v2(**request))
            for item in page.get("Contents", ()):
                yield _to_info(f"s3://{bucket}/{item['Key']}", item, item["Size"])
            if not page.get("NextContinuationToken"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, found: ObjectInfo, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        bucket, key = object_place(found.uri)
        condition = {"IfMatch": _etag(found.version)} if found.version.startswith(_ETAG) else {}

        def request() -> bytes:
            reply = self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}", **condition)
            with contextlib.closing(reply["Body"]) as body:
                data = body.read(stop - start)
            if len(data) < stop - start:
                raise TransientError(f"an answer of {counted(len(data), 'byte')} to a request for {stop - start}")
            return data

        return _with_retries(found.uri, request)

    def read_versioned(self, uri: str) -> Versioned | None:
        """See `store.Store`."""
        from botocore.exceptions import ClientError

        bucket, key = object_place(uri)

        def request() -> Versioned | None:
            try:
                reply = self._client.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    return None
                if _status(error) == 404:  # no such bucket
                    raise request_error(uri, error) from error
                raise
            with contextlib.closing(reply["Body"]) as body:
                return Versioned(body.read(), _version(reply["ETag"]))

        return _with_retries(uri, request)

    def write_if(self, uri: str, data: bytes, version: str | None) -> bool:
        """See `store.Store`."""
        from botocore.exceptions import ClientError

        bucket, key = object_place(uri)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": _etag(version)}

        def request() -> bool:
            try:
                self._client.put_object(Bucket=bucket, Key=key, Body=data, **condition)
            except ClientError as error:
                # 412: the version differs. 409: a concurrent request is in progress. 404: the object was deleted.
                if _status(error) in (404, 409, 412):
                    return False
                raise
            return True

        return _with_retries(uri, request) or holds(self, uri, data)

    def upload(self, uri: str, file: BinaryIO) -> None:
        """See `WholeObjects`."""
        bucket, key = object_place(uri)

        def request() -> None:
            with os.fdopen(os.dup(file.fileno()), "rb") as copy:  # boto3 closes what it uploads
                copy.seek(0)
                config, more = _in_parts_of(_UPLOADED_PART_BYTES), {"ContentType": content_type(uri)}
                self._client.upload_fileobj(copy, bucket, key, ExtraArgs=more, Config=config)

        _with_retries(uri, request)

    def move(self, source: str, target: str) -> None:
        """See `store.Store`."""
        (from_bucket, from_key), (bucket, key) = object_place(source), object_place(target)
        place, config = {"Bucket": from_bucket, "Key": from_key}, _in_parts_of(_COPIED_PART_BYTES)
        _with_retries(source, lambda: self._client.copy(place, bucket, key, Config=config))
        self.delete([source])

    def delete(self, uris: Sequence[str]) -> None:
        """See `store.Store`."""
        from botocore.exceptions import ClientError

        for bucket, places in itertools.groupby(map(object_place, uris), lambda place: place[0]):
            keys = [{"Key": key} for _, key in places]
            for first in range(0, len(keys), _MAX_DELETED):
                some = {"Objects": keys[first : first + _MAX_DELETED], "Quiet": True}
                reply = _with_retries(
                    uris[0], functools.partial(self._client.delete_objects, Bucket=bucket, Delete=some)
                )
                for error in reply.get("Errors", ()):
                    raise request_error(f"s3://{bucket}/{error['Key']}", ClientError({"Error": error}, "DeleteObjects"))


def _in_parts_of(num_bytes: int) -> _Foreign:
    """Returns a configuration of boto3's transfers: in this thread, with the client of the store."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=num_bytes,
        multipart_chunksize=num_bytes,
        use_threads=False,
        preferred_transfer_client="classic",
    )


def _to_info(uri: str, facts: _Foreign, size_bytes: int) -> ObjectInfo:
    return ObjectInfo(uri, size_bytes, _version(facts["ETag"]), facts["LastModified"].timestamp())


def _version(etag: str) -> str:
    return _ETAG + etag.strip('"')


def _etag(version: str) -> str:
    return f'"{version.removeprefix(_ETAG)}"'


def _with_retries(uri: str, request: Callable[[], _T]) -> _T:
    """Retries a request until it succeeds, and converts botocore's exceptions."""
    from botocore import exceptions

    def translated() -> _T:
        try:
            return request()
        except exceptions.ClientError as error:
            raise _from_reply(uri, error) from error
        except exceptions.EndpointConnectionError as error:
            raise TransientError(f"{error} (check --s3_endpoint_url and the network)") from error
        # These end a connection or a body early; others (no credentials, unknown profile) are not transient.
        except (exceptions.HTTPClientError, exceptions.IncompleteReadError, exceptions.ResponseStreamingError) as error:
            raise TransientError(str(error)) from error
        except exceptions.BotoCoreError as error:
            raise request_error(uri, error) from error

    return with_retries(uri, translated)


def _from_reply(uri: str, error: _Foreign) -> Exception:
    status = _status(error)
    code = error.response.get("Error", {}).get("Code", "")
    if status in (408, 429) or status >= 500 or code in ("RequestTimeout", "SlowDown"):
        return TransientError(str(error))
    if status == 404:
        return missing(uri)
    if status in (412, 416):
        return changed(uri)
    return request_error(uri, error)


def _status(error: _Foreign) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
