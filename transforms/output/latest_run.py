"""The newest rows of an output: what a run comes after."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.output.commits import COMPACTION, name_of, read_summary
from reelbeam.transforms.output.run_document import CommittedDocument, CompactionDocument


class Latest(NamedTuple):
    """What the newest runs of an output say.

    Attributes:
      summary: the document of the run that labeled last.
      labeled_at: the time of the newest rows.
    """

    summary: CommittedDocument
    labeled_at: datetime.datetime


def utc_now() -> datetime.datetime:
    """Returns this second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def time_after(last: Latest | None) -> datetime.datetime:
    """Returns the time of a run's rows: now, or just after the newest rows where a clock was ahead of this one."""
    return utc_now() if last is None else max(utc_now(), last.labeled_at + datetime.timedelta(seconds=1))


def latest_run(output: str) -> Latest | None:
    """Returns what the newest runs of an output say; None: nothing is committed.

    The last run by name has the newest rows, unless it waited for the lock of one whose clock was ahead. Such a run is
    the last one that is not in the future.

    Raises:
      MediaError: the output cannot be read.
    """
    uris = sorted(storage.find_files(output, "runs/*.json"), key=lambda uri: (COMPACTION not in uri, name_of(uri)))
    if not uris:
        return None
    now = f"{utc_now():%Y%m%dT%H%M%SZ}"
    past = [uri for uri in uris if name_of(uri)[: len(now)] <= now]
    summaries = [read_summary(uri) for uri in dict.fromkeys([uris[-1], *past[-1:]])]
    return Latest(summaries[0], max(map(_labeled_at, summaries)))


def _labeled_at(document: CommittedDocument) -> datetime.datetime:
    labeled_at = None if isinstance(document, CompactionDocument) else document.labeled_at
    return datetime.datetime.fromisoformat(labeled_at or document.started_at)
