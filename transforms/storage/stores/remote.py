"""Choose the store of a remote URI: S3, Google Cloud Storage, or what Beam has a file system for."""

from __future__ import annotations

from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.stores import beam, clients, gcs, s3
from reelbeam.transforms.storage.stores.failures import storage_errors
from reelbeam.transforms.storage.stores.optional_modules import load_file_systems
from reelbeam.transforms.storage.stores.store import Store
from reelbeam.transforms.storage.uris import bucket_and_key, scheme_of


def remote_store(uri: str) -> Store:
    """Returns the store of a URI that is not local; raises errors as `registry.store_for` does."""
    load_file_systems()
    options, scheme = pipeline_options(), scheme_of(uri)
    beam.file_system(uri)
    if scheme in ("s3", "gs"):
        bucket_and_key(uri)  # a URI without a bucket fails before the client looks for credentials
    try:
        with storage_errors(uri):  # clients look for credentials
            if scheme == "s3":
                return s3.store(options)
            if scheme == "gs":
                return gcs.store(options)
    except ImportError as error:
        raise clients.unsupported(uri, error) from error
    except ValueError as error:  # for example an invalid endpoint URL
        raise ConfigError(f"{without_query(uri)}: {error}; check --s3_endpoint_url and Beam's other flags") from error
    return beam.BeamStore()
