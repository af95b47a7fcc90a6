"""A proxy in front of a server on loopback that fails as networks do."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any


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
    """An HTTP proxy for one server: counts requests, and fails those that a test chooses.

    Attributes:
      url: where it listens.
      requests: what came, in order.
      fault: returns the action for a request: "" pass it on, "reset" cut the connection instead, "lost" pass it on
        and cut the connection before the answer, "cut" in the middle of its body, "short" end the body early as if it
        were whole, "slow" send it by bits, or a status.
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

    def own_answer(self, path: str) -> bytes | None:
        """Returns the JSON that the proxy answers by itself; None where the server does."""
        return None

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
        own = self.own_answer(handler.path)
        if fault.isdigit() or own is not None:
            handler.send_response(int(fault or 200))
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(own or b"")))
            handler.end_headers()
            handler.wfile.write(own or b"")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=30)
        with contextlib.closing(connection):
            headers = {name: value for name, value in handler.headers.items() if name.lower() != "content-length"}
            connection.request(handler.command, handler.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            data = answer.read()
        if fault == "lost":
            _reset(handler)
            return
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
