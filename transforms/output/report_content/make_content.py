"""Make the content of a report from the rows of an output."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.arrays import Places
from reelbeam.transforms.output.report_content.chosen_rows import ChosenRows, read_chosen
from reelbeam.transforms.output.report_content.clip_choice import Choice, ContentOptions, choose
from reelbeam.transforms.output.report_content.clip_table import ClipTable
from reelbeam.transforms.output.report_content.content import Content, Cost, Labeling, Totals
from reelbeam.transforms.output.report_content.corpus import corpus, label_shares
from reelbeam.transforms.output.report_content.near_names import near_names
from reelbeam.transforms.output.report_content.shown_clips import LabelSheet, Sheets, ShownClip
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.report_content.timelines import TimelinePlans, plan_timelines, timeline
from reelbeam.transforms.output.report_content.video_facts import VideoFacts, find_inputs
from reelbeam.transforms.output.run_counts import PlannedCost, RunCost
from reelbeam.transforms.output.run_document import SAMPLING_SETTINGS, LabelingKey, RunDocument
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.tables import run_name

MAX_RANGES = 20
"""The most ranges of a requested video that get a timeline: the first ones."""


def make_content(
    rows: ShownRows, options: ContentOptions | None = None, on_file: OnFile = lambda path: None
) -> Content:
    """Returns what a report shows of an output.

    The videos table and the clips table are read twice: once for the sums and the choice of clips, which keep some 40
    bytes for each video and 72 for each clip, and once for the rows that are shown. The result depends only on the rows
    and the options, not on their order or on the files that hold them.

    Args:
      rows: the rows to show.
      options: the sizes of the report; None: the defaults.
      on_file: called for each file that is read.

    Raises:
      ConfigError: a requested video is not there.
      StorageError: a file cannot be read.
    """
    options = options or ContentOptions()
    videos = VideoFacts.read(rows, options.seed, on_file)
    requested = _requested(rows, videos, options.videos, on_file) if options.videos else []
    clips = ClipTable.read(rows, videos.order, on_file)
    planned = plan_timelines(clips, videos.order, requested, options)
    choice = choose(clips, videos.order, label_shares(videos, clips), planned.clips(), options)
    with_timeline = [plan.input for plan in planned.plans]
    chosen = read_chosen(rows, videos.order, clips, _all_places(choice, planned), with_timeline, on_file)
    failures = videos.failures()
    return Content(
        output=rows.output.uri,
        totals=_totals(rows, videos),
        labelings=_labelings(rows.runs(), videos.runs),
        failures=failures,
        corpus=corpus(videos, clips, options.num_labels),
        sheets=_sheets(choice, clips, chosen),
        timelines=tuple(timeline(plan, clips, chosen) for plan in planned.plans),
        num_timelines_left_out=planned.num_left_out,
        num_codes_left_out=videos.num_codes - len(failures),
    )


def _requested(rows: ShownRows, videos: VideoFacts, wanted: Sequence[str], on_file: OnFile) -> list[int]:
    """Returns the ranks of the requested videos in the order of the request; ranges of one video follow each other."""
    found: dict[str, list[int]] = {uri: [] for uri in wanted}
    for uri, number in find_inputs(rows, tuple(wanted), on_file):
        found[uri].append(int(videos.order.ranks[number]))
    for uri, ranks in found.items():
        if not ranks:
            near = near_names(uri, (batch[0] for batch in rows.batches("videos", ["video_uri"], on_file)))
            remedy = f"pass the URI of a row, such as {', '.join(near)}" if near else "pass the URI of a row"
            raise ConfigError(f"--video {uri} is not a video of {rows.output.uri}; {remedy}")
    return [rank for ranks in found.values() for rank in sorted(ranks)[:MAX_RANGES]]


def _all_places(choice: Choice, planned: TimelinePlans) -> Places:
    sheets = (places for sheet in choice.labels for places in (sheet.surest, sheet.median, sheet.least))
    return np.unique(np.concatenate([*sheets, *choice[1:], planned.clips()]))


def _sheets(choice: Choice, clips: ClipTable, rows: ChosenRows) -> Sheets:
    def shown(places: Places) -> tuple[ShownClip, ...]:
        return tuple(rows.clip(clips, place) for place in places.tolist())

    labels = (
        LabelSheet(sheet.label, sheet.videos, sheet.clips, *map(shown, (sheet.surest, sheet.median, sheet.least)))
        for sheet in choice.labels
    )
    return Sheets(tuple(labels), *map(shown, choice[1:]))


def _totals(rows: ShownRows, videos: VideoFacts) -> Totals:
    last = [run.labeled for run in rows.last_runs]
    return Totals(
        videos=videos.statuses.total(),
        ok=videos.statuses["ok"],
        partial=videos.statuses["partial"],
        failed=videos.statuses["failed"],
        nothing_recognized=videos.num_nothing_recognized,
        clips=videos.num_clips,
        video_ms=sum(videos.durations_ms.tolist()),
        size_bytes=videos.size_bytes,
        skipped=_summed(document.skipped for document in last),
        ignored=_summed(document.ignored for document in last),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: collections.Counter[str] = collections.Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _labelings(runs: Sequence[Run], num_videos: Mapping[str, int]) -> tuple[Labeling, ...]:
    """Returns the labelings of runs, the newest first."""
    groups: dict[tuple[LabelingKey, str, str], list[RunDocument]] = {}
    for document in (run.labeled for run in runs):
        groups.setdefault((LabelingKey.of(document), document.model, document.engine), []).append(document)
    found = [_labeling(documents, num_videos) for documents in groups.values()]
    return tuple(sorted(found, key=lambda labeling: (labeling.last_run, labeling.model), reverse=True))


def _labeling(documents: Sequence[RunDocument], num_videos: Mapping[str, int]) -> Labeling:
    names = list(dict.fromkeys(run_name(document.run_id) for document in documents))
    last = documents[-1]
    settings = ((name, last.configuration.get(name)) for name in SAMPLING_SETTINGS)
    return Labeling(
        model=last.model,
        engine=last.engine,
        precision=last.precision,
        sampling={name: str(value) for name, value in settings if value not in (None, "0", False)},
        num_runs=len(names),
        first_run=names[0],
        last_run=names[-1],
        started_at=documents[0].started_at,
        finished_at=last.finished_at,
        videos=sum(num_videos.get(document.run_id, 0) for document in documents),
        cost=_cost(documents),
    )


def _cost(documents: Sequence[RunDocument]) -> Cost | None:
    measured = [document for document in documents if document.cost is not None]
    if not measured:
        return None
    total = RunCost.total(document.cost for document in measured if document.cost is not None)
    seconds = sum(document.counts.video_ms for document in measured) / 1000
    planned = [document.planned_cost for document in measured if document.planned_cost is not None]
    return Cost(
        total.decode_cpu_seconds,
        total.model_cpu_seconds,
        seconds,
        total.scale_cpu_seconds,
        total.decoder_wait_seconds,
        total.model_wait_seconds,
        PlannedCost.total(planned).cpu_seconds if len(planned) == len(measured) else None,
    )
