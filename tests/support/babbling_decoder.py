"""A decoder process that a hostile file has taken over: it responds with the line that it is given.

python -m babbling_decoder CONTROL LIVENESS

The file that it is asked about holds the answer as a Python literal: bytes; or a list of them, to be sent for ever.
"""

from __future__ import annotations

import ast
import pathlib
import socket
import threading

from reelbeam.transforms.media.sandbox import confinement, fork_server, protocol


def babble(end: int, ring: int, bounds: confinement.Bounds, parent: int) -> None:
    """Responds with the content of the file that it should decode."""
    channel_end = socket.socket(fileno=end)
    channel = protocol.Channel(channel_end)
    channel.send({"ready": True, "confined_by": ["seccomp"]})
    while (request := channel.receive(with_descriptors=True)) is not None:
        if "probe" in request or "decode" in request:
            script = pathlib.Path(request.get("probe") or request["decode"]).read_text("utf-8")
            answer = ast.literal_eval(script)
            if isinstance(answer, list):
                _flood(channel_end, b"".join(answer))
            channel_end.sendall(answer)


def _flood(end: socket.socket, line: bytes) -> None:
    """Sends a line forever, faster than the parent reads it; drops the responses."""

    def drop_all() -> None:
        while end.recv(1 << 16):
            pass

    threading.Thread(target=drop_all, daemon=True).start()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)  # so that there is always something to be read
    while True:
        end.sendall(line * 10_000)


if __name__ == "__main__":
    fork_server.run(babble)
