"""Resolve a model's handle to a local folder with the model.

package:PKG/PATH     PATH inside the installed package PKG: the same handle works on every worker
FOLDER, file://...   a local folder, used in place: a SavedModel or an exported model; an archive of one is unpacked
http(s)://...        fetched through TensorFlow Hub into a cache; a cached model needs neither network nor TensorFlow
s3://..., gs://...   not resolved here: `reelbeam.transforms.stored_models` copies them to a local folder
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import pathlib
import urllib.parse
import urllib.request
from collections.abc import Sequence

from reelbeam.transforms.errors import ModelError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.registry import archives, cache, foreign, hub, saved_model
from reelbeam.transforms.models.registry.manifest import check_files, is_exported
from reelbeam.transforms.redaction import without_query

_LOGGER = logging.getLogger(__name__)
_PACKAGE = "package:"


def resolve(handle: str, mirrors: Sequence[str] = ()) -> pathlib.Path:
    """Returns the local folder of a model; fetches the model if necessary.

    Args:
      handle: the model's location.
      mirrors: further URLs of the same model, used if `handle` is a URL that cannot be fetched.

    Raises:
      ModelNotFoundError: there is nothing at the handle, or its scheme is unknown.
      ModelDownloadError: the server could not be reached or failed, or the download was interrupted; a retry may help.
      NotASavedModelError: the handle does not lead to a SavedModel.
      ModelError: an exported model is damaged.
    """
    folder = local_path(handle)
    if folder is not None:
        return _checked(folder, handle)
    addresses = [handle, *mirrors]
    for address in addresses:
        _require_http(address)
    cached = (_cached_folder(address) for address in addresses)
    return next((folder for folder in cached if folder is not None), None) or _fetch(addresses)


def used_address(handle: str, mirrors: Sequence[str] = ()) -> str:
    """Returns the URL, among its addresses, that a model was fetched from; the handle if it was not fetched."""
    if not mirrors:
        return handle
    return next((address for address in (handle, *mirrors) if _cached_folder(address) is not None), handle)


def _fetch(addresses: Sequence[str]) -> pathlib.Path:
    failures: list[ModelError] = []
    for address in addresses:
        try:
            folder = hub.download(address, cache_name(address))
        except ModelError as error:
            failures.append(error)
            continue
        if failures:
            reasons = _reasons(failures)
            _LOGGER.warning("%s; the model was fetched from %s instead", reasons, without_query(address))
        return folder
    if len(failures) == 1:
        raise failures[0]
    # If one address failed with a transient error, the whole fetch is transient.
    first = next((error for error in failures if error.transient), failures[0])
    raise type(first)(f"{_reasons(failures)}; {hub.REMEDY}") from first


def _reasons(failures: Sequence[ModelError]) -> str:
    return "; ".join(str(error).removesuffix(f"; {hub.REMEDY}") for error in failures)


def is_cached(handle: str, mirrors: Sequence[str] = ()) -> bool:
    """Returns whether `resolve` needs no network, because the model is local or was fetched before."""
    try:
        folder = local_path(handle)
    except ModelNotFoundError:
        return False
    if folder is not None:
        return archives.is_archive(folder) or is_exported(folder) or saved_model.fault(folder) is None
    return any(_cached_folder(address) is not None for address in (handle, *mirrors))


def is_stored(handle: str) -> bool:
    """Returns whether a model or a label file is in an object store."""
    scheme, separator, _ = handle.partition("://")
    return bool(separator) and scheme.lower() not in ("http", "https", "file")


def cache_name(handle: str) -> str:
    """Returns the folder name of a URL in the hub's cache. It is the hub's own, so that both share downloads."""
    return hashlib.sha1(handle.encode("utf-8"), usedforsecurity=False).hexdigest()


def local_path(handle: str) -> pathlib.Path | None:
    """Returns the path of a `package:` handle, a file:// URL or a path, which may not exist; None for other URLs.

    Raises:
      ModelNotFoundError: the package is not installed here, or is not installed as files.
    """
    if handle.startswith(_PACKAGE):
        return _package_path(handle)
    if handle.startswith("file://"):
        return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlsplit(handle).path))
    if "://" in handle:
        return None
    return pathlib.Path(handle).expanduser()


def _package_path(handle: str) -> pathlib.Path:
    package, _, inner = handle.removeprefix(_PACKAGE).partition("/")
    if not package or not inner:
        raise ModelNotFoundError(f"{handle!r} is not of the form package:PACKAGE/PATH")
    try:
        path = importlib.resources.files(package).joinpath(inner)
    except ModuleNotFoundError as error:
        raise ModelNotFoundError(f"{handle}: no package {package} is installed here ({error})") from error
    if not isinstance(path, pathlib.Path):
        raise ModelNotFoundError(f"{handle}: {package} is installed as an archive; install it unpacked")
    return path


def _checked(folder: pathlib.Path, handle: str) -> pathlib.Path:
    if archives.is_archive(folder):
        return archives.unpacked(folder)
    if folder.is_file():
        raise NotASavedModelError(foreign.refusal(str(folder)))
    if not folder.is_dir():
        raise ModelNotFoundError(
            f"the model folder {folder} does not exist ({handle}): pass a catalog name, a URL, or a SavedModel's folder"
        )
    if is_exported(folder):
        check_files(folder)
    elif fault := saved_model.fault(folder):
        raise NotASavedModelError(
            f"{folder} is not a SavedModel: it {fault}; pass the folder that holds saved_model.pb"
        )
    return folder


def _require_http(handle: str) -> None:
    parts = urllib.parse.urlsplit(handle)
    if parts.scheme not in ("http", "https"):
        raise ModelNotFoundError(
            f"models cannot be read from {parts.scheme}:// ({without_query(handle)}): copy the folder to a local disk "
            "and pass that, or serve it over http(s)"
        )
    if not parts.hostname:
        raise ModelNotFoundError(f"{without_query(handle)} names no server")


def _cached_folder(handle: str) -> pathlib.Path | None:
    for root in cache.folders("hub"):
        folder = root / cache_name(handle)
        if folder.is_dir() and saved_model.fault(folder) is None:
            return folder
    return None
