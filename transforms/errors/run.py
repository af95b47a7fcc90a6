"""Errors of a run as a whole, and of its flags."""

from __future__ import annotations

from reelbeam.transforms.errors.base import ReelbeamError


class ConfigError(ReelbeamError):
    """A flag, or a combination of flags, that cannot work; also an input, list or output that cannot be used."""

    code = "invalid_config"


class RunError(ReelbeamError):
    """The run as a whole failed."""

    code = "run_failed"


class TooManyFailuresError(RunError):
    """More of the inputs failed than `--max_failure_ratio` allows."""

    code = "too_many_failures"


class ReconciliationError(RunError):
    """The written rows do not add up to the inputs."""

    code = "rows_do_not_add_up"


class OutputLockedError(RunError):
    """Another run writes to the output."""

    code = "output_locked"


class LockLostError(RunError):
    """The run's lease of the output ended before the run did, and another run took over the output."""

    code = "lock_lost"
