"""Choose the store of a URI."""

from __future__ import annotations

from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores import beam, clients, gcs, local, s3
from reelbeam.transforms.storage.stores.failures import storage_errors
from reelbeam.transforms.storage.stores.store import Store
from reelbeam.transforms.storage.uris import bucket_and_key, local_path


def store_for(uri: str) -> Store:
    """Returns the store of a URI or a local path.

    Raises:
      UnsupportedUriError: the scheme is unknown, or the client library is not installed.
      StorageError: the required credentials do not exist.
      ConfigError: a flag of Beam for the store is invalid.
    """
    if local_path(uri) is not None:
        return local.LocalStore()
    scheme = FileSystems.get_scheme(uri)
    beam.file_system(uri)
    if scheme in ("s3", "gs"):
        bucket_and_key(uri)  # a URI without a bucket fails before the client looks for credentials
    try:
        with storage_errors(uri):  # clients look for credentials
            if scheme == "s3":
                return s3.store(pipeline_options())
            if scheme == "gs":
                return gcs.store(pipeline_options())
    except ImportError as error:
        raise clients.unsupported(uri, error) from error
    except ValueError as error:  # for example an invalid endpoint URL
        raise ConfigError(f"{without_query(uri)}: {error}; check --s3_endpoint_url and Beam's other flags") from error
    return beam.BeamStore()
