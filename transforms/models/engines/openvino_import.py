"""Import OpenVINO without its telemetry. No other module imports it directly.

`import openvino` starts a process that posts to an analytics server, from a program with threads. OpenVINO uses its
own stub if the package `openvino_telemetry` cannot be imported.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any, TypeAlias

# OpenVINO's objects, by what they are. Without an import of the library, its types cannot be named.
Core: TypeAlias = Any
Graph: TypeAlias = Any
Compiled: TypeAlias = Any
Request: TypeAlias = Any
Port: TypeAlias = Any

_TELEMETRY = "openvino_telemetry"
_lock = threading.Lock()


def import_openvino() -> Any:
    """Returns the module `openvino`. Its first import uses no network and starts no process."""
    with _lock:
        known = sys.modules.get(_TELEMETRY)
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # makes Python's import of it fail
        try:
            return importlib.import_module("openvino")
        finally:
            if known is None:
                del sys.modules[_TELEMETRY]
            else:
                sys.modules[_TELEMETRY] = known
