"""The methods of `decode.py`. Each returns the sampled frames of a video, RGB, at the model's size."""

from __future__ import annotations

import cProfile
import dataclasses
import hashlib
import pathlib
import pstats
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from reelbeam.transforms.media.container import container as containers
from reelbeam.transforms.media.decoding.decoder import DecodeStats, Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.records import ClipSpan, MediaInfo

GEOMETRY = Geometry(192, 172)
SAMPLING = ClipSampling(50, Fraction(5))
_MIN_CPU_SECONDS = 0.5


def measure(method: str, path: pathlib.Path) -> dict[str, Any]:
    """Returns the CPU-seconds of one method including its children, and further results.

    Short videos are decoded repeatedly for a sufficient time, and the mean is returned.
    """
    media = probe(path)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    if method in ("reelbeam", "pyav full"):
        return _measure_ours(path, media, spans, is_full=method == "pyav full")
    decode = _OTHERS[method](path, media, spans)
    cpu_seconds, num_frames = _mean_cpu_seconds(decode)
    wanted = {index for clip in _wanted_indices(path, media, spans) for index in clip}
    if num_frames < 0.9 * len(wanted):
        raise RuntimeError(f"{method} gave {num_frames} frames of {len(wanted)}")
    return {"cpu_seconds": cpu_seconds}


def _measure_ours(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan], is_full: bool) -> dict[str, Any]:
    if is_full:
        media = dataclasses.replace(media, key_frame_pts=())
    stats = DecodeStats()
    hashes = [
        hashlib.sha256(frames.data).hexdigest() for _, frames in decode_clips(path, media, spans, GEOMETRY, stats)
    ]
    cpu_seconds, _ = _mean_cpu_seconds(lambda: sum(1 for _ in decode_clips(path, media, spans, GEOMETRY)))
    return {
        "cpu_seconds": cpu_seconds,
        "clips": len(hashes),
        "digest": hashlib.sha256("".join(hashes).encode()).hexdigest(),
        "full_decodes": stats.full_decodes,
        "parts": {} if is_full else _parts(path, media, spans),
    }


def _mean_cpu_seconds(decode: Callable[[], int]) -> tuple[float, int]:
    """Returns the mean CPU-seconds of several calls, and the result of the last one."""
    before, num_calls, used, found = _cpu_seconds(), 0, 0.0, 0
    while used < _MIN_CPU_SECONDS:
        found = decode()
        num_calls, used = num_calls + 1, _cpu_seconds() - before
    return used / num_calls, found


def _parts(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan]) -> dict[str, float]:
    """Returns the parts of the time from a run under a profiler, whose overhead is part of the rest."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(lambda: sum(1 for _ in decode_clips(path, media, spans, GEOMETRY)))
    parts = dict.fromkeys(("open", "demux", "decode", "scale", "copy", "rest"), 0.0)
    for (_, _, name), (_, _, own_seconds, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        parts[_PART_OF.get(name, "rest")] += own_seconds
    return parts


_PART_OF = {
    "<av.container.core.open>": "open",
    "_demuxed": "demux",  # a generator: the demuxer's time counts as its own
    "<method 'seek' of 'av.container.input.InputContainer' objects>": "demux",
    "<method 'decode' of 'av.video.stream.VideoStream' objects>": "decode",
    "<method 'reformat' of 'av.video.reformatter.VideoReformatter' objects>": "scale",
    "convert": "copy",  # from planes to pixels
    "_show": "copy",
}


def _wanted_indices(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan]) -> list[list[int]]:
    """Returns the frame indices of each clip, for libraries that do not use times."""
    with containers.open_video(path, DEFAULT_LIMITS, media.stream_index) as (container, stream):
        timeline = timelines.read_timeline(
            timelines.frame_packets(container, stream, DEFAULT_LIMITS), container, stream
        )
    assert timeline is not None
    ticks = [[timeline.origin + t // timeline.time_base for t in span.sample_seconds] for span in spans]
    return [[timeline.position_at(tick) for tick in clip] for clip in ticks]


def _scaled_size(media: MediaInfo) -> tuple[int, int]:
    return GEOMETRY.scaled_size(media.width, media.height, media.pixel_aspect_ratio)


def _crop(frames: np.ndarray) -> np.ndarray:
    top, left = ((side - GEOMETRY.size) // 2 for side in frames.shape[-3:-1])
    return np.ascontiguousarray(frames[..., top : top + GEOMETRY.size, left : left + GEOMETRY.size, :])


def _prepare_decord(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan]) -> Callable[[], int]:
    import decord

    wanted = _wanted_indices(path, media, spans)
    width, height = _scaled_size(media)

    def decode() -> int:
        reader = decord.VideoReader(str(path), width=width, height=height, num_threads=1)
        return sum(len(_crop(reader.get_batch(clip).asnumpy())) for clip in wanted)

    return decode


def _prepare_opencv(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan]) -> Callable[[], int]:
    import cv2

    cv2.setNumThreads(1)
    wanted = sorted({index for clip in _wanted_indices(path, media, spans) for index in clip})
    size = _scaled_size(media)

    def decode() -> int:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        position, pictures = -1, []
        for index in wanted:
            while position < index and capture.grab():
                position += 1
            found, picture = capture.retrieve()
            if found:
                scaled = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
                pictures.append(_crop(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB)))
        capture.release()
        return len(pictures)

    return decode


def _prepare_ffmpeg(path: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan]) -> Callable[[], int]:
    import imageio_ffmpeg

    width, height = _scaled_size(media)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1", "-i", str(path)]
    command += ["-map", f"0:{media.stream_index}", "-filter_threads", "1"]
    command += ["-vf", f"fps={SAMPLING.target_fps},scale={width}:{height}:flags=bilinear"]
    command += ["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]

    def decode() -> int:
        num_frames = 0
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while data := process.stdout.read(width * height * 3):
                _crop(np.frombuffer(data, np.uint8).reshape(height, width, 3))
                num_frames += 1
        return num_frames

    return decode


_OTHERS = {"decord": _prepare_decord, "opencv": _prepare_opencv, "ffmpeg": _prepare_ffmpeg}


def _cpu_seconds() -> float:
    """Returns the CPU-seconds of this process and its finished children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
