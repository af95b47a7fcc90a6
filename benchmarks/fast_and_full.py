"""Compare the cost of the fast path with that of a full decode.

    python -m benchmarks.fast_and_full [--rounds N] [VIDEO ...]

Both methods decode the same clips alternately in this process, short videos many times. The table has the best
CPU-seconds of N runs, their ratio, and the median ratio of adjacent runs. In addition to the given videos (or those of
`decode.py`), there are generated videos for which the fast path saves little: intra frames only, few frames, and all
frames sampled.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from benchmarks.decode import ROOT, default_videos
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.records import ClipSpan, MediaInfo

GEOMETRY = Geometry(192, 172)
_SECONDS_A_FIGURE = 0.3

_ALWAYS_B = {"x264-params": "b-adapt=0"}  # the maximum number of B-frames

# The parameters of each generated video, and the frame rate of the clips.
_HARD: dict[str, tuple[dict[str, Any], int]] = {
    "mjpeg.mov": ({"codec": "mjpeg", "pix_fmt": "yuvj420p", "num_frames": 90}, 5),
    "prores.mov": ({"codec": "prores_ks", "pix_fmt": "yuv422p10le", "num_frames": 60}, 5),
    "every_frame.mp4": ({"b_frames": 2, "gop": 60, "num_frames": 150, "options": _ALWAYS_B}, 30),
    "every_frame_no_b.mp4": ({"gop": 60, "num_frames": 150}, 30),
    "every_frame_vp9.webm": ({"codec": "libvpx-vp9", "options": {"cpu-used": "8"}, "num_frames": 90}, 30),
    "every_frame_tiny.mp4": (
        {"b_frames": 2, "gop": 30, "num_frames": 150, "width": 64, "height": 48, "options": _ALWAYS_B},
        30,
    ),
    "one_frame.mp4": ({"num_frames": 1}, 5),
    "five_frames.mp4": ({"num_frames": 5, "width": 64, "height": 48}, 5),
}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{'video':28} {'fast, s':>9} {'full, s':>9} {'of bests':>9} {'median':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for video in args.videos or default_videos(folder):
            compare(video, 5, args.rounds)
        for video_name, (made, target_fps) in _HARD.items():
            compare(make(folder / video_name, **made), target_fps, args.rounds)


def make(path: pathlib.Path, **how: Any) -> pathlib.Path:
    """Writes a video with 30 fps."""
    sys.path[:0] = [str(ROOT / "tests" / "support")]
    import data_generation as generate

    made = {"width": 340, "height": 256, "draw": generate.draw_moving, **how}
    return generate.make_video(path, made.pop("num_frames"), 30, **made)


def compare(video: pathlib.Path, target_fps: int, rounds: int) -> None:
    """Prints one line."""
    media = probe(video)
    full = dataclasses.replace(media, key_frame_pts=())
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(50, Fraction(target_fps)))
    num_calls = int(_SECONDS_A_FIGURE / cpu_seconds(video, full, spans, 1)) + 1
    pairs = [
        (cpu_seconds(video, media, spans, num_calls), cpu_seconds(video, full, spans, num_calls)) for _ in range(rounds)
    ]
    fast_best, full_best = map(min, zip(*pairs, strict=True))
    median = statistics.median(fast / slow for fast, slow in pairs)
    note = "" if media.key_frame_pts else "   full either way"
    print(
        f"{video.name:28} {fast_best:9.4f} {full_best:9.4f} {fast_best / full_best:9.3f} {median:7.3f}{note}",
        flush=True,
    )


def cpu_seconds(video: pathlib.Path, media: MediaInfo, spans: Sequence[ClipSpan], num_calls: int) -> float:
    """Returns the mean CPU-seconds of decoding the clips."""
    before = time.process_time()
    for _ in range(num_calls):
        for _ in decode_clips(video, media, spans, GEOMETRY):
            pass
    return (time.process_time() - before) / num_calls


if __name__ == "__main__":
    main()
