"""Where fetched and converted models are kept between starts.

Reading and writing differ: a container image may carry a filled cache that its user cannot write to. So a cached thing
is looked for in every folder of `folders`, and written to `writable_folder`.
"""

from __future__ import annotations

import logging
import os
import pathlib
import tempfile

_LOGGER = logging.getLogger(__name__)

ROOT_VARIABLE = "REELBEAM_CACHE_DIR"
HUB_VARIABLE = "TFHUB_CACHE_DIR"


def folders(name: str) -> list[pathlib.Path]:
    """Returns the folders in which things of the cache `name` ("hub", "openvino") may be, the usual one first.

    The usual one is $REELBEAM_CACHE_DIR/NAME, else ~/.cache/reelbeam/NAME. The hub's is $TFHUB_CACHE_DIR where that is
    set, as for every user of the hub. None of them need exist.
    """
    found = [_usual_folder(name)]
    fallback = _fallback_root()
    if _is_own(fallback):
        found.append(fallback / name)
    return found


def writable_folder(name: str) -> pathlib.Path:
    """Returns the folder of the cache `name`, made; one below the system's temporary folder where it is read-only.

    Raises:
      OSError: not even the temporary folder can be written to.
    """
    usual = _usual_folder(name)
    try:
        usual.mkdir(parents=True, exist_ok=True)
        if os.access(usual, os.W_OK | os.X_OK):
            return usual
        reason = "it is read-only"
    except OSError as error:
        reason = str(error)
    root = _fallback_root()
    root.mkdir(mode=0o700, exist_ok=True)
    if not _is_own(root):
        raise PermissionError(f"{root} belongs to another user; set {ROOT_VARIABLE} to a folder of your own")
    _LOGGER.warning("Cannot write to the cache %s (%s): using %s. Set %s.", usual, reason, root, ROOT_VARIABLE)
    (root / name).mkdir(exist_ok=True)
    return root / name


def _usual_folder(name: str) -> pathlib.Path:
    hub = os.environ.get(HUB_VARIABLE)
    if name == "hub" and hub:
        return pathlib.Path(hub).expanduser()
    if root := os.environ.get(ROOT_VARIABLE):
        return pathlib.Path(root).expanduser() / name
    try:
        return pathlib.Path.home() / ".cache" / "reelbeam" / name
    except RuntimeError:  # the nameless user of a container has no home
        return _fallback_root() / name


def _fallback_root() -> pathlib.Path:
    return pathlib.Path(tempfile.gettempdir()) / f"reelbeam-cache-{os.getuid()}"


def _is_own(folder: pathlib.Path) -> bool:
    # What is in a cache gets executed: a folder that someone else put into /tmp is not ours.
    try:
        return folder.stat().st_uid == os.getuid()
    except OSError:
        return False
