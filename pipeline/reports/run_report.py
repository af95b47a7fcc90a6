"""`reelbeam label --report`: the report of an output at the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from reelbeam.pipeline.job.outcome import Outcome
from reelbeam.pipeline.reports.html_report import ReportRequest, picture_options, write_report
from reelbeam.pipeline.reports.report_place import default_place, shown_place
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import errors, storage
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.output.runs import read_summary

_LOGGER = logging.getLogger(__name__)
_NOT_WRITTEN = "the run is committed, but its report could not be written"


def require_wait(submits_only: bool) -> None:
    """Raises ConfigError if the launcher does not wait for the end of the run, when the report is written."""
    if submits_only:
        raise errors.ConfigError(
            "--report is written when the run has ended, and this launcher does not wait for that: leave it out, and "
            "run `reelbeam report OUTPUT` later"
        )


def report_run(config: LabelingConfig, outcomes: Sequence[Outcome]) -> str | None:
    """Writes the report of the output after a committed run, if it is missing or older than the newest rows.

    A failure is a warning, because the rows are committed.

    Returns:
      The URI of the report; None if there is none.
    """
    last = outcomes[-1]
    if last.exit_code or last.job is not None:
        return None
    place = default_place(last.paths.output)
    try:
        if _is_up_to_date(place, outcomes):
            print(f"report: {shown_place(place)} is up to date")
            return place
        pictures = picture_options(config, config.allow_unconfined_decoder, config.num_threads)
        written = write_report(ReportRequest(last.paths.output, pictures))
    except (errors.ReelbeamError, OSError, MemoryError) as error:
        _LOGGER.warning("%s: %s", _NOT_WRITTEN, error)
        return None
    except Exception as error:  # a bug, or rows that others wrote: the exit code is that of the run
        _LOGGER.warning("%s: %s: %s", _NOT_WRITTEN, type(error).__name__, error)
        _LOGGER.debug("where the report failed", exc_info=True)
        return None
    except KeyboardInterrupt:
        _LOGGER.warning("interrupted: the run is committed, but its report was not written")
        return None
    print(written.to_line())
    return place


def _is_up_to_date(place: str, outcomes: Sequence[Outcome]) -> bool:
    """Returns whether a report exists that is not older than the newest rows."""
    if any(outcome.summary and outcome.summary.counts.videos for outcome in outcomes):
        return False
    try:
        written = storage.stat(place).modified_seconds
    except errors.ObjectNotFoundError:
        return False
    for document in sorted(storage.find_files(outcomes[-1].paths.output, "runs/*.json"), reverse=True):
        found = read_summary(document)
        if isinstance(found, RunDocument) and found.counts.videos:
            committed = storage.stat(document).modified_seconds
            return written is not None and committed is not None and written >= committed
    return True
