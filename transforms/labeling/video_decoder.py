"""VideoDecoder: plans a video and decodes its segments, in sandboxed processes."""

from __future__ import annotations

from collections.abc import Generator

from reelbeam.transforms import storage
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.labeling.video_plan import VideoPlan, plan_video
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import Clip, SegmentSpan, StateSlot, VideoRef


class VideoDecoder:
    """Plans and decodes videos. Threads may share it.

    Args:
      planner: of planning.
      decoder: of decoding.
      sandbox: has the decoder processes; by default the one of this process.
    """

    def __init__(
        self, planner: PlannerConfig, decoder: DecoderConfig, sandbox: sandboxed.Sandbox = sandboxed.shared
    ) -> None:
        self._planner = planner
        self._decoder = decoder
        self._sandbox = sandbox

    def plan(self, video: VideoRef, stats: DecodeStats) -> VideoPlan:
        """Returns the segments of a video.

        Args:
          video: the input, see `storage.identified`.
          stats: gets the cost of reading the headers, also if that fails.

        Raises:
          MediaError: the video cannot be read, or is not one that can be labeled.
        """
        config = self._planner
        with storage.local_file(video, config.max_video_bytes, config.spool) as file:
            media = self._sandbox.probe(file, config.limits, stats)
        return plan_video(video, media, config)

    def clips(self, segment: SegmentSpan, stats: DecodeStats) -> Generator[Clip, None, None]:
        """Yields the clips of a segment. Closing the generator ends the decoder process.

        Args:
          segment: of a plan.
          stats: gets the cost of decoding, also if that fails.

        Raises:
          MediaError: the segment cannot be decoded. All complete clips are yielded first.
        """
        video, config, slot = segment.video, self._decoder, StateSlot()
        with storage.local_file(video, config.max_video_bytes, config.spool) as file:
            for span, frames in self._sandbox.decode_clips(
                file, segment.media, segment.clips, config.geometry, config.limits, stats
            ):
                slot = slot if span.continues else StateSlot()
                yield Clip(video.video_uri, segment.segment_index, span, frames, video.time_range, slot)
