"""Starting a decoder process."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

_MODULE = "transforms.media.sandbox_child"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONHOME")  # no credentials in there


def spawn(end: int, ring: int, liveness: int, memory_bytes: int) -> subprocess.Popen[bytes]:
    """Starts the process: a new program, not a fork; no shell; a group of its own: Ctrl-C is its owner's.

    Not a session of its own, whose share of the CPU Linux would reckon apart from its owner's niceness.
    """
    root = str(pathlib.Path(__file__).resolve().parents[2])
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment |= {
        "PYTHONPATH": os.pathsep.join([root, *(entry for entry in sys.path if entry)]),
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "1048576",
        "MALLOC_TRIM_THRESHOLD_": "4194304",
    }
    arguments = [str(number) for number in (end, ring, liveness, memory_bytes)]
    return subprocess.Popen(
        [sys.executable, "-P", "-S", "-m", _MODULE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        pass_fds=(end, ring, liveness),
        process_group=0,
    )
