"""Converted models on disk, so that only the first worker on a machine converts.

    openvino/HASH/model.xml, model.bin    the model with unknown sizes, float32 weights
    openvino/HASH/sha256.json             digests of both: a damaged model is converted anew, never run

HASH covers the SavedModel's content and OpenVINO's version. A folder appears complete, by a rename.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pathlib
import shutil
import tempfile
from typing import Any

from transforms.errors import ModelError
from transforms.models import cache, saved_model

_LOGGER = logging.getLogger(__name__)
_MODEL, _WEIGHTS, _DIGESTS = "model.xml", "model.bin", "sha256.json"
# Raised when the way of converting changes: older conversions are then left alone.
_FORMAT = 1


def read_converted(core: Any, folder: pathlib.Path) -> Any:
    """Returns a SavedModel as OpenVINO's, sizes unknown, from the cache or by converting it into the cache.

    Raises:
      ModelError: OpenVINO cannot convert the model, or there is no room for the result.
    """
    try:
        name = _cache_name(folder)
        for root in cache.folders("openvino"):
            if _is_sound(root / name):
                return core.read_model(root / name / _MODEL)
        target = cache.writable_folder("openvino") / name
        _convert(core, folder, target)
        return core.read_model(target / _MODEL)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot convert {folder}: {error}; try --engine tensorflow") from error
    except OSError as error:
        raise ModelError(
            f"cannot keep the converted {folder}: {error}; free the disk or set {cache.ROOT_VARIABLE}"
        ) from error


def _cache_name(folder: pathlib.Path) -> str:
    import openvino

    key = f"{_FORMAT} {openvino.get_version()} {saved_model.content_hash(folder)}"
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _is_sound(converted: pathlib.Path) -> bool:
    try:
        digests = json.loads((converted / _DIGESTS).read_text(encoding="utf-8"))
        return bool(digests == _digests(converted))
    except (OSError, ValueError):
        return False


def _digests(converted: pathlib.Path) -> dict[str, str]:
    return {name: saved_model.file_hash(converted / name) for name in (_MODEL, _WEIGHTS)}


def _convert(core: Any, folder: pathlib.Path, target: pathlib.Path) -> None:
    import openvino

    _LOGGER.info("Converting %s for OpenVINO into %s", folder, target)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        # Not compressed to f16: the weights are to be the model's own.
        openvino.save_model(core.read_model(folder), temporary / _MODEL, compress_to_fp16=False)
        (temporary / _DIGESTS).write_text(json.dumps(_digests(temporary)), encoding="utf-8")
        temporary.chmod(0o755)
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(temporary: pathlib.Path, target: pathlib.Path) -> None:
    if target.exists() and not _is_sound(target):
        _LOGGER.warning("Replacing the damaged %s", target)
        shutil.rmtree(target, ignore_errors=True)
    try:
        temporary.rename(target)
    except OSError:
        if not _is_sound(target):  # else another worker was faster
            raise
