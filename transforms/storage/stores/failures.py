"""Convert exceptions of file systems and of stores' clients to errors of this package."""

from __future__ import annotations

import contextlib
import errno
import re
import sys
from collections.abc import Iterator
from typing import Any

from reelbeam.transforms.errors import (
    AccessDeniedError,
    CredentialsError,
    ObjectChangedError,
    ObjectNotFoundError,
    RequestRejectedError,
    StorageError,
    UnavailableError,
)
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores.clients import lacks_client, unsupported

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
    "apache_beam.io.filesystem:BeamIOError",
)
"""Base classes of exceptions that Beam and stores' clients raise besides OSError. Not all of them are installed."""

_DENYING_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_REJECTING_ERRNOS = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})
_TRANSIENT_STATUSES = frozenset({408, 409, 412, 425, 429})
"""HTTP 4xx statuses that are transient."""

# Exceptions of botocore and Google by name, because neither must be installed.
_NO_CREDENTIALS = frozenset(
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError ProfileNotFound NoAuthTokenError "
    "TokenRetrievalError SSOError DefaultCredentialsError RefreshError".split()
)
_ONE_SLASH = re.compile(r"(?:^|/)(https?|s3|gs|hdfs|az|azfs|abfs|abfss|wasb|wasbs):/([^/].*)", re.DOTALL)
"""The URI of an object with one slash missing, which is a local path."""
_REFUSING_CODES = frozenset({"AccessDenied", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
"""S3's codes for rejected credentials. Those for expired ones have status 400; an entry of a list has none."""
_REMEDIES = {
    "s3": "check the permissions; credentials come from AWS_PROFILE, from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
    " or from this machine's role",
    "gs": "check the permissions; credentials come from `gcloud auth application-default login`, from"
    " GOOGLE_APPLICATION_CREDENTIALS, or from this machine's account",
}


def missing(uri: str) -> ObjectNotFoundError:
    """Returns the error for an object that does not exist."""
    return ObjectNotFoundError(f"{without_query(uri)} does not exist; {hint(uri) or 'check the path and its spelling'}")


def hint(uri: str) -> str:
    """Returns what a URI or path that does not exist may have meant; "" if nothing is likely.

    >>> hint("/here/s3:/bucket/x.mp4")
    'did you mean s3://bucket/x.mp4?'
    >>> hint("/here/*.mp4"), hint('/here/"x.mp4"'), hint("/here/x.mp4")
    ('list entries are files, not patterns', 'remove the quotes', '')
    """
    if found := _ONE_SLASH.search(uri):
        return f"did you mean {without_query(f'{found[1]}://{found[2]}')}?"
    if uri.endswith(('"', "'")):
        return "remove the quotes"
    return "list entries are files, not patterns" if "*" in uri else ""


def changed(uri: str) -> ObjectChangedError:
    """Returns the error for an object that is not the listed version."""
    return ObjectChangedError(f"{without_query(uri)} changed after it was listed; run again")


def request_error(uri: str, error: Exception) -> StorageError:
    """Returns the error for a failed request, with a remedy if credentials are missing or rejected."""
    kind = kind_of(error)
    message = f"{without_query(uri)}: the storage says {without_query(_text_of(error))}"
    remedy = _REMEDIES.get(uri.partition("://")[0]) if kind is CredentialsError else None
    return kind(f"{message}; {remedy}" if remedy else message)


def _text_of(error: Exception) -> str:
    """Returns the text of an error. The name of a draft is left out, because users do not know it."""
    if isinstance(error, OSError) and ".draft-" in str(error.filename):
        return f"[Errno {error.errno}] {error.strerror}"
    return str(error)


def kind_of(error: BaseException) -> type[StorageError]:
    """Returns the class that an exception of a client or of the disk belongs to."""
    if _is_rejection_of_credentials(error):
        return CredentialsError
    number = error.errno if isinstance(error, OSError) else None
    if number in _DENYING_ERRNOS:
        return AccessDeniedError
    status = _status_of(error) or 0
    is_wrong_request = 400 <= status < 500 and status not in _TRANSIENT_STATUSES
    if is_wrong_request or number in _REJECTING_ERRNOS or isinstance(error, ValueError):
        return RequestRejectedError
    return UnavailableError


def _is_rejection_of_credentials(error: BaseException) -> bool:
    """Whether a client has no credentials, or the store rejects them (401, 403)."""
    if {kind.__name__ for kind in type(error).__mro__} & _NO_CREDENTIALS:
        return not getattr(error, "retryable", False)  # Google marks transient errors
    return _status_of(error) in (401, 403) or _reply_of(error).get("Error", {}).get("Code") in _REFUSING_CODES


def _status_of(error: BaseException) -> int | None:
    """Returns the HTTP status of a client's error; None if there was no response."""
    status = _reply_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode") or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _reply_of(error: BaseException) -> dict[str, Any]:
    reply = getattr(error, "response", None)  # a dict in botocore; Google's errors have a `code` instead
    return reply if isinstance(reply, dict) else {}


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Converts exceptions of file systems and of stores' clients to errors of this package."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(uri) from error
    except _errors_of_stores() as error:
        if lacks_client(uri) or _is_import_error(error):
            raise unsupported(uri, error) from error
        raise request_error(uri, error) from error


def _is_import_error(error: Exception) -> bool:
    """Whether a client library could not be imported: Beam wraps the exceptions of its file systems."""
    details = getattr(error, "exception_details", None)
    return any(isinstance(detail, ImportError) for detail in (details or {}).values())


def _errors_of_stores() -> tuple[type[Exception], ...]:
    """Returns OSError, and the exceptions of clients whose modules are loaded: no others can have been raised."""
    places = (place.split(":") for place in _CLIENT_ERRORS)
    found = (getattr(sys.modules.get(module), name, None) for module, name in places)  # an older release may lack it
    return (OSError, *(kind for kind in found if kind is not None))
