"""Fetch models with TensorFlow Hub's downloader.

The hub's cache layout and its locks between processes are used unchanged. This module adds a timeout, a check that the
archive is complete, a limit on its unpacked size, a check that it is a SavedModel before it enters the cache, and the
removal of locks whose owner died (the hub itself waits 10 to 20 minutes for those).

`tensorflow_hub.resolve` has none of these, and it writes the whole URL, signature included, into logs and into a file
next to the model.
"""

from __future__ import annotations

import http.client
import logging
import os
import pathlib
import shutil
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request

from reelbeam.transforms.errors import ModelDownloadError, ModelError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.registry import cache, foreign, saved_model, unpacking
from reelbeam.transforms.models.registry.quiet import quiet_tensorflow
from reelbeam.transforms.redaction import without_query

_LOGGER = logging.getLogger(__name__)
REMEDY = (
    "try again; or run `reelbeam models export NAME --to DIR` on a machine with network, copy DIR to this machine, and "
    "pass --model DIR"
)
_SOCKET_TIMEOUT_SECONDS = 60
_LOCK_TIMEOUT_SECONDS = 10 * 60
_RETRYABLE_STATUS = (408, 425, 429)
_GZIP_MAGIC = b"\x1f\x8b"
_TAR_MAGIC, _TAR_MAGIC_OFFSET = b"ustar", 257

# One download at a time in this process. So a lock file with this process's own id is always stale.
_PROCESS_LOCK = threading.Lock()


def download(url: str, name: str) -> pathlib.Path:
    """Fetches a model into the hub's cache, or waits for another process that is fetching it.

    Kaggle's model pages and tfhub.dev answer `?tf-hub-format=compressed` with a redirect to the archive. Any server
    that returns a tar file of the SavedModel's content works, too.

    Args:
      url: the http(s) URL of the model.
      name: the name of its folder in the cache.

    Returns:
      The folder, with a complete SavedModel.

    Raises:
      ModelNotFoundError: the server does not have the model, or denies access to it (status 4xx).
      ModelDownloadError: the server could not be reached or failed, or the download was interrupted; the cache is
        unchanged.
      NotASavedModelError: the server sent something else.
    """
    with _PROCESS_LOCK:
        try:
            folder = cache.writable_folder("hub") / name
        except OSError as error:
            raise ModelDownloadError(f"no folder to fetch {without_query(url)} into: {error}") from error
        _remove_remains(folder)
        _download_locked(url, folder)
        return folder


def _download_locked(url: str, folder: pathlib.Path) -> None:
    with quiet_tensorflow():
        import tensorflow as tf
        from tensorflow_hub import resolver as tensorflow_hub_resolver

    shown = without_query(url)

    def fetch(_: str, temporary_folder: str) -> None:
        with _open(url) as response:
            archive = _Archive(response)
            try:
                unpacking.unpack(archive, pathlib.Path(temporary_folder))
            except (OSError, ValueError) as error:
                raise _archive_error(shown, archive, error) from error
        if fault := saved_model.fault(pathlib.Path(temporary_folder)):
            # Without an announced length, an interruption between two files of the archive looks like its end.
            kind = NotASavedModelError if archive.length_is_known else ModelDownloadError
            raise kind(f"the archive at {shown} is not a SavedModel, or was interrupted: it {fault}; {REMEDY}")

    _LOGGER.info("Fetching %s into %s", shown, folder)
    try:
        tensorflow_hub_resolver.atomic_download(shown, fetch, str(folder), _LOCK_TIMEOUT_SECONDS)
    except ModelError:
        raise
    except urllib.error.HTTPError as error:
        raise _status_error(shown, error) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ModelDownloadError(f"cannot fetch {shown}: {reason}; {REMEDY}") from error
    except tf.errors.OpError as error:
        if saved_model.fault(folder) is not None:  # otherwise another process was faster
            raise ModelDownloadError(
                f"cannot write {shown} to {folder}: {error.message}; free the disk or set {cache.HUB_VARIABLE}"
            ) from error


def _open(url: str) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True) + [("tf-hub-format", "compressed")]
    request = parts._replace(query=urllib.parse.urlencode(query), fragment="").geturl()
    context = ssl.create_default_context() if parts.scheme == "https" else None
    response: http.client.HTTPResponse = urllib.request.urlopen(
        request, timeout=_SOCKET_TIMEOUT_SECONDS, context=context
    )
    return response


class _Archive:
    """A response with a byte count, because `http.client` and `tarfile` take an early end for the regular end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._expected = -1 if response.length is None else response.length
        self._received = 0
        self.head = b""

    def read(self, size: int) -> bytes:
        """Reads like a file.

        Raises:
          http.client.IncompleteRead: the connection ended before the announced length.
        """
        data = self._response.read(size)
        self._received += len(data)
        if len(self.head) < 512:
            self.head += data[:512]
        if size and not data and self._received < self._expected:
            raise http.client.IncompleteRead(b"", self._expected - self._received)
        return data

    @property
    def length_is_known(self) -> bool:
        """Whether the server announced a length: then the archive is complete, or `read` has raised."""
        return self._expected >= 0

    @property
    def may_be_tar(self) -> bool:
        """Whether the first bytes, if any, are those of a tar file, compressed or not."""
        return (
            not self.head or self.head.startswith(_GZIP_MAGIC) or self.head[_TAR_MAGIC_OFFSET:].startswith(_TAR_MAGIC)
        )


def _archive_error(shown: str, archive: _Archive, error: OSError | ValueError) -> ModelError:
    if isinstance(error, TimeoutError | ConnectionError):
        return ModelDownloadError(f"the download of {shown} was interrupted: {error}; {REMEDY}")
    if isinstance(error, ValueError):  # the hub rejects links and paths outside the folder
        return NotASavedModelError(f"the archive at {shown} holds what no SavedModel does: {error}")
    if archive.may_be_tar:
        return ModelDownloadError(f"the download of {shown} is damaged or was interrupted; {REMEDY}")
    kind = foreign.kind_of(urllib.parse.urlsplit(shown).path)
    what = f", it seems to be {kind}" if kind else ""
    return NotASavedModelError(f"{shown} answered with something other than a model's tar archive{what}; {REMEDY}")


def _status_error(shown: str, error: urllib.error.HTTPError) -> ModelError:
    if error.code >= 500 or error.code in _RETRYABLE_STATUS:
        return ModelDownloadError(f"cannot fetch {shown}: HTTP {error.code} {error.reason}; {REMEDY}")
    return ModelNotFoundError(
        f"no model at {shown}: HTTP {error.code} {error.reason}; check the address, or pass a local folder"
    )


def _remove_remains(folder: pathlib.Path) -> None:
    """Removes what would block a download: an incomplete model, or the lock of a process that died."""
    if folder.is_dir() and (fault := saved_model.fault(folder)):
        _LOGGER.warning("Removing %s from the cache: it %s", folder, fault)
        shutil.rmtree(folder, ignore_errors=True)
    lock = folder.with_name(f"{folder.name}.lock")
    try:
        host, process_id, task = lock.read_text(encoding="utf-8").rsplit(".", 2)
    except (OSError, ValueError):
        return
    if host == socket.gethostname() and process_id.isdecimal() and not _is_alive(int(process_id)):
        _LOGGER.warning("Removing %s: process %s, which fetched this model, does not exist", lock, process_id)
        lock.unlink(missing_ok=True)
        shutil.rmtree(folder.with_name(f"{folder.name}.{task}.tmp"), ignore_errors=True)


def _is_alive(process_id: int) -> bool:
    if process_id == os.getpid():
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
