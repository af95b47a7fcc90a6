"""A model server on loopback that answers the way TensorFlow Hub does, and archives of a model for it."""

from __future__ import annotations

import http.server
import io
import os
import pathlib
import tarfile
import threading
import urllib.parse
import zipfile
from collections.abc import Callable
from typing import Literal

FILES = {
    "saved_model.pb": b"graph with VarHandleOp " + bytes(range(256)) * 40,
    "variables/variables.index": b"index",
    # Random bytes, so that the compressed archive is as long and can be cut inside.
    "variables/variables.data-00000-of-00001": os.urandom(200_000),
}


def make_folder(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def make_archive(files: dict[str, bytes], mode: Literal["w:gz", "w"] = "w:gz") -> bytes:
    """A tar file in the hub's compressed form: the folder's content at the archive's root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for folder in sorted({str(pathlib.PurePath(name).parent) for name in files}):
            entry = tarfile.TarInfo(f"./{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


def whole(body: bytes) -> Reply:
    return cut(body, len(body))


def cut(body: bytes, sent: int, announce_length: bool = True) -> Reply:
    def reply(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if announce_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:sent])

    return reply


def status(code: int) -> Reply:
    return lambda request: request.send_error(code)


def redirect(path: str) -> Reply:
    def reply(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", path)
        request.end_headers()

    return reply


class Hub:
    """A model server. `serve` says what a path answers, in order; the last answer repeats."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._replies: dict[str, list[Reply]] = {}
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.requests.append(self.path)
                parts = urllib.parse.urlsplit(self.path)
                replies = hub._replies.get(parts.path)
                if replies is None or ("tf-hub-format", "compressed") not in urllib.parse.parse_qsl(parts.query):
                    self.send_error(404)
                    return
                (replies.pop(0) if len(replies) > 1 else replies[0])(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def serve(self, path: str, *replies: Reply) -> str:
        self._replies[path] = list(replies)
        return f"{self.url}{path}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def content(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def remains(hub_cache: pathlib.Path) -> list[str]:
    return sorted(path.name for path in hub_cache.iterdir()) if hub_cache.exists() else []
