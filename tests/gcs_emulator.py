"""Google Cloud Storage on loopback: fake-gcs-server, built with Go once, behind a proxy that fails as networks do."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
from typing import Any

import processes
from object_stores import BUCKET, FaultyProxy

_MODULE, _VERSION = "github.com/fsouza/fake-gcs-server", "v1.52.3"
_PROGRAM = _MODULE.rpartition("/")[2]


class MissingError(Exception):
    """The emulator is not on this machine and cannot be built; the message says what to do."""


def program() -> str:
    """Returns the path of the emulator: that of the PATH, or one that is built now, once, into the user's cache.

    Raises:
      MissingError: there is no Go, or it could not get or build the module (four minutes on 2 cores, 1 GB).
    """
    found = shutil.which(_PROGRAM)
    if found:
        return found
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "reelbeam"
    built = cache / f"{_PROGRAM}-{_VERSION}"
    if not built.is_file():
        go = shutil.which("go")
        if go is None:
            raise MissingError(f"no {_PROGRAM} on the PATH, and no `go` to build it with")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            command, places = [go, "install", f"{_MODULE}@{_VERSION}"], {**os.environ, "GOBIN": scratch}
            done = subprocess.run(command, env=places, cwd=scratch, capture_output=True, text=True)
            if done.returncode:
                raise MissingError(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
            pathlib.Path(scratch, _PROGRAM).replace(built)
    return str(built)


class GcsProxy(FaultyProxy):
    """Before the emulator, which leaves out of a batch what has no Content-ID; Google's clients send none."""

    def amended(self, path: str, body: bytes) -> bytes:
        """See `FaultyProxy`."""
        if not path.startswith("/batch/"):
            return body
        return re.sub(rb"(?m)^Content-Type: application/http\r?\n", rb"\g<0>Content-ID: <of-a-batch>\n", body)


class GcsServer:
    """The emulator, objects in memory.

    Attributes:
      proxy: before it; clients talk to this alone.
      bucket: the client library's, empty, called BUCKET.
    """

    def __init__(self, path: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.proxy = GcsProxy(port)
        flags = [
            "-backend=memory",
            "-scheme=http",
            "-host=127.0.0.1",
            f"-port={port}",
            f"-external-url={self.proxy.url}",
        ]
        self._process = subprocess.Popen([path, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.wait_until(lambda: _listens(port))
        self.bucket = self._client().create_bucket(BUCKET)

    def _client(self) -> Any:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        where = {"api_endpoint": self.proxy.url}
        return Client(project="test", credentials=AnonymousCredentials(), client_options=where)

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; returns its URI."""
        self.bucket.blob(key).upload_from_string(data)
        return f"gs://{BUCKET}/{key}"

    def clear(self) -> None:
        """Removes all objects, and mends the proxy."""
        self.proxy.fault = lambda request: ""
        self.proxy.requests.clear()
        for blob in self.bucket.list_blobs():
            blob.delete()

    def close(self) -> None:
        """Ends the server."""
        self._process.kill()
        self._process.wait()
        self.proxy.close()


def _listens(port: int) -> bool:
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0
