"""Cache compiled models on disk. Reading one takes a fifth of the time of reading, reshaping and compiling its graph.

    compiled/HASH.blob     32 bytes: SHA-256 of the rest; then OpenVINO's export of the compiled model

HASH covers the model's content, its fixed shapes, the compile options, OpenVINO's version and the CPU. A blob is valid
for one kind of machine only, so it is never part of an exported model. A blob that is damaged, or that OpenVINO
rejects, is rebuilt. A cache that cannot be written costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping

from reelbeam.transforms.models.engines.openvino_import import Compiled, Core, Graph, import_openvino
from reelbeam.transforms.models.registry import cache

_LOGGER = logging.getLogger(__name__)
_FOLDER = "compiled"
_DIGEST_BYTES = 32
# Increment when the content of a blob changes for the same key.
_FORMAT = 1
_DRAFT_SECONDS = 3600
"""An older temporary file was left by a process that died: writing one takes seconds."""


def compile_model(core: Core, key: str, build: Callable[[], Graph], config: Mapping[str, object]) -> Compiled:
    """Returns a model compiled for the CPU, from the cache if possible.

    Args:
      core: OpenVINO's `Core`.
      key: identifies the result of `build`: the model's content and how it was changed.
      build: creates the model to compile; not called if the cache has it.
      config: the compile options.

    Raises:
      RuntimeError: OpenVINO cannot compile the model. Errors of `build` are passed on.
    """
    name = _name(core, key, config)
    for root in cache.folders(_FOLDER):
        blob = _read(root / name)
        if blob is not None:
            try:
                return core.import_model(blob, "CPU", dict(config))
            except RuntimeError as error:
                _LOGGER.warning("Compiling again: OpenVINO cannot read %s: %s", root / name, error)
    compiled = core.compile_model(build(), "CPU", dict(config))
    _write(name, compiled)
    return compiled


def _name(core: Core, key: str, config: Mapping[str, object]) -> str:
    openvino = import_openvino()
    machine = [str(core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    facts = [str(_FORMAT), openvino.get_version(), *machine, str(sorted(config.items())), key]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:40] + ".blob"


def _read(path: pathlib.Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    blob = content[_DIGEST_BYTES:]
    if hashlib.sha256(blob).digest() == content[:_DIGEST_BYTES]:
        return blob
    _LOGGER.warning("Compiling again: %s is damaged", path)
    return None


def _write(name: str, compiled: Compiled) -> None:
    try:
        blob = compiled.export_model().getvalue()
        folder = cache.writable_folder(_FOLDER)
        _remove_remains(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{name}.", suffix=".tmp", delete=False) as draft:
            try:
                draft.write(hashlib.sha256(blob).digest() + blob)
                draft.flush()
                os.chmod(draft.name, 0o644)  # noqa: PTH101  # readable by other users of the cache, as its other files
                os.replace(draft.name, folder / name)  # noqa: PTH105
            finally:
                pathlib.Path(draft.name).unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        _LOGGER.warning("Cannot cache the compiled model: %s", error)


def _remove_remains(folder: pathlib.Path) -> None:
    for draft in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if time.time() - draft.stat().st_mtime > _DRAFT_SECONDS:
                draft.unlink()
