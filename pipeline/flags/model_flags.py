"""Find the model that the flags name: in the catalog, in a folder, in a store, or described by the flags alone."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import pathlib
import re
from typing import Literal

from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.model_settings import ClipSettings, ModelDescription
from reelbeam.transforms.errors import ConfigError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.engines.stream import is_stream_model
from reelbeam.transforms.models.registry import catalog, resolver
from reelbeam.transforms.models.registry.manifest import is_exported, pin, read_manifest, require_pin
from reelbeam.transforms.redaction import without_query

_MODELS = (
    "pass a catalog name (`reelbeam models` lists them), a URL, an address in an object store, the folder of a "
    "SavedModel or of an exported model, or an archive of one (.tar.gz, .tar, .zip)"
)
_PRESET = tuple(field.name for field in dataclasses.fields(catalog.Preset))


def to_model_spec(args: argparse.Namespace) -> catalog.ModelSpec:
    """Returns the catalog's model with the flags' changes, or a model that the flags alone describe.

    A model in an object store is fetched, because only its files show its kind.

    Args:
      args: parsed `ModelDescription` flags, and `model`, the name.

    Raises:
      ConfigError: flags are missing, or do not fit each other.
      ModelNotFoundError: the name is neither a catalog name, nor a URL, nor an existing folder.
      ModelError: the model is a damaged exported folder; or as in `stored_models.fetching.fetch`.
    """
    name: str = args.model
    asked = from_values(ModelDescription, vars(args))
    labels = asked.labels and catalog.label_file(asked.labels)
    given = {field: value for field, value in vars(asked).items() if field in _PRESET and value is not None}
    folder = _folder(name)
    known = _known_model(name, folder)
    if known is None and (missing := [field for field in (*_PRESET, "labels") if getattr(asked, field) is None]):
        if folder is not None:
            resolver.resolve(str(folder))  # raises if there is no model: flags would not help
        flags = ", ".join(f"--{field}" for field in missing)
        raise ConfigError(f"--model {name} is not in the catalog: it needs {flags} as well")
    try:
        preset = catalog.Preset(**given) if known is None else dataclasses.replace(known.preset, **given)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if known is None:
        spec = catalog.ModelSpec(name, _kind(folder), str(folder or name), labels or "", preset)
    else:
        spec = dataclasses.replace(known, labels=labels or known.labels, preset=preset)
    _warn_of_other_preset(spec, known)
    if asked.output_activation != "auto":
        spec = dataclasses.replace(spec, output_activation=asked.output_activation)
    wanted = _fingerprint(asked.model_fingerprint)
    if folder is None or not resolver.is_stored(name):
        return dataclasses.replace(spec, pin=wanted)
    require_pin(folder, wanted, without_query(name))
    return dataclasses.replace(spec, handle=name.rstrip("/"), pin=pin(folder))


def _warn_of_other_preset(spec: catalog.ModelSpec, known: catalog.ModelSpec | None) -> None:
    """Warns if flags change the clips that a model of the catalog, or an exported one, was trained on."""
    if known is None or spec.preset == known.preset:
        return
    names = [name for name in _PRESET if getattr(spec.preset, name) != getattr(known.preset, name)]
    given, expected = (
        ", ".join(f"--{name} {getattr(preset, name)}" for name in names) for preset in (spec.preset, known.preset)
    )
    logging.getLogger(__name__).warning("model %s is made for %s; the flags ask for %s", spec.name, expected, given)


def _fingerprint(given: str | None) -> str | None:
    if given is None or re.fullmatch("[0-9a-f]{64}", given.lower()):
        return given and given.lower()
    raise ConfigError(f"--model_fingerprint is {given}: it must be 64 hexadecimal digits, as in a run's JSON")


def _folder(model: str) -> pathlib.Path | None:
    """Returns the local folder of a model that is a folder or an archive, here or in a store; None for any other."""
    if resolver.is_stored(model):
        from reelbeam.transforms.stored_models.fetching import fetch  # imports Beam

        return fetch(model)
    if "://" in model:
        return None
    path = pathlib.Path(model).resolve()
    if path.is_file() and model not in catalog.CATALOG:
        return resolver.resolve(str(path))  # an archive is unpacked; for any other file it raises
    return path if path.is_dir() else None


def _known_model(name: str, folder: pathlib.Path | None) -> catalog.ModelSpec | None:
    """Returns the model that an exported folder or the catalog describes; None for one that flags must describe."""
    if folder is not None and is_exported(folder):
        return read_manifest(folder).to_spec(folder)
    try:
        return catalog.find(name)
    except ModelNotFoundError:
        if folder is not None or "://" in name:
            return None
        near = [] if os.sep in name else catalog.nearest(name)
        question = f"did you mean {' or '.join(near)}? Or " if near else ""
        raise ModelNotFoundError(f"--model {name}: {_what_is_missing(name)}; {question}{_MODELS}") from None


def _what_is_missing(name: str) -> str:
    """Returns what is missing, or in the way, at the path that is a model's name."""
    path = pathlib.Path(name).expanduser().resolve()
    there = next(folder for folder in path.parents if folder.exists())
    if not there.is_dir():
        return f"{there} is a file, not a folder"
    unknown = "" if os.sep in name else f"no model is called {name!r}, and "
    return f"{unknown}no file or folder is at {path}"


def to_sampling(spec: catalog.ModelSpec, clips: ClipSettings) -> ClipSampling:
    """Returns the sampling of clips for a model.

    Raises:
      ConfigError: settings do not fit each other, or the model.
    """
    preset, kind = spec.preset, _sampled_kind(spec, clips)
    try:
        return ClipSampling(num_frames=preset.num_frames, target_fps=preset.target_fps, kind=kind, **vars(clips))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _sampled_kind(spec: catalog.ModelSpec, clips: ClipSettings) -> Literal["base", "stream"]:
    """Returns the model's kind. That of a URL is not known before it is fetched, so the clips' settings decide."""
    is_unknown = "://" in spec.handle and not resolver.is_stored(spec.handle) and spec.name not in catalog.CATALOG
    is_for_stream = clips.carry_state or clips.warm_up_seconds is not None or clips.tail_policy == "keep"
    return "stream" if is_unknown and is_for_stream else spec.kind


def _kind(folder: pathlib.Path | None) -> Literal["base", "stream"]:
    # A textual or damaged graph is left to the engine, whose error describes it.
    with contextlib.suppress(NotASavedModelError):
        if folder is not None and is_stream_model(folder):
            return "stream"
    return "base"
