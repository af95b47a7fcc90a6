"""Choose the store of a URI. Object stores need Beam, which takes seconds to import; local disk does not."""

from __future__ import annotations

from reelbeam.transforms.storage.stores.local import LocalStore
from reelbeam.transforms.storage.stores.store import Store
from reelbeam.transforms.storage.uris import local_path


def store_for(uri: str) -> Store:
    """Returns the store of a URI or a local path.

    Raises:
      UnsupportedUriError: the scheme is unknown, or the client library is not installed.
      StorageError: the required credentials do not exist.
      ConfigError: a flag of Beam for the store is invalid.
    """
    if local_path(uri) is not None:
        return LocalStore()
    from reelbeam.transforms.storage.stores.remote import remote_store

    return remote_store(uri)
