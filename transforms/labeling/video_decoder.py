"""Plans videos and decodes their segments, in sandboxed processes."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from reelbeam.transforms import storage
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.labeling.video_plan import VideoPlan, plan_video
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import Clip, SegmentSpan, StateSlot, VideoRef
from reelbeam.transforms.storage.spool.spooled_video import SpooledVideo


def probe_and_plan(
    video: VideoRef,
    config: PlannerConfig,
    stats: DecodeStats,
    sandbox: sandboxed.Sandbox = sandboxed.shared,
    lease: contextlib.ExitStack | None = None,
) -> VideoPlan:
    """Returns the segments of a video.

    Args:
      video: the input, see `storage.identified`.
      config: of planning.
      stats: gets the cost of reading the headers, also if that fails.
      sandbox: has the decoder process; by default the one of this process.
      lease: keeps a remote video in the spool until it is closed; None: the video may leave it at once.

    Raises:
      MediaError: the video cannot be read, or is not one that can be labeled.
    """
    with storage.local_file(video, config.max_video_bytes, config.spool) as file:
        media = sandbox.probe(file, config.limits, stats)
        if lease is not None and isinstance(file, SpooledVideo):
            lease.enter_context(file.kept())
    return plan_video(video, media, config)


def decode_segment(
    segment: SegmentSpan,
    config: DecoderConfig,
    stats: DecodeStats,
    sandbox: sandboxed.Sandbox = sandboxed.shared,
) -> Generator[Clip, None, None]:
    """Yields the clips of a segment. Closing the generator ends the decoder process.

    Args:
      segment: of a plan.
      config: of decoding.
      stats: gets the cost of decoding, also if that fails.
      sandbox: has the decoder process; by default the one of this process.

    Raises:
      MediaError: the segment cannot be decoded. All complete clips are yielded first.
    """
    video, slot = segment.video, StateSlot()
    with storage.local_file(video, config.max_video_bytes, config.spool) as file:
        for span, frames in sandbox.decode_clips(
            file, segment.media, segment.clips, config.geometry, config.limits, stats
        ):
            slot = slot if span.continues else StateSlot()
            yield Clip(video.video_uri, segment.segment_index, span, frames, video.time_range, slot)
