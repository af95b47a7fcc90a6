"""A small file that is written only if it has not changed since it was read: the basis of a lock.

Beam's file systems have no conditional writes, so each kind of store has its own implementation. Local and shared
folders use `flock` on a file next to it; S3 uses If-Match and If-None-Match; Google Cloud Storage uses generations. In
other stores of Beam (HDFS, Azure) the file is read again just before it is written, which leaves a gap of
milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms import storage
from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.storage import plain_files

_MAX_READS = 5
_MAX_BYTES = 1 << 20
_PAUSE_SECONDS = 0.02


class Content(NamedTuple):
    """The content of a file when it was read, and its version in the store."""

    data: bytes
    version: str


class ConditionalFile(Protocol):
    """One file of one store."""

    def read(self) -> Content | None:
        """Returns the file's content; None if there is no file."""

    def write(self, data: bytes, version: str | None) -> bool:
        """Writes the file if its version is `version` (None: if there is no file); returns whether it did.

        The data must differ from everything written to this file before, so that a write whose response was lost can
        be recognized.
        """


def conditional_file(uri: str, max_wait_seconds: float = 60) -> ConditionalFile:
    """Returns the file at `uri`, which may not exist.

    Args:
      uri: the file.
      max_wait_seconds: how long a write of a local file may wait for another one, which takes milliseconds.

    Raises:
      UnsupportedUriError: there is no file system for the scheme.
    """
    path = storage.local_path(uri)
    if path is not None:
        return _LocalFile(path, max_wait_seconds)
    storage.file_system(uri)
    kinds: dict[str, Callable[[str], ConditionalFile]] = {"s3": _S3Object, "gs": _GcsObject}
    return kinds.get(uri.partition("://")[0], _BeamFile)(uri)


class _LocalFile:
    """Locks a guard file next to the file during a write; the kernel releases the lock if the process dies.

    The guard is a regular file that is opened for writing, so that NFS takes the lock on the server, for all machines.
    The lock of a folder, or of a file opened for reading only, would hold on one machine.

    Whoever may read the guard can lock it, and so block a run. So it can be read by those only who may write to its
    folder, and a write does not wait for ever.
    """

    def __init__(self, path: str, max_wait_seconds: float) -> None:
        self._path = path
        self._max_wait_seconds = max_wait_seconds

    def read(self) -> Content | None:
        try:
            with plain_files.open_file(self._path) as file:
                data = file.read(_MAX_BYTES)
        except FileNotFoundError:
            return None
        return Content(data, _digest(data))

    def write(self, data: bytes, version: str | None) -> bool:
        with self._locked():
            found = self.read()
            if (found and found.version) != version:
                return False
            folder, _, name = self._path.rpartition("/")
            draft = f"{folder}/.draft-{secrets.token_hex(16)}-{name}"
            with plain_files.create_file(draft) as file:
                file.write(data)
            plain_files.move_file(draft, self._path)
            return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with plain_files.folder_of(self._path, make=True) as (folder, name):
            guard = _open_guard(folder, f".{name}.guard", f"{self._path.rpartition('/')[0]}/.{name}.guard")
        try:
            self._wait_for(guard)
            yield
        finally:
            os.close(guard)

    def _wait_for(self, guard: int) -> None:
        end = time.monotonic() + self._max_wait_seconds
        while True:
            try:
                return fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StorageError(
                        f"{self._path}: another process has locked its guard for {self._max_wait_seconds:g} seconds; "
                        f"find it with `fuser`, and end it"
                    ) from None
            time.sleep(_PAUSE_SECONDS)


def _open_guard(folder: int, name: str, path: str) -> int:
    """Opens a guard, or creates it with access for those who may write to its folder.

    Raises:
      StorageError: something else has its name. A hard link could be to any file of this user.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        guard = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:
        guard = os.open(name, flags, dir_fd=folder)
    else:
        facts = os.fstat(folder)
        os.fchmod(
            guard,
            0o600 | (0o060 if facts.st_mode & stat.S_IWGRP else 0) | (0o006 if facts.st_mode & stat.S_IWOTH else 0),
        )
        if facts.st_mode & stat.S_IWGRP:
            with contextlib.suppress(PermissionError):  # a group that this process is not in
                os.fchown(guard, -1, facts.st_gid)
    found = os.fstat(guard)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size:
        os.close(guard)
        raise StorageError(f"{path} is not an empty file of its own: remove it") from ValueError(path)
    return guard


class _S3Object:
    """Conditional requests of S3, and of servers with its protocol."""

    def __init__(self, uri: str) -> None:
        from apache_beam.io.aws.clients.s3.boto3_client import Client

        # Beam's client, to use its options: keys, endpoint, region.
        self._client = Client(pipeline_options()).client
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._place = {"Bucket": bucket, "Key": key}

    def read(self) -> Content | None:
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(**self._place)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return Content(found["Body"].read(), found["ETag"])

    def write(self, data: bytes, version: str | None) -> bool:
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            self._client.put_object(**self._place, Body=data, **condition)
        except ClientError as error:
            # 412: the version differs. 409: a concurrent request is in progress. 404: the object was deleted.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412):
                return _holds(self, data)
            raise
        return True


class _GcsObject:
    """Generations of Google Cloud Storage; 0 means that the object does not exist."""

    def __init__(self, uri: str) -> None:
        from apache_beam.io.gcp.gcsio import GcsIO

        bucket, _, name = uri.removeprefix("gs://").partition("/")
        self._bucket = GcsIO(pipeline_options=pipeline_options()).client.bucket(bucket)
        self._name = name

    def read(self) -> Content | None:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        for tries_left in reversed(range(_MAX_READS)):
            blob = self._bucket.get_blob(self._name)
            if blob is None:
                return None
            try:
                return Content(blob.download_as_bytes(if_generation_match=blob.generation), str(blob.generation))
            except (NotFound, PreconditionFailed):  # the holder of the lock wrote it between the two requests
                if not tries_left:
                    raise
        raise AssertionError("unreachable")

    def write(self, data: bytes, version: str | None) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        try:
            self._bucket.blob(self._name).upload_from_string(data, if_generation_match=int(version or 0))
        except PreconditionFailed:
            return _holds(self, data)
        return True


class _BeamFile:
    """Any other file system of Beam, without conditional writes."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def read(self) -> Content | None:
        if not FileSystems.exists(self._uri):
            return None
        with storage.open_binary(self._uri) as file:
            data = file.read()
        return Content(data, _digest(data))

    def write(self, data: bytes, version: str | None) -> bool:
        found = self.read()
        if (found and found.version) != version:
            return False
        with FileSystems.create(self._uri, "application/json", CompressionTypes.UNCOMPRESSED) as sink:
            sink.write(data)
        return True


def _holds(file: ConditionalFile, data: bytes) -> bool:
    """Whether a rejected write succeeded: a client repeats a request whose response was lost, and is then rejected."""
    found = file.read()
    return found is not None and found.data == data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
