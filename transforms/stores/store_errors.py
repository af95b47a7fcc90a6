"""From what file systems and stores' clients raise to the error tree."""

from __future__ import annotations

import contextlib
import errno
import importlib
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import BeamIOError

from transforms.errors import MediaError, StorageError, VideoChangedError, VideoNotFoundError, without_query
from transforms.stores.clients import lacks_client, unsupported

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
