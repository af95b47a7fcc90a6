"""The client libraries of stores: which one a scheme needs, whether it is installed, and how to install it.

If a client is missing, Beam's file systems raise different errors (ImportError, AssertionError, RuntimeError), some of
them late, and wrapped in errors that look transient. So the library is looked up before the first request.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import NamedTuple

from reelbeam.transforms.errors import UnsupportedUriError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.uris import scheme_of


class _Client(NamedTuple):
    """A client library: the module that Beam imports, and the requirement that installs it."""

    module: str
    requirement: str


_CLIENTS = {
    "azfs": _Client("azure.storage.blob", "apache-beam[azure]"),
    "gs": _Client("google.cloud.storage", "reelbeam[gcp]"),
    "hdfs": _Client("hdfs", "apache-beam[hadoop]"),
    "s3": _Client("boto3", "reelbeam[aws]"),
}


def lacks_client(uri: str) -> bool:
    """Returns whether the client library of a URI's scheme is missing; False if it needs none or is unknown."""
    client = _CLIENTS.get(scheme_of(uri) or "")
    return client is not None and not _is_installed(client.module)


def unsupported(uri: str, cause: Exception | None = None) -> UnsupportedUriError:
    """Returns the error for a URI that cannot be read here.

    Args:
      uri: the URI.
      cause: Beam's error, for a scheme that it supports.
    """
    shown, scheme = without_query(uri), scheme_of(uri) or ""
    client = _CLIENTS.get(scheme)
    if scheme.lower() == "file":
        return UnsupportedUriError(f"{shown} is a file on another machine: write file:///PATH for a local file")
    if client is None:
        extras = ", ".join(f"'{known.requirement}' for {name}://" for name, known in _CLIENTS.items())
        return UnsupportedUriError(
            f"no file system for {shown}: supported are local paths and what pip installs ({extras})"
        )
    if cause is None or isinstance(cause, ImportError) or not _is_installed(client.module):
        return UnsupportedUriError(
            f"no file system for {shown}: the client for {scheme}:// is not installed; "
            f"pip install '{client.requirement}'"
        )
    return UnsupportedUriError(f"no file system for {shown}: {without_query(str(cause))}; check Beam's flags")


@functools.cache
def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # its parent package is missing
        return False
