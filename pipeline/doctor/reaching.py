"""Stores and hub over the network, for --reach: only the hosts that the flags name, all at once, 5 s each."""

from __future__ import annotations

import functools
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import IO

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import ReelbeamError

_SECONDS = 5.0


def check_stores(subject: Subject) -> Finding:
    """Lists the first object below each address, or looks it up."""
    answers = at_once({uri: functools.partial(ask_store, uri, uri == subject.output) for uri in subject.remote})
    return _judged(answers, "an answer of each store", "check the address, the network, the proxy and the permissions")


def check_hub(subject: Subject) -> Finding:
    """Asks the server of a model for its header, and its mirrors; one answer is enough."""
    from reelbeam.transforms.models.registry.resolver import is_cached

    if "://" in (subject.model or ""):
        addresses = [subject.model or ""]
    else:
        spec = subject.spec()
        if is_cached(spec.handle, spec.mirrors):
            return ok(f"{spec.name} is here; no server is asked")
        addresses = [spec.handle, *spec.mirrors]
    answers = at_once({address: functools.partial(ask_server, address) for address in addresses})
    good = [f"{address}: {text}" for address, (is_good, text) in answers.items() if is_good]
    remedy = "check the network and the proxy; or run `reelbeam models export NAME --to DIR` on a machine with network"
    return ok("; ".join(good)) if good else _judged(answers, "an answer of a server of the model", remedy)


def _judged(answers: Mapping[str, tuple[bool, str]], expected: str, remedy: str) -> Finding:
    found = "; ".join(f"{address}: {text.removeprefix(f'{address}: ')}" for address, (_, text) in answers.items())
    return ok(found) if all(is_good for is_good, _ in answers.values()) else Finding("error", found, expected, remedy)


def at_once(
    asked: Mapping[str, Callable[[], tuple[bool, str]]], seconds: float = _SECONDS
) -> dict[str, tuple[bool, str]]:
    """Returns the answers of functions that run at the same time; (False, reason) for one that is late.

    A late thread is left alone: it is a daemon, and stores repeat failed requests for minutes.
    """
    answers: dict[str, tuple[bool, str]] = {}

    def ask(address: str, function: Callable[[], tuple[bool, str]]) -> None:
        try:
            answers[address] = function()
        except (ReelbeamError, OSError, ValueError) as error:
            answers[address] = (False, str(error))

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in asked.items()]
    for thread in threads:
        thread.start()
    stop = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, stop - time.monotonic()))
    return {address: answers.get(address, (False, f"no answer within {seconds:g} s")) for address in asked}


def ask_store(uri: str, is_output: bool) -> tuple[bool, str]:
    """Returns whether a store has something at an address, and says so.

    Args:
      uri: an object, a folder or a pattern.
      is_output: whether it is fine if nothing is there.

    Raises:
      StorageError: the store does not answer, or denies access.
    """
    from reelbeam.transforms import storage

    is_pattern = any(sign in uri for sign in "*?[")
    found = storage.match(uri, 1) or ([] if is_pattern else storage.match(f"{uri.rstrip('/')}/**", 1))
    if found:
        return True, "responds"
    return is_output, "responds; nothing is there yet" if is_output else "responds, but nothing is there"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it may lead to a host that the flags do not name."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> None:
        return None


def ask_server(url: str) -> tuple[bool, str]:
    """Returns whether a server responds to HEAD with less than 400. A redirect counts, and is not followed.

    Raises:
      OSError: it does not respond.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as response:
            return True, f"HTTP {response.status}"
    except urllib.error.HTTPError as error:
        return error.code < 400, f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return False, str(error.reason)
