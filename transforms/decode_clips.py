"""DecodeClips: SegmentSpan -> Clip. Pixels begin here, and must not leave the fused stage."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from reelbeam.transforms import metrics
from reelbeam.transforms.beam_compat import in_global_window
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.labeling.config import DecoderConfig
from reelbeam.transforms.labeling.costs import count_decoding, decoding_cost
from reelbeam.transforms.labeling.video_decoder import decode_segment
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.sandbox import protocol
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Clip, Failure, SegmentSpan
from reelbeam.transforms.records.time_range import TimeRange
from reelbeam.transforms.redaction import without_query

_FAILURES = "failures"
_COSTS = "costs"

_log = logging.getLogger(__name__)


class DecodedClips(NamedTuple):
    """The output of DecodeClips.

    Attributes:
      clips: the clips, in the order of each segment.
      failures: one Failure for each segment that could not be decoded completely.
      costs: the CPU time of the decoder processes and the fetched bytes, one element for each bundle.
    """

    clips: beam.PCollection[Clip]
    failures: beam.PCollection[Failure]
    costs: beam.PCollection[RunCost]


class DecodeClips(beam.PTransform):
    """Decodes the planned clips of each segment, one clip in memory at a time.

    Input: SegmentSpan. Output: DecodedClips. A decoder process decodes, a few clips ahead of the model, see
    `reelbeam.transforms.media.sandbox.sandboxed`. If a segment fails, its complete clips are kept. Nothing between this
    step and ClassifyClips may break fusion (Reshuffle, GroupByKey, a resource hint of one step): a clip has 4 to 37 MB,
    and a Stream model's state does not leave the process.

    Counters: clips_decoded, full_decodes, videos_done, videos_broken, video_ms_decoded, decoder_restarts, and those of
    `reelbeam.transforms.labeling.costs`.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self._config = config

    def expand(self, segments: beam.PCollection[SegmentSpan]) -> DecodedClips:
        """Connects the steps."""
        beam.coders.registry.register_coder(Clip, ClipCoder)
        decode_segment = _DecodeClipsFn(self._config)
        decoded = segments | "DecodeSegment" >> beam.ParDo(decode_segment).with_outputs(_FAILURES, _COSTS, main="clips")
        decoded["clips"].element_type = Clip
        return DecodedClips(decoded["clips"], decoded[_FAILURES], decoded[_COSTS])


class _DecodeClipsFn(beam.DoFn):
    def __init__(self, config: DecoderConfig) -> None:
        self._config = config

    def start_bundle(self) -> None:
        self._stats = DecodeStats()

    def process(self, segment: SegmentSpan) -> Iterator[Clip | beam.pvalue.TaggedOutput]:
        video, stats = segment.video, DecodeStats()
        try:
            for clip in decode_segment(segment, self._config, stats):
                metrics.count(metrics.CLIPS_DECODED)
                yield clip
        except MediaError as error:
            metrics.count_failure(video.key, error)
            failure = Failure.of(error, video, "decode", segment.segment_index)
            yield beam.pvalue.TaggedOutput(_FAILURES, failure)
        if stats.full_decodes:
            _log.info("decoded %s in full: %s", without_query(video.video_uri), stats.reason)
        metrics.count(metrics.FULL_DECODES, stats.full_decodes)
        metrics.count(metrics.VIDEO_MS_DECODED, segment.clips[-1].end_ms - segment.clips[0].start_ms)
        metrics.count_segment_done(video.key, segment.num_segments)
        self._stats.add(stats)

    def finish_bundle(self) -> Iterator[beam.pvalue.TaggedOutput]:
        cost = decoding_cost(self._stats)
        count_decoding(cost)
        yield beam.pvalue.TaggedOutput(_COSTS, in_global_window(cost))


class ClipCoder(beam.coders.Coder):
    """Encodes a Clip as a JSON header and its raw frames, and estimates its size without encoding it.

    Beam samples the sizes of elements on every edge, also on fused ones, and its default coder pickles the element for
    that. `encode` runs only if something breaks the fusion.
    """

    def encode(self, clip: Clip) -> bytes:
        """Returns the clip as bytes, without its state."""
        header = json.dumps(
            {
                "video_uri": clip.video_uri,
                "segment_index": clip.segment_index,
                "span": protocol.span_to_json(clip.span),
                "time_range": clip.time_range.to_texts(),
                "shape": clip.frames.shape,
            }
        ).encode()
        return struct.pack("<I", len(header)) + header + clip.frames.tobytes()

    def decode(self, encoded: bytes) -> Clip:
        """Returns the clip that `encode` was given, with an empty state slot."""
        (length,) = struct.unpack_from("<I", encoded)
        header = json.loads(encoded[4 : 4 + length])
        span = protocol.span_from_json(header["span"])
        frames = np.frombuffer(encoded, np.uint8, offset=4 + length).reshape(header["shape"])
        time_range = TimeRange.from_texts(header["time_range"])
        return Clip(header["video_uri"], header["segment_index"], span, frames, time_range)

    def estimate_size(self, clip: Clip) -> int:
        """Estimates the number of bytes that `encode` would return."""
        return clip.frames.nbytes + 1024

    def is_deterministic(self) -> bool:
        """Returns True: the same clip always has the same bytes."""
        return True
