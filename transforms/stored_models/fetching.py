"""Fetch a model from an object store: copy its folder to local disk, where engines read it.

    stored/KEY/...     the files of a model's folder, kept by `cache.made_once`

KEY is a digest of the URI and the listing: names, sizes and versions of the files. So a check for changes costs one
listing, and an old copy is never mistaken for a new one. The launcher pins the content that it found (`ModelSpec.pin`).
Workers list the folder again and reject any other content.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import logging
import pathlib
import re
from collections.abc import Iterator, Mapping

from reelbeam.transforms import storage
from reelbeam.transforms.errors import (
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    NotASavedModelError,
    StorageError,
)
from reelbeam.transforms.models.registry import cache, foreign, resolver, saved_model
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.manifest import MANIFEST, pin
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores import copying
from reelbeam.transforms.storage.stores.store import ObjectInfo
from reelbeam.transforms.storage.uris import literal

_LOGGER = logging.getLogger(__name__)
_MODEL_FILE = re.compile(r"(?!(?:variables|assets)$)(?:(?:variables|assets)/)?[^/.][^/]*")
"""The files of a folder that are fetched. Their names are not trusted: none may lead out of the local folder."""

MOST_FILES = 1000
"""The limit for a folder; one with more files is a corpus or a whole bucket."""

_MOST_BYTES = 8 << 30
"""The limit for a model; A5's SavedModel has 150 MB."""

_found: dict[tuple[str, str | None], pathlib.Path] = {}
"""Local copies by URI and pin, so that changes in the store do not affect a run in progress."""


def localized(spec: ModelSpec) -> ModelSpec:
    """Returns a model that engines can read: fetches it from an object store, or returns it unchanged.

    Raises:
      ModelError: as in `fetch`, or the model has other content than its pin.
    """
    if not resolver.is_stored(spec.handle):
        return spec
    folder = _found.get((spec.handle, spec.pin)) or fetch(spec.handle)
    if spec.pin not in (None, pin(folder)):
        raise ModelError(
            f"{without_query(spec.handle)} is no longer the model with which this run began; run again, "
            "and give each model a folder of its own"
        )
    return dataclasses.replace(spec, handle=str(folder))


def fetch(uri: str) -> pathlib.Path:
    """Returns a local copy of a model's folder in its current version; costs only a listing if there is a copy.

    Args:
      uri: a folder with a SavedModel or an exported model.

    Raises:
      ModelNotFoundError: the folder does not exist or cannot be read, or the URI is not supported.
      ModelDownloadError: the store does not respond, or the model changed during the download; a retry may help.
      NotASavedModelError: the folder does not hold a model.
      ModelError: the folder holds a damaged exported model.
    """
    uri = uri.rstrip("/")
    shown = without_query(uri)

    def download(folder: pathlib.Path) -> None:
        _LOGGER.info("Fetching %s into %s", shown, folder)
        for name, file in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            copying.download(file, folder / name)
        try:
            resolver.resolve(str(folder))
        except ModelError as error:
            raise type(error)(str(error).replace(str(folder), shown)) from error

    with _model_errors(uri):
        files = _list(uri)
        folder = cache.made_once("stored", _key(uri, files), functools.partial(_is_sound, files), download)
    _found[uri, pin(folder)] = folder
    return folder


def _is_file(uri: str) -> bool:
    with contextlib.suppress(StorageError):
        storage.stat(uri)
        return True
    return False


def _list(uri: str) -> dict[str, ObjectInfo]:
    """Returns a model's files by their names in its folder.

    Raises:
      StorageError: the folder cannot be listed.
      ModelError: the folder does not exist, or does not hold a model.
    """
    shown = without_query(uri)
    listed = list(itertools.islice(files_below(uri), MOST_FILES + 1))
    if not listed and foreign.kind_of(uri):
        raise NotASavedModelError(foreign.refusal(shown))
    if not listed:
        fault = "is a file, not the folder of a model" if _is_file(uri) else "does not exist, or is empty"
        raise ModelNotFoundError(
            f"{shown} {fault}; check the address, or write a model there, for example with "
            f"`reelbeam models export NAME --to {shown}`"
        )
    if len(listed) > MOST_FILES:
        raise NotASavedModelError(f"{shown} holds more than {MOST_FILES} files; pass the folder of one model")
    names = {file.uri.removeprefix(f"{uri}/"): file for file in listed}
    if not names.keys() & {MANIFEST, *saved_model.GRAPH_FILES}:
        raise NotASavedModelError(
            f"{shown} holds neither {MANIFEST} nor {saved_model.GRAPH_FILES[0]}; pass the folder that does"
        )
    files = {name: file for name, file in sorted(names.items()) if _MODEL_FILE.fullmatch(name)}
    if sum(file.size_bytes for file in files.values()) > _MOST_BYTES:
        raise NotASavedModelError(f"{shown} holds more than {_MOST_BYTES} bytes; pass the folder of one model")
    if not all(file.version for file in files.values()):
        raise ModelError(
            f"{shown}: the store has no object versions, so a change cannot be detected; pass a local folder"
        )
    return files


def files_below(uri: str) -> Iterator[ObjectInfo]:
    """Yields the files below a folder of a store, which may have any name."""
    return storage.matching(f"{literal(uri)}/**")


def _key(uri: str, files: Mapping[str, ObjectInfo]) -> str:
    facts = [f"{name} {file.size_bytes} {file.version}" for name, file in files.items()]
    return hashlib.sha256("\n".join([uri, *facts]).encode()).hexdigest()[:40]


def _is_sound(files: Mapping[str, ObjectInfo], folder: pathlib.Path) -> bool:
    try:
        resolver.resolve(str(folder))
        return all((folder / name).stat().st_size == file.size_bytes for name, file in files.items())
    except (ModelError, OSError):
        return False


@contextlib.contextmanager
def _model_errors(uri: str) -> Iterator[None]:
    """Converts errors of stores and of the local disk to errors of the model; transient errors stay transient."""
    shown = without_query(uri)
    try:
        yield
    except StorageError as error:
        if not error.transient:
            raise ModelNotFoundError(f"no model can be read at {shown}: {error}") from error
        raise ModelDownloadError(f"cannot reach the model at {shown}: {error}; or pass a local folder") from error
    except OSError as error:
        raise ModelDownloadError(
            f"cannot keep {shown} on this machine: {error}; free the disk or set {cache.ROOT_VARIABLE}"
        ) from error
