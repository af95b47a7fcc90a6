"""Guarded servers: who may connect, where they listen, and where the key is passed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from reelbeam.pipeline.runners import loopback

HEADER = "reelbeam-key"


class Echo(grpc.GenericRpcHandler):
    """Answers everything, and counts the messages that it has read."""

    def __init__(self) -> None:
        self.num_read = 0

    def service(self, details: Any) -> Any:
        kinds = {
            "/e/uu": grpc.unary_unary_rpc_method_handler(lambda request, _: request, self._read),
            "/e/us": grpc.unary_stream_rpc_method_handler(lambda request, _: iter([request]), self._read),
            "/e/su": grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests), self._read),
            "/e/ss": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests, self._read),
        }
        return kinds.get(details.method)

    def _read(self, data: bytes) -> bytes:
        self.num_read += 1
        return data


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def port(echo: Echo) -> Iterator[int]:
    server = loopback.guarded_server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([echo])
    port = server.add_insecure_port("[::]:0")
    server.start()
    yield port
    server.stop(None).wait()


def call_all(channel: grpc.Channel, metadata: list[tuple[str, str]] | None = None) -> list[bytes]:
    options: dict[str, Any] = {"metadata": metadata, "timeout": 20}
    return [
        channel.unary_unary("/e/uu")(b"a", **options),
        *channel.unary_stream("/e/us")(b"b", **options),
        channel.stream_unary("/e/su")(iter([b"c", b"d"]), **options),
        *channel.stream_stream("/e/ss")(iter([b"e", b"f"]), **options),
    ]


def test_a_channel_of_this_process_is_let_in_by_every_kind_of_call(port: int, echo: Echo) -> None:
    channel = loopback.channel_to(f"localhost:{port}")
    assert channel is not None
    assert call_all(channel) == [b"a", b"b", b"cd", b"e", b"f"]
    assert call_all(channel, [("worker_id", "1")]) == [b"a", b"b", b"cd", b"e", b"f"]
    assert echo.num_read == 12
    channel.close()


@pytest.mark.parametrize("keys", [[], [""], ["wrong"], ["é"], ["x" * 5000], ["a", "b"]])
@pytest.mark.parametrize("method", ["uu", "us", "su", "ss", "nothing"])
def test_a_stranger_is_refused_before_a_message_is_read(port: int, echo: Echo, keys: list[str], method: str) -> None:
    name = f"{HEADER}-bin" if keys == ["é"] else HEADER
    metadata = [(name, key.encode() if name.endswith("-bin") else key) for key in keys]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
        next(channel.stream_stream(f"/e/{method}")(iter([b"x"]), metadata=metadata, timeout=20))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == "this server belongs to one process of Reelbeam"
    assert echo.num_read == 0


def test_a_key_opens_its_own_server_only(port: int) -> None:
    other = loopback.guarded_server(futures.ThreadPoolExecutor(1))
    other_port = other.add_insecure_port("0.0.0.0:0")
    key = loopback._doors[f"localhost:{other_port}"].key
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
        call_all(channel, [(HEADER, key)])
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    other.stop(None)
    assert loopback.channel_to(f"localhost:{other_port}") is None, "a stopped server's key goes nowhere"


def test_the_key_goes_to_no_other_address(port: int) -> None:
    # "localhost" may be ::1 as well, where another process can listen on the same port.
    door = loopback._doors[f"localhost:{port}"]
    assert door.address == f"127.0.0.1:{port}"
    for target in (f"127.0.0.2:{port}", "localhost:1", f"example.com:{port}"):
        assert loopback.channel_to(target) is None


def test_no_other_process_can_listen_on_the_port(port: int) -> None:
    with socket.socket() as other, pytest.raises(OSError):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
