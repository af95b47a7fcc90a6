"""Keep Beam and Arrow from importing optional modules that a command does not use, which takes a second.

Beam imports the client library of every store that is installed, and pandas, as Arrow does. For them, a module that is
left out here is one that is not installed. Beam's file systems are imported later if a remote URI needs them.

This imports nothing else of the package, because it must precede Beam and Arrow.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import sys
import threading
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

UNUSED = ("pandas",)
"""Modules that no command uses."""

SERVICES = ("apache_beam.io.gcp.bigquery", "google.cloud.dataflow", "google.cloud.pubsub")
"""Modules that only a job on Dataflow uses."""

FILE_SYSTEMS = (
    "apache_beam.io.aws.s3filesystem",
    "apache_beam.io.azure.blobstoragefilesystem",
    "apache_beam.io.gcp.gcsfilesystem",
    "apache_beam.io.hadoopfilesystem",
)
"""Beam's file systems for remote URIs, with their client libraries."""

_loading = threading.Lock()


class _LeftOut(importlib.abc.MetaPathFinder):
    """Raises ModuleNotFoundError for some modules, as Python does for modules that are not installed."""

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self.names:
            raise ModuleNotFoundError(f"{fullname} is not used by this command", name=fullname)
        return None


_left_out = _LeftOut()


def leave_out(modules: Iterable[str]) -> None:
    """Keeps modules from being imported, unless they are already. Holds for the rest of the process."""
    if _left_out not in sys.meta_path:
        sys.meta_path.insert(0, _left_out)
    _left_out.names |= frozenset(modules)


def load_file_systems() -> None:
    """Imports Beam's file systems if they were left out."""
    with _loading:
        if _left_out.names.isdisjoint(FILE_SYSTEMS):
            return
        _left_out.names -= frozenset(FILE_SYSTEMS)
        for name in FILE_SYSTEMS:
            with contextlib.suppress(ImportError):  # its client library is not installed
                importlib.import_module(name)
