"""Proxies in the environment, which must not be used for the channels of a run to its own workers."""

from __future__ import annotations

import os

_LOOPBACK = ("localhost", "127.0.0.0/8", "::1/128")
_GRPC_ONLY, _ALL = "no_grpc_proxy", "no_proxy"


def keep_loopback_direct() -> None:
    """Makes gRPC connect to this machine without a proxy.

    gRPC sends even loopback traffic to the proxy in `http_proxy`, `https_proxy` or `grpc_proxy`. `no_grpc_proxy` is its
    own list of exceptions, which replaces `no_proxy`. So the proxy stays in use for every other client: downloads of
    models and requests to object stores.
    """
    listed = os.environ.get(_GRPC_ONLY, os.environ.get(_ALL, ""))
    hosts = [host.strip() for host in listed.split(",") if host.strip()]
    os.environ[_GRPC_ONLY] = ",".join(dict.fromkeys([*hosts, *_LOOPBACK]))
