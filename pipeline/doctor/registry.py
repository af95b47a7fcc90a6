"""All checks, in their order. The module of a check is imported when it runs: a library that is missing costs one."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import cast

from reelbeam.pipeline.doctor.findings import Finding
from reelbeam.pipeline.doctor.subject import Subject


@dataclasses.dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
      id: its name.
      purpose: what it checks.
      module: the module in this package that has its function, whose name is `check_` and the id.
      needs: the flags that make it useful; "" if it always is.
      applies: whether it is useful for a subject.
      is_native: whether it computes with native code, which may kill its process.
      on_workers: whether it runs on the workers of a runner, too.
    """

    id: str
    purpose: str
    module: str
    needs: str = ""
    applies: Callable[[Subject], bool] = lambda subject: True
    is_native: bool = False
    on_workers: bool = False

    def run(self, subject: Subject) -> Finding:
        """Runs the check. Passes on its errors."""
        module = importlib.import_module(f"{__package__}.{self.module}")
        return cast(Callable[[Subject], Finding], getattr(module, f"check_{self.id}"))(subject)


CHECKS = (
    Check("python", "the version of Python", "installation", on_workers=True),
    Check("packages", "versions of packages that fit together", "installation", on_workers=True),
    Check("codecs", "the decoders of this FFmpeg", "installation", on_workers=True),
    Check("cpu", "instructions of the CPU", "machine", on_workers=True),
    Check("precision", "which precision is fast here, measured", "machine", is_native=True, on_workers=True),
    Check("cores", "the CPUs that this process may use", "machine", on_workers=True),
    Check("memory", "the memory that this process may use", "machine", on_workers=True),
    Check("limits", "limits of open files, processes and address space", "machine", on_workers=True),
    Check("sandbox", "the confinement of a decoder process", "sandboxing", on_workers=True),
    Check("shared_memory", "the memory for clips between decoder and model", "sandboxing", on_workers=True),
    Check("cache", "whether the cache for models can be written", "places", on_workers=True),
    Check("disk", "free space for temporary files, copies of videos and the output", "places", on_workers=True),
    Check("inputs", "whether local inputs name a video", "places", "--input", lambda s: bool(s.local_inputs)),
    Check("output", "write and rename a file in a local output", "places", "--output DIR", lambda s: bool(s.output)),
    Check(
        "credentials",
        "client and credentials for the stores that are named",
        "credentials",
        "an address in a store",
        lambda subject: bool(subject.remote),
    ),
    Check(
        "stores",
        "whether the stores that are named respond",
        "reaching",
        "--reach, and an address in a store",
        lambda subject: subject.reach and bool(subject.remote),
    ),
    Check(
        "hub",
        "whether the server of a model responds",
        "reaching",
        "--reach, and --model with a model that is not here",
        lambda subject: subject.reach and bool(subject.model) and not subject.stored_model,
    ),
    Check("decoder", "decode bundled clips in the sandbox: the recorded frames", "answers", on_workers=True),
    Check(
        "demo", "the bundled model on a bundled clip: the recorded logits", "answers", is_native=True, on_workers=True
    ),
    Check(
        "model",
        "the model that is named: it runs, and gives the recorded logits if there are some",
        "answers",
        "--model NAME, not in a store",
        lambda subject: bool(subject.model) and subject.model != "demo" and not subject.stored_model,
        is_native=True,
    ),
    Check("runner", "a small job, and checks on its workers", "workers", "--runner", lambda s: s.names_runner),
)
"""All checks."""


def find_checks(names: Sequence[str]) -> tuple[Check, ...]:
    """Returns the checks with these names, in their usual order; all if there are no names."""
    return tuple(check for check in CHECKS if not names or check.id in names)
