"""Make the HTML report of an output: its content, the pictures of its clips, what changed, and the page of them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping

from reelbeam.pipeline import __version__
from reelbeam.pipeline.reports.accuracy import judge_rows
from reelbeam.pipeline.reports.page.accuracy_view import Accuracy
from reelbeam.pipeline.reports.page.budget import PictureBudget
from reelbeam.pipeline.reports.page.options import PageOptions
from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.pipeline.reports.page.picture_counts import PictureCounts
from reelbeam.pipeline.reports.report_place import place_of, require_writable, shown_place, write_page
from reelbeam.pipeline.settings.label_settings import RemoteSettings
from reelbeam.pipeline.settings.report_settings import ReportSettings
from reelbeam.pipeline.terminal.progress import ProgressLine, Stage, WorkLine
from reelbeam.transforms import storage
from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip, Pictures
from reelbeam.transforms.filmstrips.making import FilmstripOptions, Progress, make_filmstrips, remote_videos
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.registry.catalog import label_file
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.comparison.find_changes import ChangeOptions, find_changes
from reelbeam.transforms.output.comparison.selection import select_report_sides, select_rows
from reelbeam.transforms.output.report_content.clip_choice import ContentOptions
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.make_content import make_content
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ShownClip
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.redaction import bare_uri
from reelbeam.transforms.storage.spool.folder import SpoolConfig
from reelbeam.transforms.stored_models.labels import load_labels
from reelbeam.transforms.wording import counted

_MAX_THREADS = 8


@dataclasses.dataclass(frozen=True)
class ReportRequest:
    """A report that was asked for.

    Attributes:
      output: the output to show.
      pictures: how the pictures are made.
      settings: the settings of `reelbeam report`.
    """

    output: str
    pictures: FilmstripOptions
    settings: ReportSettings = ReportSettings()


@dataclasses.dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Attributes:
      uri: of the page.
      num_bytes: its size.
      num_clips, num_videos: the clips that it shows, and the videos that these are of.
      pictures: how many of those clips have pictures.
    """

    uri: str
    num_bytes: int
    num_clips: int
    num_videos: int
    pictures: PictureCounts

    def to_line(self) -> str:
        """Returns where the report is and what it holds, as one line."""
        shown = f"{counted(self.num_clips, 'clip')} of {counted(self.num_videos, 'video')}"
        if self.pictures.missing:
            shown += f", {self.pictures.num_pictures} with pictures"
        return f"report: {shown_place(self.uri)} ({self.num_bytes / 1e6:.1f} MB): {shown}; open it in a browser"


def picture_options(settings: RemoteSettings, allow_unconfined: bool, num_threads: int | None) -> FilmstripOptions:
    """Returns how pictures are made.

    Args:
      settings: where remote videos are kept.
      allow_unconfined: see `DecoderLimits`.
      num_threads: the number of videos that are decoded at a time; None: as many as this machine has CPUs, up to a
        limit, because each decoder needs memory, and a container sees all CPUs of its node.
    """
    threads = num_threads or min(cpu_count(), _MAX_THREADS)
    spool = SpoolConfig(settings.spool_dir, settings.spool_bytes)
    return FilmstripOptions(num_threads=threads, spool=spool, allow_unconfined=allow_unconfined)


def write_report(request: ReportRequest) -> WrittenReport:
    """Makes the report of an output, and writes it.

    Raises:
      ConfigError: the output has no committed run or not the named one, or the page cannot be written there.
      RunError: the page cannot be written now.
      StorageError: the output cannot be read.
    """
    settings = request.settings
    output = Output.read(request.output)
    target = place_of(settings.to, output.uri)
    require_writable(target)
    videos = tuple(bare_uri(storage.normalize(uri)) for uri in settings.video)
    shown = ContentOptions(seed=settings.seed, max_clips=settings.clips, videos=videos)
    with WorkLine("reading") as line:
        rows = select_rows(output, settings.run, line.show)
        content = make_content(rows, shown, line.show)
        accuracy = None if settings.truth is None else judge_rows(rows, _request(settings), line.show)
        changes = None
        if settings.against is not None:
            sides = select_report_sides(output, rows, settings.against, settings.run, line.show)
            changes = find_changes(*sides, ChangeOptions(seed=settings.seed, min_drift=settings.min_drift), line.show)
    clips = _clips(content, changes, accuracy)
    pictures = _pictures(clips, output.uri, request)
    page, num_dropped = _page(content, pictures, changes, accuracy, settings.max_bytes)
    num_bytes = write_page(target, page)
    counts = PictureCounts.of(pictures, num_dropped)
    _warn(counts, num_bytes, settings.max_bytes)
    return WrittenReport(target, num_bytes, len(clips), len({key.video_uri for key in clips}), counts)


def _page(
    content: Content,
    pictures: Mapping[ClipKey, Pictures],
    changes: Changes | None,
    accuracy: Accuracy | None,
    max_bytes: int,
) -> tuple[str, int]:
    """Returns the page, and the number of clips whose pictures are left out because of its size."""
    budgets: list[PictureBudget] = []
    options = PageOptions(max_bytes=max_bytes, version=__version__)
    page = render_page(content, pictures, changes, options, accuracy, budgets.append)
    return page, sum(len(budget.dropped) for budget in budgets)


def _warn(pictures: PictureCounts, num_bytes: int, max_bytes: int) -> None:
    """Prints which pictures are missing, and whether the page is too large."""
    if pictures.missing:
        print(pictures.to_text(), file=sys.stderr)
    if num_bytes > max_bytes:
        print(
            f"the page has {num_bytes / 1e6:.1f} MB without any picture, which is more than --max_bytes {max_bytes}: "
            "pass fewer --clips",
            file=sys.stderr,
        )


def _request(settings: ReportSettings) -> EvaluationRequest:
    labels = None if settings.labels is None else load_labels(label_file(settings.labels))
    return EvaluationRequest(truth=settings.truth or "", labels=labels, seed=settings.seed)


def _clips(content: Content, changes: Changes | None, accuracy: Accuracy | None) -> dict[ClipKey, ShownClip]:
    """Returns each clip of the report once."""
    of_changes = [video.clip for video in changes.changed if video.clip] if changes else []
    wrong = accuracy.clips() if accuracy else ()
    return {clip.key: clip for clip in (*content.clips(), *of_changes, *wrong)}


def _pictures(clips: Mapping[ClipKey, ShownClip], output: str, request: ReportRequest) -> Mapping[ClipKey, Pictures]:
    """Returns the pictures of clips, or why there are none."""
    if request.settings.no_images:
        return {key: NoFilmstrip("omitted") for key in clips}
    remote = remote_videos(clips.values())
    if remote.num_videos:
        print(
            f"reading pictures from {counted(remote.num_videos, 'video')} in object stores: at most "
            f"{remote.max_bytes / 1e6:.1f} MB; --no_images avoids that",
            file=sys.stderr,
        )
    reached = Progress(0, len(clips), 0)

    def report(progress: Progress) -> None:
        nonlocal reached
        reached = progress

    with ProgressLine(True, lambda: _stage(reached)):
        return make_filmstrips(clips.values(), output, request.pictures, report)


def _stage(progress: Progress) -> Stage:
    fetched = f", {progress.bytes_fetched / 1e6:.1f} MB fetched" if progress.bytes_fetched else ""
    return Stage(f"pictures of {progress.done} of {counted(progress.total, 'clip')}{fetched}", *progress[:2])
