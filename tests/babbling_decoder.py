"""A decoder process that a hostile file has taken over: it answers each request with the line it is given.

python -m babbling_decoder SOCKET RING LIVENESS MEMORY_BYTES

The file that it is asked about holds the answer as a Python literal: bytes; or a list of them, to be sent for ever.
"""

from __future__ import annotations

import ast
import pathlib
import socket
import sys
import threading

from transforms.media import wire


def main() -> None:
    """Answers with what stands in the file that it is asked about."""
    end = socket.socket(fileno=int(sys.argv[1]))
    channel = wire.Channel(end)
    channel.send({"ready": True})
    while (request := channel.receive(with_descriptors=True)) is not None:
        if "probe" in request or "decode" in request:
            script = pathlib.Path(request.get("probe") or request["decode"]).read_text("utf-8")
            answer = ast.literal_eval(script)
            if isinstance(answer, list):
                _flood(end, b"".join(answer))
            end.sendall(answer)


def _flood(end: socket.socket, line: bytes) -> None:
    """Sends a line for ever, faster than anybody reads it; drops what comes back."""

    def drop_all() -> None:
        while end.recv(1 << 16):
            pass

    threading.Thread(target=drop_all, daemon=True).start()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)  # so that there is always something to be read
    while True:
        end.sendall(line * 10_000)


if __name__ == "__main__":
    main()
