"""A decoder process that a hostile file has taken over: it answers each request with the line it is given.

python -m babbling_decoder SOCKET RING LIVENESS MEMORY_BYTES        the answer: BABBLE of the next line's file name
"""

from __future__ import annotations

import ast
import pathlib
import socket
import sys

from transforms.media import wire


def main() -> None:
    """Answers with what stands in the file that it is asked about, line by line."""
    end = socket.socket(fileno=int(sys.argv[1]))
    channel = wire.Channel(end)
    channel.send({"ready": True})
    while (request := channel.receive(with_descriptors=True)) is not None:
        if "probe" in request or "decode" in request:
            script = pathlib.Path(request.get("probe") or request["decode"]).read_text("utf-8")
            end.sendall(ast.literal_eval(script))


if __name__ == "__main__":
    main()
