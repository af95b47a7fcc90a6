"""The number of CPUs for this process."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib

_CGROUPS = pathlib.Path("/sys/fs/cgroup")


def cpu_count(cgroups: pathlib.Path = _CGROUPS) -> int:
    """Returns the number of CPUs that this process may use, by its affinity and its container's quota.

    Args:
      cgroups: the folder where control groups are mounted.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = quota(cgroups)
    return allowed if share is None else max(1, min(allowed, math.ceil(share)))


def quota(folder: pathlib.Path) -> float | None:
    """Returns the CPU quota of this process's control group, in CPUs; None if there is no limit.

    Args:
      folder: the folder where control groups are mounted. A container sees its own group there, of version 2 or 1.
    """
    with contextlib.suppress(OSError, ValueError):
        limit, period = (folder / "cpu.max").read_text("ascii").split()
        return None if limit == "max" else int(limit) / int(period)
    with contextlib.suppress(OSError, ValueError):
        limit, period = ((folder / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        return int(limit) / int(period) if int(limit) > 0 else None
    return None
