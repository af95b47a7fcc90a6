"""Write exported models: folders for a container image or a bucket, see `manifest`."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import tempfile

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.models.engines import openvino_cache
from reelbeam.transforms.models.engines.openvino_import import import_openvino
from reelbeam.transforms.models.engines.stream import StreamSignatures, find_stream_signatures
from reelbeam.transforms.models.output_activation import output_activation
from reelbeam.transforms.models.registry import saved_model
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.manifest import LABELS, MANIFEST, Manifest, content_hash
from reelbeam.transforms.redaction import without_query


def export(spec: ModelSpec, folder: pathlib.Path, labels: LabelMap, target: pathlib.Path) -> None:
    """Writes a model into a new folder, atomically.

    Args:
      spec: the model.
      folder: the local folder that its handle resolves to.
      labels: the model's classes.
      target: the new folder.

    Raises:
      ConfigError: the target exists, or cannot be written.
      ModelError: the model cannot be used, or not with these labels.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ConfigError(f"--to {target}: something is there already; name a new folder")
    signatures = find_stream_signatures(folder, spec.preset) if spec.kind == "stream" else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            labels.check(openvino_cache.copy_converted(folder, temporary, signatures))
            (temporary / LABELS).write_text("".join(f"{label}\n" for label in labels.labels), encoding="utf-8")
            manifest = _manifest(spec, folder, temporary, signatures)
            (temporary / MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
            temporary.chmod(0o755)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"--to {target} cannot be written: {error}") from error


def _manifest(
    spec: ModelSpec, folder: pathlib.Path, written: pathlib.Path, signatures: StreamSignatures | None
) -> Manifest:
    openvino = import_openvino()
    return Manifest(
        name=without_query(spec.name),
        kind=spec.kind,
        preset=spec.preset,
        output_activation=output_activation(spec, folder),
        gflops=spec.gflops,
        top1_percent=spec.top1_percent,
        source=without_query(spec.handle),
        content_hash=content_hash(folder),
        openvino_version=openvino.get_version(),
        signatures=dataclasses.asdict(signatures) if signatures else None,
        files={path.name: saved_model.file_hash(path) for path in sorted(written.iterdir())},
    )
