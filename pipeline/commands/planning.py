"""What a run would do: the same selection as that of a run, and the headers of a sample of the selected videos."""

from __future__ import annotations

import concurrent.futures
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from reelbeam.pipeline.job.sample_job import sample_selection
from reelbeam.pipeline.settings.command_settings import LOCAL_SAMPLE, REMOTE_SAMPLE
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import storage
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.media.decoding.probe import decoder_version
from reelbeam.transforms.media.sampling.clips import max_num_clips
from reelbeam.transforms.media.sampling.video_plan import labeled_seconds
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.output.ledger import SELECTED
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.ignored import most_frequent
from reelbeam.transforms.storage.spool.folder import SpoolConfig


class PlannedSelection(NamedTuple):
    """What a run would select.

    Attributes:
      outcomes: number of videos by reason, see `reelbeam.transforms.output.ledger`.
      num_selected: number of videos to label.
      sample: some of these: those that a run with `--limit` takes first.
      ignored: number of files and folders that the listing ignored, by kind.
    """

    outcomes: dict[str, int]
    num_selected: int
    sample: list[VideoRef]
    ignored: dict[str, int]


class Headers(NamedTuple):
    """The headers of a sample.

    Attributes:
      seconds: how much of each video can be labeled, in seconds.
      failures: number of videos that would fail, by error code.
    """

    seconds: list[Fraction]
    failures: dict[str, int]


def select(config: LabelingConfig, key: LabelingKey | None, sample_size: int | None) -> PlannedSelection:
    """Lists the videos and compares them with the ledger, as a run does.

    Args:
      config: of the run.
      key: the labeling key of the run; None if the output has no rows.
      sample_size: number of videos in the sample, at most; None: LOCAL_SAMPLE, of which at most REMOTE_SAMPLE are
        remote.

    Raises:
      ConfigError, StorageError: an input or the output cannot be read.
    """
    found = sample_selection(config, key, decoder_version(), sample_size or LOCAL_SAMPLE)
    sample = found.sample if sample_size else _up_to_last_remote(found.sample, REMOTE_SAMPLE)
    num_selected = sum(n for reason, n in found.outcomes.items() if reason in SELECTED)
    return PlannedSelection(found.outcomes, num_selected, sample, most_frequent(found.ignored))


def _up_to_last_remote(videos: Sequence[VideoRef], most: int) -> list[VideoRef]:
    """Returns the longest prefix with at most `most` remote videos. Any other subset would bias the sample."""
    numbers = itertools.accumulate(storage.local_path(video.video_uri) is None for video in videos)
    return [video for video, number in zip(videos, numbers, strict=True) if number <= most]


def read_headers(config: LabelingConfig, videos: Sequence[VideoRef], report: Callable[[str], None]) -> Headers:
    """Reads the headers of some videos, in decoder processes, one per core.

    Args:
      config: of the run.
      videos: whose headers are read.
      report: is called with the progress as text.
    """
    spool = SpoolConfig(config.spool_dir, config.spool_bytes)

    def read(video: VideoRef) -> Fraction | str:
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
        for number, found in enumerate(pool.map(read, videos), start=1):
            report(f"header {number} of {len(videos)}")
            if isinstance(found, str):
                headers.failures[found] = headers.failures.get(found, 0) + 1
            else:
                headers.seconds.append(found)
    return headers
