"""Object stores on loopback, and a proxy in front of them that fails as networks do."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.conditional_files import conditional_file

BUCKET = "corpus"
_KEY, _SECRET, _REGION = "test-key", "test-secret", "us-east-1"


@dataclasses.dataclass
class Request:
    """One request as the proxy saw it.

    Attributes:
      method, path: its first line.
      range: bytes that it asked for, as text; "" for all.
      num_bytes: of the answer's body, as sent on.
      fault: what the proxy did to it; "" for nothing.
    """

    method: str
    path: str
    range: str = ""
    num_bytes: int = 0
    fault: str = ""


class FaultyProxy:
    """An HTTP proxy for one server: counts what goes through, and fails where it is told to.

    Attributes:
      url: where it listens.
      requests: what came, in order.
      fault: given each request, tells what to do: "" pass it on, "reset" cut the connection before an answer, "cut" in
        the middle of the body, "short" end the body early as if it were whole, "slow" send it by bits, or a status.
    """

    def __init__(self, port: int) -> None:
        self.requests: list[Request] = []
        self.fault: Callable[[Request], str] = lambda request: ""
        self._upstream = port
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def bytes_of(self, key: str) -> int:
        """Returns how many bytes of an object have been sent."""
        return sum(r.num_bytes for r in self.requests if r.method == "GET" and r.path.split("?")[0].endswith("/" + key))

    def faults(self) -> list[str]:
        """Returns what was done to requests, for those to which something was done."""
        return [request.fault for request in self.requests if request.fault]

    def amended(self, path: str, body: bytes) -> bytes:
        """Returns the body that the server gets for one that came."""
        return body

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy._pass_on(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _pass_on(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        request = Request(handler.command, handler.path, handler.headers.get("Range", ""))
        self.requests.append(request)
        request.fault = fault = self.fault(request)
        came = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = self.amended(handler.path, came)
        if fault == "reset":
            _reset(handler)
            return
        if fault.isdigit():
            handler.send_response(int(fault))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        connection = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=30)
        with contextlib.closing(connection):
            headers = {name: value for name, value in handler.headers.items() if name.lower() != "content-length"}
            connection.request(handler.command, handler.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            data = answer.read()
        if fault == "short":
            data = data[: len(data) // 2]
        length = answer.headers["Content-Length"] if handler.command == "HEAD" else str(len(data))
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", length)
        handler.end_headers()
        request.num_bytes = len(data)
        if fault == "cut":
            handler.wfile.write(data[: len(data) // 2])
            _reset(handler)
            return
        for start in range(0, len(data), 1 << 20 if fault != "slow" else -(-len(data) // 5)):
            handler.wfile.write(data[start : start + (1 << 20 if fault != "slow" else -(-len(data) // 5))])
            time.sleep(0.05 if fault == "slow" else 0)


def _reset(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Ends the connection as a router does that forgot it: RST, no farewell."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


class S3Server:
    """moto's server: S3's protocol over HTTP, objects in memory.

    Attributes:
      url: where it listens.
      port: likewise.
      client: a boto3 client for it, with an empty bucket called BUCKET.
    """

    def __init__(self) -> None:
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
        self._server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=_REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
        )
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; returns its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def clear(self) -> None:
        """Removes all objects."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
            if keys:
                self.client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})

    def close(self) -> None:
        """Ends the server."""
        self._server.stop()


def s3_flags(url: str) -> list[str]:
    """Returns Beam's flags for a server."""
    return [
        f"--s3_endpoint_url={url}",
        f"--s3_region_name={_REGION}",
        f"--s3_access_key_id={_KEY}",
        f"--s3_secret_access_key={_SECRET}",
    ]


@contextlib.contextmanager
def used_by_beam(flags: list[str]) -> Iterator[None]:
    """Lets Beam's file systems, and ours, use what these flags say."""
    earlier = FileSystems._pipeline_options
    FileSystems.set_options(PipelineOptions(flags))
    try:
        yield
    finally:
        FileSystems.set_options(earlier)


def check_conditions(uri: str, other_version: str) -> None:
    """Asserts what every kind of store must hold to; `other_version` is one that the file never has."""
    file = conditional_file(uri)
    assert file.read() is None
    assert not file.write(b"0", other_version)
    assert file.write(b"1", None)
    assert not file.write(b"2", None)
    first = file.read()
    assert first is not None and first.data == b"1"
    assert file.write(b"3", first.version)
    assert not file.write(b"4", first.version)
    found = file.read()
    assert found is not None and found.data == b"3"
