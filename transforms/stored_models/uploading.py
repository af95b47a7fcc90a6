"""Copy an exported model to an object store."""

from __future__ import annotations

import pathlib

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.models.registry.manifest import MANIFEST
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores import copying
from reelbeam.transforms.stored_models.fetching import files_below


def upload(folder: pathlib.Path, uri: str) -> None:
    """Copies an exported model to a store; the manifest last, because a folder without it is not a model.

    Raises:
      ConfigError: the folder is not empty.
      StorageError: the store denies the request, or does not respond.
    """
    uri = uri.rstrip("/")
    if next(files_below(uri), None):
        raise ConfigError(f"--to {without_query(uri)}: something is there already; name a new folder")
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
        copying.upload(path, f"{uri}/{path.name}")
