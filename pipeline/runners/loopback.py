"""gRPC servers for this process only: they listen on loopback and require a random key with each call.

Beam's local runner communicates with its worker threads through gRPC. Access to these services allows a caller to read
files as this user and to run code in this process. Each server has its own key, so a process that takes over the port
of a stopped server does not learn the key of another.
"""

from __future__ import annotations

import collections
import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import NamedTuple, NoReturn, TypeAlias

import grpc

_KEY_HEADER = "reelbeam-key"
_ADDRESSES = ("127.0.0.1", "[::1]")
# Another process of the same user cannot share the port, and a proxy in the environment does not see the key.
_SERVER_OPTIONS = [("grpc.so_reuseport", 0)]
_CHANNEL_OPTIONS = [("grpc.enable_http_proxy", 0)]


_Options: TypeAlias = Sequence[tuple[str, object]]


class _Door(NamedTuple):
    """The address of a server of this process, and the key that it requires."""

    address: str
    key: str


_doors: dict[str, _Door] = {}
"""The servers of this process, by the address that Beam gives to clients: localhost and the port."""


def guarded_server(pool: futures.Executor, options: _Options | None = None) -> grpc.Server:
    """Returns a `grpc.Server` that listens on loopback, whatever address is requested, and requires a key."""
    return _GuardedServer(pool, list(options or ()))


def local_server(pool: futures.Executor, options: _Options | None = None) -> grpc.Server:
    """Returns a `grpc.Server` that listens on loopback and accepts every process of this machine."""
    return _GuardedServer(pool, list(options or ()), is_open=True)


def channel_to(target: str, options: _Options | None = None) -> grpc.Channel | None:
    """Returns a channel to a guarded server of this process that sends its key; None for any other target."""
    door = _doors.get(target)
    if door is None:
        return None
    channel = grpc.insecure_channel(door.address, [*(options or ()), *_CHANNEL_OPTIONS])
    return grpc.intercept_channel(channel, _SendKey(door.key))


class _GuardedServer:
    """Delegates to a gRPC server, except for the address that it listens on."""

    def __init__(self, pool: futures.Executor, options: _Options, is_open: bool = False) -> None:
        self._is_open = is_open
        self._key = secrets.token_urlsafe(32)
        interceptors = [] if is_open else [_DemandKey(self._key)]
        self._server = grpc.server(pool, interceptors=interceptors, options=[*options, *_SERVER_OPTIONS])
        self._targets: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._server, name)

    def add_insecure_port(self, address: str) -> int:
        """Listens on a loopback port and returns it; uses only the port of `address`. Raises RuntimeError."""
        port = address.rpartition(":")[2]
        for host in _ADDRESSES:
            try:
                bound = self._server.add_insecure_port(f"{host}:{port}")
                break
            except RuntimeError:
                if host == _ADDRESSES[-1]:
                    raise
        if not self._is_open:
            target = f"localhost:{bound}"
            _doors[target] = _Door(f"{host}:{bound}", self._key)
            self._targets.append(target)
        return bound

    def stop(self, grace: float | None) -> threading.Event:
        """Stops the server, see `grpc.Server.stop`; new channels do not get its key any more."""
        for target in self._targets:
            _doors.pop(target, None)
        return self._server.stop(grace)


class _DemandKey(grpc.ServerInterceptor):
    """Rejects calls without the key before any of their messages is read."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        # A handler for streams reads no message before its function asks for one.
        self._refusal = grpc.stream_stream_rpc_method_handler(_refuse)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        given = [value for name, value in handler_call_details.invocation_metadata if name == _KEY_HEADER]
        if len(given) != 1 or not hmac.compare_digest(_to_bytes(given[0]), self._key):
            return self._refusal
        return continuation(handler_call_details)


def _to_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _refuse(requests: object, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "this server belongs to one process of Reelbeam")
    raise AssertionError("abort raises")


class _CallDetails(
    collections.namedtuple(
        "_CallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
    ),
    grpc.ClientCallDetails,
):
    """The attributes of a gRPC call before it is sent."""


class _SendKey(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the key to the metadata of each call."""

    def __init__(self, key: str) -> None:
        self._header = (_KEY_HEADER, key)

    def _send(
        self,
        continuation: Callable[[grpc.ClientCallDetails, object], object],
        details: grpc.ClientCallDetails,
        request: object,
    ) -> object:
        with_key = _CallDetails(
            details.method,
            details.timeout,
            [*(details.metadata or ()), self._header],
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )
        return continuation(with_key, request)

    intercept_unary_unary = intercept_unary_stream = _send
    intercept_stream_unary = intercept_stream_stream = _send
