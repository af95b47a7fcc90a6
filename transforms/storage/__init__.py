"""Files on local disk and in every store that Beam supports (gs, s3, hdfs, …): read, list, replace and delete.

Differences from Beam's file systems: a path that contains "[" or "*" is tried as a file's name before it is used as a
pattern; a file with the extension .gz is not decompressed; exceptions of client libraries become a `StorageError`.

    uris.py           paths and URIs, and patterns
    files.py          reads, lists and deletes files
    videos.py         identifies and opens videos; the only place where a StorageError becomes a MediaError
    local_folders.py  lists files below a local folder (ignored.py: counts skipped files by kind)
    plain_files.py    files of an output, opened without following links
    guards.py         locks of local files, for conditional writes
    stores/           local disk and object stores, with conditional writes
    spool/            remote videos on local disk
"""

from reelbeam.transforms.storage.files import (
    delete_files,
    delete_folder,
    exists,
    find_files,
    match,
    matching,
    open_binary,
    open_inside,
    replace_file,
    stat,
)
from reelbeam.transforms.storage.stores.failures import storage_errors
from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.stores.store import ObjectInfo, Versioned
from reelbeam.transforms.storage.uris import local_path, normalize
from reelbeam.transforms.storage.videos import identified, local_file, video_of, with_known_size

__all__ = [
    "ObjectInfo",
    "Versioned",
    "delete_files",
    "delete_folder",
    "exists",
    "find_files",
    "identified",
    "local_file",
    "local_path",
    "match",
    "matching",
    "normalize",
    "open_binary",
    "open_inside",
    "replace_file",
    "stat",
    "storage_errors",
    "store_for",
    "video_of",
    "with_known_size",
]
