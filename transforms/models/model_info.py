"""Describe the model of a run: everything that its scores depend on, for the run document."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping

from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.resolver import used_address
from reelbeam.transforms.redaction import without_query

_LIBRARIES = {"openvino": ("openvino", "numpy"), "tensorflow": ("tensorflow", "numpy")}


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A model as it was run. Two runs with equal ModelInfo give the same scores for a clip.

    Attributes:
      handle: the model's location, without a URL's query; if it has several addresses, the one it was fetched from.
      content_hash: the digest of its SavedModel, independent of the form in which it was read.
      label_map_hash: the digest of its classes.
      engine: the engine that ran it.
      precision: the arithmetic precision.
      output_activation: the kind of its outputs.
      library_versions: the versions of the engine's libraries that are installed here.
    """

    handle: str
    content_hash: str
    label_map_hash: str
    engine: EngineName
    precision: Precision
    output_activation: str
    library_versions: Mapping[str, str]


def model_info(
    spec: ModelSpec,
    content_hash: str,
    label_map_hash: str,
    engine: EngineName,
    precision: Precision,
    output_activation: str,
) -> ModelInfo:
    """Returns the description of a model."""
    versions = installed_versions(_LIBRARIES.get(engine, ()))
    handle = without_query(used_address(spec.handle, spec.mirrors))
    return ModelInfo(handle, content_hash, label_map_hash, engine, precision, output_activation, versions)


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Returns the versions of the installed packages. A worker with an exported model may lack TensorFlow."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
