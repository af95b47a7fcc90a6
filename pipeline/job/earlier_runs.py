"""Earlier runs of an output: the name and the rows of a new run are dated after theirs, even if a clock was ahead."""

from __future__ import annotations

import dataclasses
import datetime
import logging

from reelbeam.pipeline.job.places import unusable
from reelbeam.transforms import errors
from reelbeam.transforms.output import runs
from reelbeam.transforms.output.run_document import LabelingKey, RunDocument
from reelbeam.transforms.output.runs import Latest
from reelbeam.transforms.records import RunInfo

_OTHER_WORK = {
    "model_fingerprint": "the model {model}",
    "label_map_fingerprint": "other labels",
    "sampling_fingerprint": "another sampling of clips",
    "precision": "--precision {precision}",
    "output_activation": "its outputs read as {output_activation}",
}
_TOLERANCE = datetime.timedelta(minutes=5)
"""The difference between the clocks of two machines that causes no warning."""


def dated_after(run: RunInfo, last: Latest | None) -> RunInfo:
    """Returns the run, dated after `last`, which may have been committed since the run got its name."""
    return dataclasses.replace(run, labeled_at=runs.time_after(last).isoformat())


def name_part(run: RunInfo, number: int, count: int) -> RunInfo:
    """Returns the run of one part, which begins now. A single part has the name of the whole run."""
    now = runs.utc_now().isoformat()
    run_id = run.run_id if count == 1 else f"{run.run_id}-part{number:0{len(str(count))}d}of{count}"
    return dataclasses.replace(run, run_id=run_id, started_at=now, labeled_at=max(now, run.labeled_at or now))


def warn_of_future(last: Latest | None, output: str) -> None:
    """Warns if rows of an output are dated in the future: some clock is or was wrong."""
    if last is not None and last.labeled_at > runs.utc_now() + _TOLERANCE:
        logging.getLogger(__name__).warning(
            "%s has rows dated %s, which is %s ahead of this machine's clock. Compare the clocks. This run's rows are "
            "dated one second later, so that they count as newer",
            *(output, last.labeled_at.isoformat(), last.labeled_at - runs.utc_now()),
        )


def last_run(output: str) -> Latest | None:
    """Returns the newest committed run; None if there is none.

    Raises:
      ConfigError: the output cannot be read.
      RunError: the output cannot be read now.
    """
    try:
        return runs.latest_run(output)
    except errors.StorageError as error:
        raise unusable(f"--output {output} cannot be read: {error}", error) from error


def warn_of_other_work(last: Latest | None, run: RunInfo, output: str) -> None:
    """Warns if the last run had another labeling key: the output then holds rows of two kinds."""
    if last is None or not isinstance(last.summary, RunDocument):
        return
    mine, facts = LabelingKey.of(run).to_columns(), vars(last.summary)
    others = [text.format_map(facts) for name, text in _OTHER_WORK.items() if facts[name] != mine[name]]
    if others:
        logging.getLogger(__name__).warning(
            "%s was last labeled with %s. This run, with the model %s, also labels videos that have only such rows. "
            "The earlier rows are kept; `status` and the views prefer the rows of this run. To keep the rows apart, "
            "pass another --output",
            *(output, " and ".join(others), run.model),
        )
