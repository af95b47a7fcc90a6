"""Errors of files and objects that are not the fault of one video: an input list, a model, the output."""

from __future__ import annotations

from reelbeam.transforms.errors.base import ReelbeamError


class StorageError(ReelbeamError):
    """A file or an object cannot be used: an input list, a label file, a model, or a file of the output.

    Its subclass says whether a later try may succeed (`transient`).
    """

    code = "storage_error"


class ObjectNotFoundError(StorageError):
    """Nothing is at the URI."""

    code = "not_found"


class ObjectChangedError(StorageError):
    """The object is not the version that was listed."""

    code = "video_changed"
    transient = True


class ObjectTooLargeError(StorageError):
    """The object is larger than `--spool_bytes`."""

    code = "file_too_large"


class UnsupportedUriError(StorageError):
    """There is no file system for the URI's scheme, or its client is not installed."""

    code = "unsupported_uri"


class AccessDeniedError(StorageError):
    """Permission is denied, or the disk is read-only."""


class CredentialsError(AccessDeniedError):
    """There are no credentials for a store, or the store rejects them."""


class RequestRejectedError(StorageError):
    """The disk or the store rejects the request for another reason; the same request would fail again."""


class UnusableFileError(StorageError):
    """The content is not what this release writes: damaged, changed by others, or of another schema version."""


class UnavailableError(StorageError):
    """The store does not respond, or the request failed for a reason that may be gone later."""

    transient = True
