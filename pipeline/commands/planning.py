"""What a run would do, without doing it: the listing is compared with the ledger, and a sample of the headers is read.

Nothing is written. Videos are listed and compared in portions, so a million of them never stand in memory at once; what
is kept of each is a number in a set, 70 bytes, to drop those that are named twice, and with `--limit` one of each that
it lets through; of files that only links lead to, also their names.

The sample are the videos with the smallest hash: those that a run with `--limit` takes first. It is the same at every
call, and has nothing to do with what is in the videos.
"""

from __future__ import annotations

import collections
import concurrent.futures
import heapq
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np

from reelbeam.pipeline.settings.command_settings import LOCAL_SAMPLE, REMOTE_SAMPLE
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import storage
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.media.decoding.probe import decoder_version
from reelbeam.transforms.media.sampling.clips import max_num_clips
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.output.ledger import (
    BEYOND_LIMIT,
    SELECTED,
    LedgerRow,
    decide,
    ledger_runs,
    prefilter,
    read_rows,
    uri_key,
)
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.plan_clips import labeled_seconds
from reelbeam.transforms.records import SkipRules, VideoRef, stable_hash
from reelbeam.transforms.selection.duplicates import Files, Mention
from reelbeam.transforms.selection.list_videos import with_size
from reelbeam.transforms.storage.ignored import Report, ignore, most_frequent
from reelbeam.transforms.storage.spool.folder import SpoolConfig
from reelbeam.transforms.wording import counted

_PORTION = 50_000

_Tell = Callable[[str], None]
_Entry = TypeVar("_Entry", bound=tuple[object, ...])


class PlannedSelection(NamedTuple):
    """What a run would select.

    Attributes:
      outcomes: how many videos, by reason, see `reelbeam.transforms.output.ledger`.
      num_selected: how many would be labeled.
      sample: some of these, at most `sample_size`.
      ignored: what the listing left out, by kind, see `reelbeam.transforms.storage.ignored`.
    """

    outcomes: dict[str, int]
    num_selected: int
    sample: list[VideoRef]
    ignored: dict[str, int]


class Headers(NamedTuple):
    """What the headers of a sample say: seconds of each video that can be labeled, and failures by code."""

    seconds: list[Fraction]
    failures: dict[str, int]


def select(config: LabelingConfig, key: LabelingKey | None, sample_size: int | None, tell: _Tell) -> PlannedSelection:
    """Compares the listing with the ledger.

    Args:
      config: of the run.
      key: the labeling key of the run; None where the output holds nothing yet.
      sample_size: how many headers will be read; None: as many as suit the place.
      tell: is told how far it is.

    Raises:
      ConfigError, StorageError: an input or the output cannot be read.
    """
    outcomes: collections.Counter[str] = collections.Counter()
    sample: list[tuple[int, str, VideoRef]] = []
    within: list[tuple[int, str]] = []
    rules = config.skip_rules
    runs = [] if key is None or rules.force else list(ledger_runs(config.output, key))
    files = [path for run in runs for path in run.files("videos")]
    other_runs = {run.run_id for run in runs if config.row_options.would_change(run.summary)}
    ignored: collections.Counter[str] = collections.Counter()
    for portion in _portions(listed_videos(config, lambda kind: ignored.update([kind]))):
        tell(counted(outcomes.total() + len(portion), "video"))
        for video, reason in _decide(portion, files, key, rules, other_runs):
            outcomes[reason] += 1
            if reason in SELECTED:
                size = sample_size or (REMOTE_SAMPLE if storage.local_path(video.video_uri) is None else LOCAL_SAMPLE)
                _keep(sample, (_order(video), video.key, video), min(size, rules.limit or size))
                if rules.limit and (left_out := _keep(within, (_order(video), reason), rules.limit)):
                    outcomes.update({left_out[1]: -1, BEYOND_LIMIT: 1})
    num_selected = sum(outcomes[reason] for reason in SELECTED)
    videos = [video for *_, video in sorted(sample, reverse=True)]
    counts = {reason: n for reason, n in outcomes.items() if n}
    return PlannedSelection(counts, num_selected, videos, most_frequent(ignored))


