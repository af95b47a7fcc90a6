"""Check a SavedModel by its files alone, without TensorFlow."""

from __future__ import annotations

import hashlib
import mmap
import pathlib
import re

from reelbeam.transforms.models.registry.foreign import GRAPH_FILES, kind_of
from reelbeam.transforms.models.registry.plain_files import open_plain, special_file

_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_MAX_FILE_BYTES = 16 << 30
# Operations that hold a variable, as named in the serialized graph.
_VARIABLE_OPS = (b"VarHandleOp", b"VariableV2")


def fault(folder: pathlib.Path) -> str | None:
    """Returns why a folder cannot be loaded as a SavedModel, as the end of a sentence; None if it can.

    Detects what no loader may open, such as a FIFO, and an interrupted copy: a missing graph, missing variables
    although the graph has some, or missing shards.
    Damage inside a file is left to the loader.
    """
    if any((folder / name).exists() for name in GRAPH_FILES) and (special := special_file(folder)):
        return f"holds {special}, which is not a regular file"
    graph = _graph_file(folder)
    if graph is None:
        return f"holds no saved_model.pb{_hint(folder)}"
    variables = folder / "variables"
    if not (variables / "variables.index").is_file():
        return "lacks variables/variables.index, which its graph needs" if _has_variables(graph) else None
    return _missing_shard(variables)


def _hint(folder: pathlib.Path) -> str:
    nested = next((child.parent for name in GRAPH_FILES for child in sorted(folder.glob(f"*/{name}"))), None)
    if nested is not None:
        return f" (its subfolder {nested.name} has one: pass that)"
    others = ((path.name, kind_of(path.name)) for path in sorted(folder.glob("*")) if path.name not in GRAPH_FILES)
    return next((f" (its {name} is {kind})" for name, kind in others if kind), "")


def content_hash(folder: pathlib.Path) -> str:
    """Returns the hex SHA-256 of the graph and the variables: equal for equal models, independent of their location.

    Raises:
      OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in [folder / name for name in GRAPH_FILES] + sorted((folder / "variables").glob("variables.*")):
        if path.is_file():
            digest.update(f"{path.name}:{file_hash(path)}\n".encode())
    return digest.hexdigest()


def file_hash(path: pathlib.Path) -> str:
    """Returns the hex SHA-256 of a file's content.

    Raises:
      NotPlainError: it is not a regular file.
      OSError: the file cannot be read.
    """
    with open_plain(path, _MAX_FILE_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _graph_file(folder: pathlib.Path) -> pathlib.Path | None:
    for name in GRAPH_FILES:
        path = folder / name
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None


def _has_variables(graph: pathlib.Path) -> bool:
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(name) >= 0 for name in _VARIABLE_OPS)


def _missing_shard(variables: pathlib.Path) -> str | None:
    shards = [match for path in variables.iterdir() if (match := _SHARD.fullmatch(path.name))]
    if not shards:
        return "lacks variables/variables.data-*, which its graph needs"
    present = {int(match[1]) for match in shards}
    count = int(shards[0][2])
    missing = sorted(set(range(count)) - present)
    return f"lacks variables/variables.data-{missing[0]:05}-of-{count:05}" if missing else None
