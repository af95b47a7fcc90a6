"""CPU instructions, the speed of each precision, and the cores, memory and limits that a container grants."""

from __future__ import annotations

import os
import pathlib
import platform
import resource

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.pipeline.settings.values import byte_text
from reelbeam.transforms.models import cpus
from reelbeam.transforms.wording import counted

_INSTRUCTIONS = {
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}
"""The flags of /proc/cpuinfo that matter for speed, and their names, the oldest first."""

_FASTER = 1.2
"""A precision is called faster from this factor on."""

_GIBIBYTE = 1 << 30
_OWN_BYTES, _THREAD_BYTES = _GIBIBYTE, _GIBIBYTE // 4
"""What a local run takes, and each of its threads: 8 threads take about 2 GB."""
_FILES, _FILES_PER_THREAD = 256, 32
_V1_UNLIMITED = 1 << 60


def check_cpu(subject: Subject) -> Finding:
    """Reads the instructions of the CPU. TensorFlow's wheels need AVX."""
    model, flags = read_cpuinfo(subject.system.proc / "cpuinfo")
    return judge_instructions(model, flags, platform.machine())


def read_cpuinfo(path: pathlib.Path) -> tuple[str, frozenset[str]]:
    """Returns the name and the flags of the first CPU."""
    facts: dict[str, str] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    flags = facts.get("flags") or facts.get("features") or ""
    return facts.get("model name", "unnamed CPU"), frozenset(flags.split())


def judge_instructions(model: str, flags: frozenset[str], machine: str) -> Finding:
    """Returns what a CPU with these flags can do."""
    if not flags:
        return Finding("unknown", f"{model}: /proc/cpuinfo has no flags", "a list of instructions", "none is needed")
    names = [name for flag, name in _INSTRUCTIONS.items() if flag in flags]
    found = f"{model}: {', '.join(names) or 'no vector instructions'}"
    if machine in ("x86_64", "AMD64") and "avx" not in flags:
        remedy = "use a newer CPU, or have the virtual machine pass the host's CPU on (-cpu host)"
        return Finding("error", found, "AVX, which TensorFlow needs", remedy)
    if machine in ("x86_64", "AMD64") and "avx2" not in flags:
        remedy = "use a newer CPU, or have the virtual machine pass the host's CPU on (-cpu host)"
        return Finding("warning", found, "AVX2: without it, models are several times slower", remedy)
    return ok(found)


def check_precision(subject: Subject) -> Finding:
    """Measures both precisions."""
    from reelbeam.transforms.models.precision_speed import seconds_per_call

    float32 = seconds_per_call("float32")
    try:
        bfloat16 = seconds_per_call("bfloat16")
    except RuntimeError:  # OpenVINO has no kernel for this CPU
        bfloat16 = float("inf")
    return judge_speeds(float32, bfloat16, subject.precision)


def judge_speeds(float32: float, bfloat16: float, wanted: str) -> Finding:
    """Returns whether the wanted precision is fast.

    Args:
      float32, bfloat16: seconds per call; infinite if it does not run.
      wanted: the precision of --precision.
    """
    factor = float32 / bfloat16
    if not factor:
        found, expected = "bfloat16 does not run on this CPU", "a CPU on which bfloat16 runs"
        is_wanted = wanted == "bfloat16"
        return (
            Finding("error", found, expected, "leave out --precision bfloat16")
            if is_wanted
            else ok(f"{found}: float32 does")
        )
    found = f"bfloat16 is {factor:.1f} times as fast as float32 ({bfloat16 * 1e3:.1f} and {float32 * 1e3:.1f} ms)"
    if wanted == "bfloat16" and factor < _FASTER:
        return Finding("warning", found, "a CPU on which bfloat16 is faster", "leave out --precision bfloat16")
    return ok(f"{found}: --precision bfloat16 saves time" if factor >= _FASTER else f"{found}: float32 is fast here")


def check_cores(subject: Subject) -> Finding:
    """Counts the CPUs by affinity and quota."""
    folder = subject.system.cgroups
    machine, allowed, share = os.cpu_count() or 1, len(os.sched_getaffinity(0)), cpus.quota(folder)
    quota = "no quota" if share is None else f"a quota of {share:g}"
    found = f"{counted(subject.num_threads, 'thread')}: {allowed} of {counted(machine, 'CPU')}, {quota}"
    if share is not None and share < 1:
        return Finding("warning", found, "at least one CPU", "raise the container's CPU limit")
    return ok(found)


def memory_limit(cgroups: pathlib.Path) -> int | None:
    """Returns the memory limit of this process's control group in bytes; None if there is no limit.

    Args:
      cgroups: the folder where control groups are mounted, of version 2 or 1.
    """
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroups / name).read_text("ascii").strip()
            return int(text) if text != "max" and int(text) < _V1_UNLIMITED else None
        except (OSError, ValueError):
            continue
    return None


def machine_memory(proc: pathlib.Path) -> tuple[int, int]:
    """Returns the memory of the machine and what of it is available, in bytes."""
    lines = (proc / "meminfo").read_text("ascii").splitlines()
    facts = {name: int(value.split()[0]) << 10 for name, _, value in (line.partition(":") for line in lines)}
    return facts["MemTotal"], facts.get("MemAvailable", facts["MemTotal"])


def check_memory(subject: Subject) -> Finding:
    """Compares the memory of machine and container with what a local run takes."""
    total, available = machine_memory(subject.system.proc)
    limit = memory_limit(subject.system.cgroups)
    granted = min(total, total if limit is None else limit)
    num_threads = subject.num_threads
    needed = _OWN_BYTES + num_threads * _THREAD_BYTES
    text = "no limit" if limit is None else f"a limit of {_size(limit)}"
    found = f"{_size(total)}, {_size(available)} available, {text}"
    if min(granted, available) < needed:
        expected = f"{_size(needed)} for {counted(num_threads, 'thread')}"
        return Finding("warning", found, expected, "raise the container's memory limit, or lower --direct_num_workers")
    return ok(found)


def check_limits(subject: Subject) -> Finding:
    """Compares the limits of open files and of the address space with what a local run needs."""
    from reelbeam.pipeline.settings import bounds
    from reelbeam.transforms.media.limits import DEFAULT_LIMITS

    num_threads = subject.num_threads
    bounds.check_address_space(num_threads, DEFAULT_LIMITS.memory_bytes)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    found = ", ".join(
        f"{name} {'unlimited' if value == resource.RLIM_INFINITY else value}"
        for name, value in (("open files", files), ("processes", processes), ("address space", space))
    )
    needed = _FILES + num_threads * _FILES_PER_THREAD
    if files != resource.RLIM_INFINITY and files < needed:
        return Finding("warning", found, f"at least {needed} open files", f"ulimit -n {max(needed, 1024)}")
    return ok(found)


def _size(num_bytes: int) -> str:
    return (
        byte_text(num_bytes // (1 << 20) * (1 << 20)) if num_bytes < _GIBIBYTE else f"{num_bytes / _GIBIBYTE:.1f} GiB"
    )
