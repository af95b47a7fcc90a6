"""What labeled a corpus: everything about the model that its scores depend on, for the run's summary."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping

from reelbeam.transforms.errors import without_query
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.resolver import used_address

_LIBRARIES = {"openvino": ("openvino", "numpy"), "tensorflow": ("tensorflow", "numpy")}


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A model as it was run. Two runs with equal ModelInfo give a clip the same scores.

    Attributes:
      handle: where the model is, without a URL's query; the one of its addresses that it was fetched from.
      content_hash: digest of its SavedModel, whichever form it was read in.
      label_map_hash: digest of its classes.
      engine: what ran it.
      precision: of the arithmetic.
      output_activation: what its outputs are.
      library_versions: of the libraries that the engine is made of, as far as they are installed here.
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
    """Returns what is to be told of a model."""
    versions = installed_versions(_LIBRARIES.get(engine, ()))
    handle = without_query(used_address(spec.handle, spec.mirrors))
    return ModelInfo(handle, content_hash, label_map_hash, engine, precision, output_activation, versions)


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Returns the versions of those packages that are installed: a worker of an exported model needs no TensorFlow."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
