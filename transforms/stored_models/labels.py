"""Read a model's label file, on disk or in an object store."""

from __future__ import annotations

from reelbeam.transforms import storage
from reelbeam.transforms.errors import LabelMapError, ModelDownloadError, StorageError
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores import copying


def load_labels(handle: str) -> LabelMap:
    """Reads a model's label file, on disk or in an object store.

    Raises:
      LabelMapError: it cannot be read, or is not a label map.
      ModelDownloadError: the store does not respond.
    """
    if not resolver.is_stored(handle):
        return LabelMap.load(resolve_labels(handle))
    try:
        return LabelMap.parse(copying.read(storage.stat(handle)), without_query(handle))
    except StorageError as error:
        kind = ModelDownloadError if error.transient else LabelMapError
        raise kind(f"cannot read the label file {without_query(handle)}: {error}; pass --labels FILE") from error
