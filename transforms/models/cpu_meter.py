"""The CPU time of a process while at least one of its threads runs the model."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator


@dataclasses.dataclass
class Used:
    """The share of a block, in CPU-seconds; 0.0 until the block has ended."""

    cpu_seconds: float = 0.0


class CpuMeter:
    """Measures the CPU time of this process while at least one block is active. Safe for use by several threads.

    Engines compute in threads of their own, so the CPU time of the calling thread would say too little. Instead, the
    CPU time of the process counts, user and system, once for blocks that overlap. It includes what other threads of
    the process do meanwhile: on a local run, copying the next clips and fetching remote videos. It does not include
    decoders, which are other processes.

    Args:
      clock: returns the CPU-seconds of the process.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._num_active = 0
        self._read_at = 0.0
        self._unshared = 0.0

    @contextlib.contextmanager
    def measure(self) -> Iterator[Used]:
        """Measures a block.

        A block gets the time since the last block ended or, if no block was active then, since the first one began.
        So the sum of the shares is the whole time, and the share of one of several overlapping blocks means little.
        """
        used = Used()
        with self._lock:
            self._read()
            self._num_active += 1
        try:
            yield used
        finally:
            with self._lock:
                self._read()
                self._num_active -= 1
                used.cpu_seconds, self._unshared = self._unshared, 0.0

    def _read(self) -> None:
        """Adds the time since the last reading, if a block was active."""
        now = self._clock()
        if self._num_active:
            self._unshared += now - self._read_at
        self._read_at = now


model_meter = CpuMeter()
"""The meter of this process, for all steps that run a model."""
