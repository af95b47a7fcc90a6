"""Cache fetched and converted models across runs.

Read and write locations differ, because a container image may carry a filled cache that its user cannot write to. An
entry is looked up in every folder of `folders`, and written to `writable_folder`.

    NAME/KEY        an entry of the cache NAME, see `made_once`; it appears complete, by a rename
    locks/KEY       the lock of the process that creates the entry; the kernel releases it if the process dies
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator

_LOGGER = logging.getLogger(__name__)

ROOT_VARIABLE = "REELBEAM_CACHE_DIR"
HUB_VARIABLE = "TFHUB_CACHE_DIR"


def folders(name: str) -> list[pathlib.Path]:
    """Returns the folders that may hold entries of the cache `name` ("hub", "openvino"), the default first.

    The default is $REELBEAM_CACHE_DIR/NAME, or ~/.cache/reelbeam/NAME. For the hub it is $TFHUB_CACHE_DIR if set, as
    in other programs that use the hub. The folders may not exist.
    """
    root = _fallback_root()
    fallback = [root / name] if _is_own(root) and _is_own(root / name) else []
    usual = _usual_folder(name)
    return fallback if usual is None else [usual, *fallback]


def writable_folder(name: str) -> pathlib.Path:
    """Creates and returns the folder of the cache `name`; uses the temporary folder if the default is read-only.

    Raises:
      OSError: the temporary folder cannot be written either.
    """
    usual = _usual_folder(name)
    if usual is None:
        return _own_fallback(name)
    try:
        usual.mkdir(parents=True, exist_ok=True)
        if os.access(usual, os.W_OK | os.X_OK):
            return usual
        reason = "it is read-only"
    except OSError as error:
        reason = str(error)
    folder = _own_fallback(name)
    _LOGGER.warning("Cannot write to the cache %s (%s): using %s. Set %s.", usual, reason, folder.parent, ROOT_VARIABLE)
    return folder


def _own_fallback(name: str) -> pathlib.Path:
    """Creates and returns the folder of the cache `name` in the temporary folder.

    Raises:
      PermissionError: another user could have put something there.
    """
    root = _fallback_root()
    for folder in (root, root / name):
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(folder):
            raise PermissionError(
                f"{folder} is a link, belongs to another user, or can be written by one: what is in a cache is "
                f"executed; set {ROOT_VARIABLE} to a folder of your own"
            )
    return root / name


def made_once(
    name: str, key: str, is_sound: Callable[[pathlib.Path], bool], make: Callable[[pathlib.Path], None]
) -> pathlib.Path:
    """Returns the folder `key` of the cache `name`; if it is missing, one process creates it while others wait.

    Args:
      name: the cache's name.
      key: the folder's name, equal for equal content.
      is_sound: returns whether a folder is complete and undamaged; False if there is none.
      make: fills an empty folder. If it raises, the cache is unchanged.

    Raises:
      OSError: the cache cannot be written. Errors of `make` are passed on.
    """
    for root in folders(name):
        if is_sound(root / key):
            return root / key
    target = writable_folder(name) / key
    with _only_one(key) as alone:
        if not is_sound(target):  # otherwise another process has created it meanwhile
            if alone:
                _remove_remains(target)
            _make(target, is_sound, make)
    return target


@contextlib.contextmanager
def _only_one(key: str) -> Iterator[bool]:
    """Holds the lock of this folder. Yields whether the file system supports locks."""
    with (writable_folder("locks") / key).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            alone = True
        except OSError as error:  # a network file system without locks: all create it, and the first one's is kept
            _LOGGER.debug("No lock for %s: %s", key, error)
            alone = False
        yield alone


def _remove_remains(target: pathlib.Path) -> None:
    """Removes temporary folders of processes that died."""
    for temporary in target.parent.glob(f"{target.name}.*.tmp"):
        shutil.rmtree(temporary, ignore_errors=True)


def _make(target: pathlib.Path, is_sound: Callable[[pathlib.Path], bool], make: Callable[[pathlib.Path], None]) -> None:
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        make(temporary)
        temporary.chmod(0o755)
        if target.exists() and not is_sound(target):
            _LOGGER.warning("Replacing the damaged %s", target)
            shutil.rmtree(target, ignore_errors=True)
        try:
            temporary.rename(target)
        except OSError:
            if not is_sound(target):  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _usual_folder(name: str) -> pathlib.Path | None:
    hub = os.environ.get(HUB_VARIABLE)
    if name == "hub" and hub:
        return pathlib.Path(hub).expanduser()
    if root := os.environ.get(ROOT_VARIABLE):
        return pathlib.Path(root).expanduser() / name
    try:
        return pathlib.Path.home() / ".cache" / "reelbeam" / name
    except RuntimeError:  # a user without a name, in a container, has no home
        return None


def _fallback_root() -> pathlib.Path:
    return pathlib.Path(tempfile.gettempdir()) / f"reelbeam-cache-{os.getuid()}"


def _is_own(folder: pathlib.Path) -> bool:
    # The content of a cache is executed, so a folder that another user put into /tmp must not be used.
    try:
        facts = folder.lstat()
    except OSError:
        return False
    is_private = facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_private and stat.S_ISDIR(facts.st_mode)
