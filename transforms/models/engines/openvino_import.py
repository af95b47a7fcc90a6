"""The one place that imports OpenVINO, without its telemetry.

`import openvino` starts a process that posts to an analytics server, from a program that has threads. OpenVINO uses a
stub of its own where the package `openvino_telemetry` cannot be imported.
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
    """Returns the module `openvino`. Its first import contacts nobody and starts no process."""
    with _lock:
        known = sys.modules.get(_TELEMETRY)
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # Python's way to make an import fail
        try:
            return importlib.import_module("openvino")
        finally:
            if known is None:
                del sys.modules[_TELEMETRY]
            else:
                sys.modules[_TELEMETRY] = known
