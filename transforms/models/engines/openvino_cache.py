"""Cache converted models on disk, so that only the first worker on a machine converts a model.

    openvino/HASH/model.xml, model.bin    the model with unknown sizes, float32 weights
    openvino/HASH/init.xml, init.bin      for a Stream model: creates its states
    openvino/HASH/sha256.json             digests of all files; a damaged model is converted again, never run

HASH covers the SavedModel's content and OpenVINO's version. See `cache.made_once` for how a folder is created.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pathlib
import shutil
import tempfile

from reelbeam.transforms.errors import ModelError, SignatureError
from reelbeam.transforms.models.engines.openvino_import import Core, Graph, import_openvino
from reelbeam.transforms.models.engines.signature_defs import serve
from reelbeam.transforms.models.engines.stream import StreamSignatures
from reelbeam.transforms.models.registry import cache, saved_model
from reelbeam.transforms.models.registry.manifest import MANIFEST, is_exported

_LOGGER = logging.getLogger(__name__)
MODEL, INIT = "model", "init"
NEXT_STATE = "next/"
"""The prefix of a Stream model's outputs, because an output state has the same name as its input state."""

_DIGESTS = "sha256.json"
# Increment when the conversion changes: older conversions are then ignored.
_FORMAT = 1


def read_converted(core: Core, folder: pathlib.Path, stream: StreamSignatures | None = None) -> dict[str, Graph]:
    """Returns a model as OpenVINO models with unknown sizes. Converts it if the cache does not have it.

    Args:
      core: OpenVINO's `Core`.
      folder: the SavedModel, or an exported model.
      stream: the signatures of a Stream model; None reads `serving_default`.

    Returns:
      The model as MODEL; for a Stream model, the model that creates its states as INIT.

    Raises:
      ModelError: OpenVINO cannot convert the model, or the disk has no room for the result.
    """
    try:
        converted = folder if is_exported(folder) else _converted(core, folder, stream)
        return {part: core.read_model(converted / f"{part}.xml") for part in _parts(stream)}
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot convert {folder}: {error}; try --engine tensorflow") from error
    except OSError as error:
        raise ModelError(
            f"cannot keep the converted {folder}: {error}; free the disk or set {cache.ROOT_VARIABLE}"
        ) from error


def copy_converted(folder: pathlib.Path, target: pathlib.Path, stream: StreamSignatures | None = None) -> int:
    """Copies a SavedModel's conversion into an existing folder, and returns the model's number of classes.

    Raises:
      ModelError: as in `read_converted`; or the number of classes is not fixed.
      OSError: the folder cannot be written.
    """
    openvino = import_openvino()
    core = openvino.Core()
    model = read_converted(core, folder, stream)[MODEL]
    converted = folder if is_exported(folder) else _converted(core, folder, stream)
    for part in _parts(stream):
        for suffix in (".xml", ".bin"):
            shutil.copyfile(converted / f"{part}{suffix}", target / f"{part}{suffix}")
    if stream:
        return stream.num_classes
    classes = model.output(0).get_partial_shape()[-1]
    if classes.is_dynamic:
        raise SignatureError(f"cannot run {folder}: the number of classes is not fixed")
    return int(classes.get_length())


def identity(folder: pathlib.Path, stream: StreamSignatures | None = None) -> str:
    """Returns an identifier of this conversion: equal for equal models that are converted in the same way.

    Raises:
      OSError: a file of the model cannot be read.
    """
    # The manifest has the digest of every file of an exported model.
    return saved_model.file_hash(folder / MANIFEST) if is_exported(folder) else _cache_name(folder, stream)


def is_sound(converted: pathlib.Path) -> bool:
    """Returns whether a folder holds a complete, undamaged conversion."""
    try:
        digests = json.loads((converted / _DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and all(saved_model.file_hash(converted / name) == digests[name] for name in digests)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def write_converted(core: Core, folder: pathlib.Path, target: pathlib.Path, stream: StreamSignatures | None) -> None:
    """Converts a SavedModel into an existing folder.

    Raises:
      RuntimeError: OpenVINO cannot convert it.
      OSError: the folder cannot be written.
    """
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(prefix="reelbeam-served-") as served:
        sources = {MODEL: folder}
        if stream:
            sources = {MODEL: pathlib.Path(served) / MODEL, INIT: pathlib.Path(served) / INIT}
            serve(folder, stream.call, sources[MODEL], NEXT_STATE)
            serve(folder, stream.init, sources[INIT])
        for part, source in sources.items():
            # Not compressed to f16, to keep the model's own weights.
            openvino.save_model(core.read_model(source), target / f"{part}.xml", compress_to_fp16=False)
    digests = {path.name: saved_model.file_hash(path) for path in sorted(target.glob("*.*"))}
    (target / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")


def _converted(core: Core, folder: pathlib.Path, stream: StreamSignatures | None) -> pathlib.Path:
    def convert(target: pathlib.Path) -> None:
        _LOGGER.info("Converting %s for OpenVINO into %s", folder, target)
        write_converted(core, folder, target, stream)

    return cache.made_once("openvino", _cache_name(folder, stream), is_sound, convert)


def _parts(stream: StreamSignatures | None) -> tuple[str, ...]:
    return (MODEL, INIT) if stream else (MODEL,)


def _cache_name(folder: pathlib.Path, stream: StreamSignatures | None) -> str:
    openvino = import_openvino()
    kind = f" {stream.call} {stream.init}" if stream else ""
    key = f"{_FORMAT} {openvino.get_version()} {saved_model.content_hash(folder)}{kind}"
    return hashlib.sha256(key.encode()).hexdigest()[:40]
