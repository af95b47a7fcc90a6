"""Google Cloud Storage on loopback: fake-gcs-server, built with Go once, behind a proxy that fails as networks do."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
from typing import Any

import processes
from faulty_proxy import FaultyProxy
from object_stores import BUCKET

from reelbeam.transforms.storage import ObjectInfo

_MODULE, _VERSION = "github.com/fsouza/fake-gcs-server", "v1.52.3"
_BUILD_SECONDS = 900
_TOKEN = "/token"
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
        _build(built)
    return str(built)


def _build(target: pathlib.Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise MissingError(f"no {_PROGRAM} on the PATH, and no `go` to build it with")
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "install", f"{_MODULE}@{_VERSION}"]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        environment = {**os.environ, "GOBIN": scratch}
        try:
            subprocess.run(
                command, env=environment, cwd=scratch, capture_output=True, check=True, timeout=_BUILD_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise MissingError(f"{error} {error.stderr.decode()}") from error
        except subprocess.TimeoutExpired as error:
            raise MissingError(str(error)) from error
        pathlib.Path(scratch, _PROGRAM).replace(target)


class GcsProxy(FaultyProxy):
    """Gives tokens, which the emulator does not, and each part of a batch the Content-ID that it wants.

    Google's service does without; its Python client sends none.
    """

    def amended(self, path: str, body: bytes) -> bytes:
        """See `FaultyProxy`."""
        if not path.startswith("/batch/"):
            return body
        return re.sub(rb"(?m)^Content-Type: application/http\r?\n", rb"\g<0>Content-ID: <of-a-batch>\n", body)

    def own_answer(self, path: str) -> bytes | None:
        """See `FaultyProxy`."""
        return b'{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}' if path == _TOKEN else None


class GcsServer:
    """The emulator, objects in memory.

    Attributes:
      uri: of the bucket, which is empty.
      proxy: before it; clients talk to this alone.
      bucket: the client library's.
      environment: what a program needs to use it: where it is, and credentials, for which Beam otherwise looks for
        20 seconds before it goes on without.
    """

    uri = f"gs://{BUCKET}"

    def __init__(self, path: str, folder: pathlib.Path) -> None:
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
        key = folder / "service-account.json"
        key.write_text(json.dumps(service_account(self.proxy.url + _TOKEN)))
        self.environment = {"STORAGE_EMULATOR_HOST": self.proxy.url, "GOOGLE_APPLICATION_CREDENTIALS": str(key)}
        self.bucket = self._client().create_bucket(BUCKET)

    def _client(self) -> Any:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        where = {"api_endpoint": self.proxy.url}
        return Client(project="test", credentials=AnonymousCredentials(), client_options=where)

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; returns its URI."""
        self.bucket.blob(key).upload_from_string(data)
        return f"{self.uri}/{key}"

    def get(self, key: str) -> bytes:
        """Returns what an object holds."""
        data: bytes = self.bucket.blob(key).download_as_bytes()
        return data

    def delete(self, key: str) -> None:
        """Removes an object."""
        self.bucket.delete_blob(key)

    def objects(self, prefix: str) -> list[ObjectInfo]:
        """Returns the entries of a listing, without times."""
        found = self.bucket.list_blobs(prefix=prefix)
        return [ObjectInfo(f"{self.uri}/{blob.name}", blob.size, f"generation:{blob.generation}") for blob in found]

    def clear(self) -> None:
        """Removes all objects, and mends the proxy."""
        self.proxy.fault = lambda request: ""
        self.proxy.requests.clear()
        for found in self.objects(""):
            self.delete(found.uri.removeprefix(f"{self.uri}/"))

    def close(self) -> None:
        """Ends the server."""
        self._process.kill()
        self._process.wait()
        self.proxy.close()


def service_account(token_uri: str) -> dict[str, str]:
    """Returns the key file of an account that does not exist, whose tokens come from `token_uri`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    names = {"type": "service_account", "project_id": "test", "client_email": "test@localhost", "private_key_id": "1"}
    return {**names, "private_key": key.decode(), "token_uri": token_uri}


def _listens(port: int) -> bool:
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0
