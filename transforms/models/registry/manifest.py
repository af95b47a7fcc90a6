"""The manifest of an exported model. Reading it needs neither OpenVINO nor TensorFlow.

DIR/reelbeam_model.json      preset, signatures, origin, and the digest of every other file
DIR/labels.txt
DIR/model.xml, model.bin     the OpenVINO model, see `openvino_cache`
DIR/init.xml, init.bin       for a Stream model
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import Any, Literal, TypeAlias

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.registry import saved_model
from reelbeam.transforms.models.registry.catalog import ModelSpec, OutputActivation, Preset
from reelbeam.transforms.models.registry.plain_files import NotPlainError, read_plain, special_file
from reelbeam.transforms.records.exact_numbers import parse_exact

MANIFEST, LABELS = "reelbeam_model.json", "labels.txt"
# Increment when an older version of this program cannot read the new format.
FORMAT = 2
_MAX_MANIFEST_BYTES = 4 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REMEDY = "export the model again"


SignatureJson: TypeAlias = dict[str, Any]
"""The signatures of a Stream model, or a part of them, as they are in JSON; `models.engines.stream` knows more."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The description of an exported model.

    Attributes:
      name: its name in rows and messages.
      kind: "base" or "stream".
      preset: the clips that it takes.
      output_activation: the kind of its outputs.
      gflops: as in `ModelSpec`.
      top1_percent: as in `ModelSpec`.
      source: the location of its SavedModel, without a query.
      content_hash: the digest of the SavedModel. Rows made with either have the same model fingerprint.
      openvino_version: the version that converted it.
      signatures: for a Stream model, its signatures as JSON.
      files: the hex SHA-256 of each file next to the manifest.
    """

    name: str
    kind: Literal["base", "stream"]
    preset: Preset
    output_activation: OutputActivation
    gflops: float | None
    top1_percent: float | None
    source: str
    content_hash: str
    openvino_version: str
    signatures: SignatureJson | None
    files: dict[str, str]

    def to_text(self) -> str:
        """Returns the content of the manifest file."""
        values = dataclasses.asdict(self)
        values["preset"]["target_fps"] = str(self.preset.target_fps)
        return json.dumps({"format": FORMAT, **values}, indent=2) + "\n"

    def to_spec(self, folder: pathlib.Path) -> ModelSpec:
        """Returns the spec of the model in the folder of this manifest."""
        labels = str(folder / LABELS)
        return ModelSpec(
            self.name,
            self.kind,
            str(folder),
            labels,
            self.preset,
            self.gflops,
            self.top1_percent,
            output_activation=self.output_activation,
        )


def is_exported(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds an exported model, which may be damaged."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: pathlib.Path) -> Manifest:
    """Reads the manifest of an exported model.

    Raises:
      ModelError: the manifest is damaged, or was written by a later version of this program.
    """
    try:
        values = json.loads(read_plain(folder / MANIFEST, _MAX_MANIFEST_BYTES))
        written = values.pop("format")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST} cannot be read ({error}): {_REMEDY}") from error
    if written != FORMAT:
        raise ModelError(
            f"{folder} holds an exported model of format {written}, this version reads {FORMAT}: {_REMEDY} with it"
        )
    try:
        preset = values.pop("preset")
        fps = parse_exact(preset.pop("target_fps"))
        manifest = Manifest(preset=Preset(target_fps=fps, **preset), **values)
        _check(manifest)
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST} is damaged ({error}): {_REMEDY}") from error


def _check(manifest: Manifest) -> None:
    """Raises ValueError for values that no export writes; no file name may lead outside the folder."""
    texts = (manifest.name, manifest.source, manifest.content_hash, manifest.openvino_version)
    if not all(isinstance(text, str) for text in texts) or manifest.kind not in ("base", "stream"):
        raise ValueError("its name, kind, source or content_hash is of another type")
    for name, digest in manifest.files.items():
        if not _FILE_NAME.fullmatch(name) or not isinstance(digest, str):
            raise ValueError(f"it names the file {name!r}")


def check_files(folder: pathlib.Path) -> Manifest:
    """Returns the manifest of an exported model after checking all of its files.

    Raises:
      ModelError: a file is missing or differs from its digest, or the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        try:
            damaged = saved_model.file_hash(folder / name) != digest
        except NotPlainError:
            damaged = True
        except OSError as error:
            raise ModelError(f"the exported model {folder} lacks {name} ({error.strerror}): {_REMEDY}") from error
        if damaged:
            raise ModelError(f"the exported model {folder} is damaged, {name} is not what was exported: {_REMEDY}")
    if special := special_file(folder):  # one that the manifest does not name
        raise ModelError(f"the exported model {folder} is damaged, {special} is not a regular file: {_REMEDY}")
    return manifest


def content_hash(folder: pathlib.Path) -> str:
    """Returns the digest of a model's SavedModel, for a folder that holds it or an export of it.

    Raises:
      ModelError: the manifest of an exported model cannot be read.
      OSError: a file of a SavedModel cannot be read.
    """
    return read_manifest(folder).content_hash if is_exported(folder) else saved_model.content_hash(folder)


def require_pin(folder: pathlib.Path, wanted: str | None, shown: str) -> None:
    """Rejects a model whose digest, see `pin`, is not the required one.

    Args:
      folder: the model's folder.
      wanted: the hex digest; None accepts any model.
      shown: the model's name for messages.

    Raises:
      ModelError: it is another model.
      OSError: a file cannot be read.
    """
    if wanted is not None and (found := pin(folder)) != wanted:
        raise ModelError(
            f"{shown} is not the model of --model_fingerprint {wanted}: its fingerprint is {found}; find out who "
            "changed it, and pass the new one if you trust it"
        )


def pin(folder: pathlib.Path) -> str:
    """Returns a digest of a model's folder. A SavedModel and an export of it have different digests.

    Raises:
      OSError: a file cannot be read.
    """
    # The manifest contains the digests of all other files.
    return saved_model.file_hash(folder / MANIFEST) if is_exported(folder) else saved_model.content_hash(folder)
