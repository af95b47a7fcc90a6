"""Access to the output during a run: the lock, the recovery of interrupted runs, the removal of the selection."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from reelbeam.pipeline.job.places import unwritable
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.transforms import errors, storage
from reelbeam.transforms.output.commits import recover
from reelbeam.transforms.output.lock.output_lock import (
    FIRST_JOB_LEASE_SECONDS,
    LOCAL_LEASE_SECONDS,
    LockTicket,
    OutputLock,
)
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.storage.uris import joined

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def hold_output(
    lock: LockTicket, ends_with_process: bool, wait: bool, progress: RunProgress | None = None
) -> Iterator[OutputLock]:
    """Locks the output while it is open, and first finishes or removes what interrupted runs left.

    Args:
      lock: the output, and the name of the run.
      ends_with_process: whether the run cannot outlive this process.
      wait: whether to wait for another holder.
      progress: the progress to write into the lock.

    Raises:
      ConfigError: the output cannot be written.
      RunError: the output cannot be written now.
      OutputLockedError: another run writes there.
    """
    lease_seconds = FIRST_JOB_LEASE_SECONDS if lock.outlives_launcher else LOCAL_LEASE_SECONDS
    progress = progress or RunProgress()
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(OutputLock(lock, lease_seconds, wait, ends_with_process, progress.for_lock))
            with storage.storage_errors(lock.output):
                recovered = recover(lock.output)
        except errors.StorageError as error:
            raise unwritable(lock.output, error) from error
        for run_id in recovered.finished:
            _LOGGER.warning("finished the commit of run %s, which was interrupted", run_id)
        for run_id in recovered.removed:
            _LOGGER.warning("removed the files of run %s, which was interrupted or rejected", run_id)
        yield held


def forget_selection(paths: RunPaths) -> None:
    """Deletes the selection. It holds URIs as they were given, with their signatures."""
    try:
        with storage.storage_errors(paths.staging):
            storage.delete_folder(joined(paths.staging, "selected"))
            if not storage.exists(paths.rejection_record):
                storage.delete_folder(paths.staging)
    except errors.StorageError as failure:  # the next start removes it
        _LOGGER.warning("%s could not be removed: %s", paths.staging, failure)
