"""What a store does, and the way to the one of a URI."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.errors import (
    ConfigError,
    StorageError,
    UnsupportedUriError,
    VideoChangedError,
    VideoNotFoundError,
    without_query,
)
from transforms.records import VideoRef

# botocore's and Google's, by name: neither need be installed.
_NO_CREDENTIALS = frozenset(
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError ProfileNotFound NoAuthTokenError "
    "TokenRetrievalError SSOError DefaultCredentialsError RefreshError".split()
)
_REFUSING_CODES = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
"""S3's words for credentials of yesterday, whose status is 400."""
_REMEDIES = {
    "s3": "check the permissions; credentials come from AWS_PROFILE, from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
    " or from this machine's role",
    "gs": "check the permissions; credentials come from `gcloud auth application-default login`, from"
    " GOOGLE_APPLICATION_CREDENTIALS, or from this machine's account",
}


class Store(Protocol):
    """An object store. Safe for threads. Requests are made again where that may help, see `retrying.insist`.

    All methods raise MediaError: VideoNotFoundError, StorageError, UnsupportedUriError.
    """

    def stat(self, uri: str) -> VideoRef:
        """Returns size and version of an object."""

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """Yields the objects that a pattern of Beam's matches; no more than a page of them is in memory.

        A name that ends with a slash is none: consoles and file browsers put such objects in place of empty folders.
        """

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """Returns the bytes from `start` to before `stop`, all of them.

        Raises:
          VideoChangedError: the object is not the version that was listed.
        """


def store_for(uri: str) -> Store:
    """Returns the store of a URI with a scheme.

    Raises:
      UnsupportedUriError: nobody knows its scheme, or the client library is not installed.
      StorageError: the credentials that are asked for are not there.
      ConfigError: a flag of Beam's for the store is wrong.
    """
    from transforms.stores import beam, clients, gcs, s3  # they need what stands here

    scheme = FileSystems.get_scheme(uri)
    beam.file_system(uri)
    if scheme in ("s3", "gs"):
        bucket_and_key(uri)  # a URI without a bucket fails before the client looks for credentials
    try:
        with beam.storage_errors(uri):  # clients look for credentials
            if scheme == "s3":
                return s3.store(pipeline_options())
            if scheme == "gs":
                return gcs.store(pipeline_options())
    except ImportError as error:
        raise clients.unsupported(uri, error) from error
    except ValueError as error:  # what is no address, for instance
        raise ConfigError(f"{without_query(uri)}: {error}; check --s3_endpoint_url and Beam's other flags") from error
    return beam.BeamStore()


