"""How many CPUs there are for this process."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib

_CGROUPS = pathlib.Path("/sys/fs/cgroup")


def cpu_count(cgroups: pathlib.Path = _CGROUPS) -> int:
    """Returns the CPUs that this process may use: those it may run on, or fewer where its container's share is less.

    Args:
      cgroups: where control groups are mounted.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = quota(cgroups)
    return allowed if share is None else max(1, min(allowed, math.ceil(share)))


def quota(folder: pathlib.Path) -> float | None:
    """Returns how many CPUs' time the control group of this process may take; None where there is no limit.

    Args:
      folder: where control groups are mounted: a container sees its own there, of version 2 or 1.
    """
    with contextlib.suppress(OSError, ValueError):
        limit, period = (folder / "cpu.max").read_text("ascii").split()
        return None if limit == "max" else int(limit) / int(period)
    with contextlib.suppress(OSError, ValueError):
        limit, period = ((folder / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        return int(limit) / int(period) if int(limit) > 0 else None
    return None
