"""Unpack archives of models, such as Kaggle's downloads, into the cache.

    unpacked/KEY/...    the content of an archive

KEY covers the archive's path, size and modification time.
"""

from __future__ import annotations

import functools
import hashlib
import pathlib
import zipfile
import zlib

from reelbeam.transforms.errors import ModelDownloadError, NotASavedModelError
from reelbeam.transforms.models.registry import cache, saved_model, unpacking
from reelbeam.transforms.models.registry.foreign import ARCHIVES
from reelbeam.transforms.models.registry.manifest import is_exported


def is_archive(path: pathlib.Path) -> bool:
    """Returns whether a local path is an archive, by its file name."""
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def unpacked(archive: pathlib.Path) -> pathlib.Path:
    """Returns the folder of the model in an archive, at its root or in its only folder. Unpacks it on first use.

    Raises:
      NotASavedModelError: the archive cannot be unpacked, has paths outside the folder, or does not hold a model.
      ModelDownloadError: the cache has no room for it.
    """
    archive = archive.resolve()
    try:
        facts = archive.stat()
        key = hashlib.sha256(f"{archive} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:40]
        folder = cache.made_once("unpacked", key, _is_sound, functools.partial(_unpack, archive))
    except OSError as error:
        raise ModelDownloadError(
            f"cannot unpack {archive} on this machine: {error}; free the disk or set {cache.ROOT_VARIABLE}"
        ) from error
    root = _root(folder)
    assert root is not None, "made_once returns a sound folder"
    return root


def _unpack(archive: pathlib.Path, folder: pathlib.Path) -> None:
    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as zipped:  # creates no links and writes nothing outside the folder
                unpacking.check_size(entry.file_size for entry in zipped.infolist())
                zipped.extractall(folder)
        else:
            with archive.open("rb") as stream:
                unpacking.unpack(stream, folder)
    except (
        unpacking.DamagedArchiveError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise NotASavedModelError(f"{archive} cannot be unpacked: {error}; unpack it, and pass the folder") from error
    if _root(folder) is None:
        raise NotASavedModelError(f"{archive} is not the archive of a model: it {saved_model.fault(folder)}")


def _is_sound(folder: pathlib.Path) -> bool:
    return _root(folder) is not None


def _root(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the model's folder in the unpacked content; None if there is none, or a damaged one."""
    inner = [path for path in folder.glob("*") if path.is_dir()]
    candidates = [folder, *(inner if len(inner) == 1 else [])]
    return next((each for each in candidates if is_exported(each) or saved_model.fault(each) is None), None)