def listed_videos(config: LabelingConfig, report: Report = ignore) -> Iterator[VideoRef]:
    """Yields each video of the inputs once, with its size and version, as `ListVideos` gives them.

    Args:
      config: of the run.
      report: is called for each file and folder that is left out.
    """
    listed: set[int] = set()  # names, and their files
    files: set[int] = set()
    linked: dict[int, VideoRef] = {}  # files that only links have led to so far
    for mention in _mentions(config, report):
        file, key = (stable_hash(text, "plan") for text in (mention.file, mention.video.key))
        if mention.is_listed:
            if key not in listed:
                yield with_size(mention.video)
            listed.add(key)
            files.add(file)
        elif file in files:
            continue
        elif mention.link_to:
            linked[file] = min(linked.get(file, mention.video), mention.video, key=lambda video: video.video_uri)
        else:
            files.add(file)
            yield with_size(mention.video)
    yield from (with_size(video) for file, video in linked.items() if file not in files)


def _mentions(config: LabelingConfig, report: Report) -> Iterator[Mention]:
    """Yields what the inputs name, a list's videos first."""
    files = Files()
    if config.input_list:
        for video in read_input_list(config.input_list, config.base_dir):
            yield files.mention(video, is_listed=True)
    for given in config.inputs:
        yield from map(files.mention, expand_input(given, config.base_dir, report=report))


def _portions(videos: Iterator[VideoRef]) -> Iterator[list[VideoRef]]:
    while portion := list(itertools.islice(videos, _PORTION)):
        yield portion


def _decide(
    videos: Sequence[VideoRef],
    files: Sequence[str],
    key: LabelingKey | None,
    rules: SkipRules,
    other_runs: Collection[str],
) -> Iterator[tuple[VideoRef, str]]:
    asked = [(video, prefilter(video, rules)) for video in videos]
    uri_keys = np.unique(np.array([uri_key(video.key) for video, reason in asked if reason is None], np.int64))
    rows: dict[str, list[LedgerRow]] = {}
    for path in files:
        assert key is not None, "there are files only where there is a key"
        for row in read_rows(path, uri_keys, key):
            rows.setdefault(row.key, []).append(row)
    version = decoder_version()
    for video, reason in asked:
        found = rows.get(video.key, ())
        yield video, reason or decide(video, found, rules, version, other_runs).reason


def _order(video: VideoRef) -> int:
    return -stable_hash(video.key, "limit")


def _keep(kept: list[_Entry], entry: _Entry, size: int) -> _Entry | None:
    """Keeps the `size` highest entries, in a heap with the lowest one on top; returns the one that is left out."""
    if len(kept) < size:
        heapq.heappush(kept, entry)
        return None
    return heapq.heappushpop(kept, entry)


def read_headers(config: LabelingConfig, videos: Sequence[VideoRef], tell: _Tell) -> Headers:
    """Reads the headers of some videos, in decoder processes, one a core."""
    spool = SpoolConfig(config.spool_dir, config.spool_bytes)

    def look(video: VideoRef) -> Fraction | str:
        try:
            with storage.local_file(storage.identified(video), config.max_video_bytes, spool) as path:
                duration = sandboxed.probe(path, config.decoder_limits).duration_seconds
            duration = labeled_seconds(video, duration)
            config.decoder_limits.check_clips(video.video_uri, max_num_clips(duration, config.sampling))
        except MediaError as error:
            return error.code
        return duration

    headers = Headers([], {})
    if videos:
        sandboxed.check_confinement(config.decoder_limits)
    with concurrent.futures.ThreadPoolExecutor(cpu_count()) as pool:
        for number, found in enumerate(pool.map(look, videos), start=1):
            tell(f"header {number} of {len(videos)}")
            if isinstance(found, str):
                headers.failures[found] = headers.failures.get(found, 0) + 1
            else:
                headers.seconds.append(found)
    return headers
