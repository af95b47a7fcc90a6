"""The confinement of decoders, and the shared memory for clips. Both are tried with a real process."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import ReelbeamError
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.media.sandbox.protocol import NUM_SLOTS
from reelbeam.transforms.media.sandbox.ring import ParentRing

_WHERE = "run on Linux 5.13 or later on x86-64 or aarch64, in a container that allows"
_MAX_FRAME_BYTES = 320 * 320 * 3
_MAX_CLIP_BYTES = 120 * _MAX_FRAME_BYTES
"""A clip of the largest model of the catalog."""


def limits_of(subject: Subject) -> DecoderLimits:
    """Returns the limits for decoders."""
    return dataclasses.replace(DEFAULT_LIMITS, allow_unconfined=subject.allow_unconfined)


def check_sandbox(subject: Subject) -> Finding:
    """Starts a decoder process and asks how it is confined."""
    with sandboxed.acquire(DEFAULT_LIMITS.memory_bytes, allow_unconfined=True) as process:
        walls = process.walls
    return judge_walls(walls, subject.allow_unconfined)


def judge_walls(walls: tuple[str, ...], allow_unconfined: bool) -> Finding:
    """Returns whether a decoder process is confined."""
    if "seccomp" in walls:
        return ok(f"confined by {' and '.join(sorted(walls))}, limits and dropped privileges")
    if walls:
        return Finding(
            "warning",
            "confined by Landlock alone: the system refuses seccomp filters",
            "a seccomp filter, which restricts all system calls",
            f"{_WHERE} seccomp (Docker and Kubernetes do with their default profiles)",
        )
    return Finding(
        "warning" if allow_unconfined else "error",
        "not confined: the system allows neither seccomp filters nor Landlock",
        "a seccomp filter or Landlock, against hostile videos",
        f"{_WHERE} one of them; for videos that you trust, pass --allow_unconfined_decoder",
    )


def check_shared_memory(subject: Subject) -> Finding:
    """Fills the memory for clips. It is anonymous: the size of /dev/shm does not limit it."""
    clip_bytes = _clip_bytes(subject)
    try:
        num_bytes = fill_ring(clip_bytes)
    except OSError as error:
        needed = f"{clip_bytes * NUM_SLOTS >> 20} MiB for the clips of a decoder"
        return Finding("error", f"{error.strerror}", needed, "raise the container's memory limit and `ulimit -f`")
    return ok(f"{num_bytes >> 20} MiB for clips, anonymous; {_shm_text(subject)}")


def _clip_bytes(subject: Subject) -> int:
    if subject.model and not subject.stored_model:
        with contextlib.suppress(ReelbeamError):  # a wrong model is for the check model
            preset = subject.spec().preset
            return preset.num_frames * preset.size * preset.size * 3
    return _MAX_CLIP_BYTES


def fill_ring(clip_bytes: int) -> int:
    """Writes all slots of a new ring and reads the last byte of it; returns the size in bytes.

    Raises:
      OSError: the system refuses the memory.
    """
    with contextlib.closing(ParentRing()) as ring:
        ring.reserve(clip_bytes)
        block, size = bytes(1 << 20), clip_bytes * NUM_SLOTS
        written = 0
        while written < size:
            written += os.pwrite(ring.descriptor, block[: size - written], written)
        ring.copy_out(NUM_SLOTS - 1, (clip_bytes,))
        return size


def _shm_text(subject: Subject) -> str:
    folder = subject.system.shared_memory
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return f"{folder} is absent, and not needed"
    return f"{folder} has {usage.free / (1 << 20):.0f} MiB free, and is not used"
