"""What a run would do, without doing it: the listing is compared with the ledger, and a sample of the headers is read.

Nothing is written. Videos are listed and compared in portions, so a million of them never stand in memory at once; what
is kept of each is a number in a set, 70 bytes, to drop those that are named twice, and with `--limit` one of each that
it lets through.

The sample are the videos with the smallest hash: those that a run with `--limit` takes first. It is the same at every
call, and has nothing to do with what is in the videos.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import heapq
import itertools
import math
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np

from reelbeam.pipeline.commands.costs import DecodeCost, decode_cost, model_cost
from reelbeam.pipeline.settings.config import LOCAL_VIDEOS_PER_PART, LabelingConfig
from reelbeam.transforms import storage
from reelbeam.transforms.cpus import cpu_count
from reelbeam.transforms.errors import MediaError, without_query
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.media.decoding.probe import decoder_version
from reelbeam.transforms.media.sampling.clips import count_clips, max_num_clips
from reelbeam.transforms.media.sampling.stream import count_stream_clips
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec
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
from reelbeam.transforms.selection.list_videos import with_size
from reelbeam.transforms.storage.ignored import Report, ignore, most_frequent
from reelbeam.transforms.storage.spool.folder import SpoolConfig

LOCAL_SAMPLE, REMOTE_SAMPLE = 2_000, 100
"""How many headers are read; fewer of remote videos, since these are copied for it."""

PART_CPU_HOURS = 1.0
"""What the loss of a part should cost at most."""

_PORTION = 50_000
_CONFIDENCE = 1.96
"""Standard errors to either side that hold 95 of 100 estimates."""

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
      ConfigError, MediaError: an input or the output cannot be read.
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
        tell(f"{outcomes.total() + len(portion)} videos")
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
    listings = [expand_input(given, config.base_dir, report=report) for given in config.inputs]
    if config.input_list:
        listings.append(read_input_list(config.input_list, config.base_dir))
    seen: set[int] = set()
    for video in itertools.chain.from_iterable(listings):
        key = stable_hash(video.key, "plan")
        if key not in seen:
            seen.add(key)
            yield with_size(video)


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


@dataclasses.dataclass(frozen=True)
class ModelPlan:
    """What a run would cost with one model.

    Attributes:
      model_cpu_hours, cpu_hours: of the model, and with decoding; None where nothing is known of the model.
      measured: whether the model was measured; False: estimated from its GFLOPs.
    """

    model: str
    clips: int
    model_cpu_hours: float | None
    decode_cpu_hours: DecodeCost
    cpu_hours: float | None
    measured: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `reelbeam plan` prints.

    Attributes:
      outcomes: how many inputs, by reason, see `reelbeam.transforms.output.ledger`.
      ignored: what the listing left out, by kind.
      sampled: videos whose headers were read.
      extrapolated: whether the sample stands for more videos.
      hours: of video, to label.
      hours_error: how far `hours` may be off, with a confidence of 95 %.
      failures: videos that would fail, by code.
      models: the selected one first.
      videos_per_part: a good value of the flag; None where the default is good.
    """

    output: str
    inputs: int
    outcomes: Mapping[str, int]
    ignored: Mapping[str, int]
    to_label: int
    sampled: int
    extrapolated: bool
    hours: float
    hours_error: float
    failures: Mapping[str, int]
    clips: int
    engine: str
    models: tuple[ModelPlan, ...]
    videos_per_part: int | None


def make_plan(config: LabelingConfig, selection: PlannedSelection, headers: Headers) -> Plan:
    """Returns what `reelbeam plan` prints."""
    num_sampled = len(selection.sample)
    factor = selection.num_selected / num_sampled if num_sampled else 0.0
    seconds = [float(duration) for duration in headers.seconds]
    hours = sum(seconds) * factor / 3600
    models = [_cost(config, spec, headers.seconds, factor) for spec in _models(config)]
    return Plan(
        output=config.output,
        inputs=sum(selection.outcomes.values()),
        outcomes=selection.outcomes,
        ignored=selection.ignored,
        to_label=selection.num_selected,
        sampled=num_sampled,
        extrapolated=num_sampled < selection.num_selected,
        hours=hours,
        hours_error=estimate_error(seconds + [0.0] * sum(headers.failures.values()), selection.num_selected) / 3600,
        failures={code: round(n * factor) for code, n in sorted(headers.failures.items())},
        clips=models[0].clips,
        engine=config.engine,
        models=tuple(models),
        videos_per_part=_videos_per_part(models[0].cpu_hours, selection.num_selected),
    )


def estimate_error(values: Sequence[float], num_all: int) -> float:
    """Returns how far the extrapolated sum may be off, with a confidence of 95 %; 0 where all were looked at."""
    n = len(values)
    if n < 2 or n >= num_all:
        return 0.0
    return _CONFIDENCE * statistics.stdev(values) * num_all * math.sqrt((1 - n / num_all) / n)


def _models(config: LabelingConfig) -> list[ModelSpec]:
    """The chosen model, then the catalog's others that take the same flags."""
    kind = config.model.kind
    others = [spec for spec in CATALOG.values() if spec.kind == kind and spec.name != config.model.name]
    return [config.model, *others]


def _cost(config: LabelingConfig, spec: ModelSpec, durations: Sequence[Fraction], factor: float) -> ModelPlan:
    preset = spec.preset
    sampling = dataclasses.replace(config.sampling, num_frames=preset.num_frames, target_fps=preset.target_fps)
    count = count_clips if sampling.kind == "base" else count_stream_clips
    num_clips = sum(count(duration, sampling) for duration in durations) * factor
    decoded_hours = num_clips * float(sampling.clip_seconds) / 3600
    second = decode_cost()
    decoding = DecodeCost(second.low * decoded_hours, second.typical * decoded_hours, second.high * decoded_hours)
    cost = model_cost(spec, config.engine)
    model_hours = None if cost is None else num_clips * cost.seconds_per_clip / 3600
    return ModelPlan(
        model=without_query(spec.name),
        clips=round(num_clips),
        model_cpu_hours=model_hours,
        decode_cpu_hours=decoding,
        cpu_hours=None if model_hours is None else model_hours + decoding.typical,
        measured=bool(cost and cost.measured),
    )


def _videos_per_part(cpu_hours: float | None, num_videos: int) -> int | None:
    """Returns how many videos cost PART_CPU_HOURS, where a part of the usual size would cost more; else None."""
    if not cpu_hours or num_videos == 0:
        return None
    fitting = PART_CPU_HOURS * num_videos / cpu_hours
    if cpu_hours <= PART_CPU_HOURS or fitting >= LOCAL_VIDEOS_PER_PART:
        return None
    digits = 10 ** max(0, int(math.log10(max(fitting, 1))) - 1)
    return max(1, int(fitting / digits) * digits)
