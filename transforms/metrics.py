"""The names of all counters, and how to increase them.

Counters are Beam's (`result.metrics()`, the pages of Flink and Dataflow). `count` also keeps a tally of this process.
The local runner's workers run in the launcher's process, so the launcher can read the tally during the run. Beam's
local runner reports its metrics only at the end.
"""

from __future__ import annotations

import collections
import threading

from reelbeam.transforms.errors import DecoderFailedError, MediaError

NAMESPACE = "reelbeam"

VIDEOS_LISTED = "videos_listed"
"""Distinct inputs."""
DUPLICATES_DROPPED = "duplicates_dropped"
"""Inputs that were listed before."""
FILES_IGNORED = "files_ignored"
"""Files of a folder without a video's extension, and hidden ones."""
FOLDERS_IGNORED = "folders_ignored"
"""Folders that were not searched: hidden, unreadable, or matched by a pattern."""
VIDEOS_SKIPPED = "videos_skipped"
"""Inputs that were left out, for example because they are labeled already."""
VIDEOS_PLANNED = "videos_planned"
"""Inputs whose headers could be read."""
VIDEOS_DONE = "videos_done"
"""Videos that decoding and classification have finished, with or without success. If several processes share the
segments of a video, none of them counts it: on a cluster, read the tables."""
VIDEOS_BROKEN = "videos_broken"
"""Videos with at least one failure, as each process saw them."""
CLIPS_PLANNED = "clips_planned"
"""Clips to decode."""
CLIPS_DECODED = "clips_decoded"
"""Clips that were decoded completely."""
CLIPS_CLASSIFIED = "clips_classified"
"""Clips that got scores."""
CLIPS_UNCLASSIFIED = "clips_unclassified"
"""Clips on which the model failed."""
FULL_DECODES = "full_decodes"
"""Decode ranges that were decoded again in full, because the fast path could not be proven."""
VIDEO_MS_DECODED = "video_ms_decoded"
"""Milliseconds of video, from the first to the last clip of each segment that was processed."""
DECODE_CPU_MS = "decode_cpu_ms"
"""Milliseconds of CPU time of decoder processes, which read headers and decode."""
SCALE_CPU_MS = "scale_cpu_ms"
"""The part of `decode_cpu_ms` for cropping and scaling frames."""
MODEL_CPU_MS = "model_cpu_ms"
"""Milliseconds of CPU time of the workers while they classified clips."""
DECODER_WAIT_MS = "decoder_wait_ms"
"""Milliseconds that workers waited for decoder processes. More than `model_wait_ms`: decoding is the bottleneck."""
MODEL_WAIT_MS = "model_wait_ms"
"""Milliseconds that decoders waited for the model. More than `decoder_wait_ms`: the model is the bottleneck."""
STORE_WAIT_MS = "store_wait_ms"
"""Milliseconds that workers waited for bytes of videos from object stores."""
DECODER_RESTARTS = "decoder_restarts"
"""Decoder processes that failed over a video and were replaced."""
BYTES_FETCHED = "bytes_fetched"
"""Bytes of videos that were read from object stores."""
STORAGE_RETRIES = "storage_retries"
"""Requests to object stores that were repeated."""
SPOOL_EVICTIONS = "spool_evictions"
"""Remote videos that were removed from the spool to make room."""
MODELS_LOADED = "models_loaded"
"""Loads of the model: one in each process."""


class RecentVideos(dict[int, int]):
    """A number for each recent video, by a hash of its URI, whose query may be a signature.

    A worker may run for weeks, and may never see the last segment of a video that other workers share. So the oldest
    videos are removed, and a counter may count a removed video twice.

    Attributes:
      most: the maximum number of videos.
    """

    def __init__(self, most: int = 100_000) -> None:
        super().__init__()
        self.most = most

    def remember(self, key: int, fact: int) -> None:
        """Stores the number of a video."""
        self[key] = fact
        if len(self) > self.most:
            del self[next(iter(self))]


_lock = threading.Lock()
_tally: collections.Counter[str] = collections.Counter()
_open_segments = RecentVideos()
_broken = RecentVideos()


def count(name: str, amount: int = 1) -> None:
    """Increases a counter. Call it in a thread of the runner, because Beam loses the counts of other threads."""
    from apache_beam.metrics import Metrics  # not at the top: most commands count nothing, and need no Beam

    Metrics.counter(NAMESPACE, name).inc(amount)
    with _lock:
        _tally[name] += amount


def count_segment_done(video_uri: str, num_segments: int) -> None:
    """Counts a segment. The last segment that this process sees counts the video as done."""
    key = hash(video_uri)
    with _lock:
        left = _open_segments.pop(key, num_segments) - 1
        if left > 0:
            _open_segments.remember(key, left)
    if left <= 0:
        count(VIDEOS_DONE)


def count_broken(video_uri: str) -> None:
    """Counts a video as broken, once per process."""
    key = hash(video_uri)
    with _lock:
        if key in _broken:
            return
        _broken.remember(key, 1)
    count(VIDEOS_BROKEN)


def count_failure(video_uri: str, error: MediaError) -> None:
    """Counts a video as broken, and the decoder process that failed over it, if one did."""
    if isinstance(error, DecoderFailedError):
        count(DECODER_RESTARTS)
    count_broken(video_uri)


def tally() -> collections.Counter[str]:
    """Returns the counts of this process since `reset_tally`."""
    with _lock:
        return _tally.copy()


def reset_tally(*kept: str) -> None:
    """Resets the counts of this process before a new job.

    Args:
      kept: names of counters to keep.
    """
    with _lock:
        held = {name: _tally[name] for name in kept}
        _tally.clear()
        _tally.update(held)
        _open_segments.clear()
        _broken.clear()