def pipeline_options() -> PipelineOptions:
    """Returns the options that Beam's file systems of this process have: endpoints, credentials, project."""
    return FileSystems._pipeline_options or PipelineOptions()  # Beam has no public way to them


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Returns the two parts of SCHEME://BUCKET/KEY.

    Raises:
      UnsupportedUriError: there is no bucket.
    """
    found = re.fullmatch(r"\w+://([^/]+)/?(.*)", uri, re.DOTALL)
    if found is None or re.search(r"[*?\[]", found[1]):
        raise UnsupportedUriError(f"{without_query(uri)} names no bucket; write SCHEME://BUCKET/NAME")
    return found[1], found[2]


def object_place(uri: str) -> tuple[str, str]:
    """Returns bucket and key of an object.

    Raises:
      UnsupportedUriError: there is no bucket.
      VideoNotFoundError: there is no key: the URI names a bucket.
    """
    bucket, key = bucket_and_key(uri)
    if not key:
        raise VideoNotFoundError(
            f"{without_query(uri)} is a bucket, not a video; name it as an input to label what is in it"
        )
    return bucket, key


def missing(uri: str) -> VideoNotFoundError:
    """Returns the error of an object that is not there."""
    return VideoNotFoundError(f"{without_query(uri)} does not exist; check the path and its spelling")


def changed(uri: str) -> VideoChangedError:
    """Returns the error of an object that is not the version that was listed."""
    return VideoChangedError(f"{without_query(uri)} changed after it was listed; run again")


def what_store_says(uri: str, error: Exception) -> StorageError:
    """Returns the error of a request that was refused, with what to do where the store asks for credentials."""
    words = f"{without_query(uri)}: the storage says {without_query(str(error))}"
    remedy = _REMEDIES.get(uri.partition("://")[0]) if is_refusal(error) else None
    return StorageError(f"{words}; {remedy}" if remedy else words)


def is_refusal(error: BaseException | None) -> bool:
    """Whether a client has no credentials, or the store does not take them (401, 403)."""
    if {kind.__name__ for kind in type(error).__mro__} & _NO_CREDENTIALS:
        return not getattr(error, "retryable", False)  # Google's, of a moment
    return status_of(error) in (401, 403) or _reply_of(error).get("Error", {}).get("Code") in _REFUSING_CODES


def status_of(error: BaseException | None) -> int | None:
    """Returns the status of the answer of which a client has made an error; None: there was none."""
    status = _reply_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode") or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _reply_of(error: BaseException | None) -> dict[str, Any]:
    reply = getattr(error, "response", None)  # botocore's is a dict; Google's errors have a code of their own
    return reply if isinstance(reply, dict) else {}


def matching(store: Store, pattern: str, listed: Callable[[str, str, str], Iterator[VideoRef]]) -> Iterator[VideoRef]:
    """Does what `Store.matching` does, for a store of buckets.

    Args:
      store: tells of an object that is named without a wildcard.
      pattern: in Beam's language.
      listed: called with the pattern, for messages, a bucket and a prefix; yields the objects whose names begin so.
    """
    wanted = Pattern(pattern)
    if wanted.is_plain:
        with contextlib.suppress(VideoNotFoundError):
            yield store.stat(pattern)
        return
    bucket, prefix = bucket_and_key(pattern)[0], bucket_and_key(wanted.prefix)[1]
    for video in listed(pattern, bucket, prefix):
        if wanted.matches(video.video_uri) and not video.video_uri.endswith("/"):
            yield video


def literal(name: str) -> str:
    """Returns the pattern that matches this very name; `*`, `?` and `[` stand for themselves in it.

    >>> literal("s3://bucket/labels[2026]")
    's3://bucket/labels[[]2026]'
    """
    return re.sub(r"([*?[])", r"[\1]", name)


class Pattern:
    """A pattern in Beam's language: `*`, `?`, `[…]` within a folder's name, `**` for any depth.

    Attributes:
      prefix: what all that it matches begins with.
      is_plain: whether it has no wildcard.
      depth: how many folders lie between that of `prefix` and what it matches, at most; None: any number.
      finds_hidden: whether it spells the dot with which a hidden name begins, after the folder of `prefix`.
    """

    def __init__(self, pattern: str) -> None:
        pattern += "*" if pattern.endswith("/") else ""
        self.prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        self.is_plain = self.prefix == pattern
        wild = pattern[len(self.prefix) :]
        self.depth = None if "**" in wild else wild.count("/")
        self._folder_length = self.prefix.rfind("/") + 1
        self.finds_hidden = _has_hidden_part(pattern[self._folder_length :])
        # Python warns of "[[]", with which `literal` names a bracket.
        self._regex = re.compile(FileSystem.translate_pattern(pattern).replace("[[]", r"\["))

    def matches(self, uri: str) -> bool:
        """Whether a URI is one of them."""
        return self._regex.match(uri) is not None

    def hides(self, uri: str) -> bool:
        """Whether a URI that it matches has a hidden name, or is below a hidden folder, which it does not spell."""
        return not self.finds_hidden and _has_hidden_part(uri[self._folder_length :])


def _has_hidden_part(path: str) -> bool:
    return path.startswith(".") or "/." in path
