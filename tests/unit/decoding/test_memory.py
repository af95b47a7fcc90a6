"""Memory does not grow with a video's length, but for what FFmpeg itself keeps."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import data_generation as generate
import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[3]

# Probes a video and decodes all its segments; prints the highest resident memory in KiB and the number of clips.
_WORKER = """
import pathlib, resource, sys
sys.path.insert(0, sys.argv[2])
from fractions import Fraction
from reelbeam.transforms.media.decoding.decoder import DecodeStats, Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.segments import key_frame_seconds, media_of_segment, plan_segments

media = probe(sys.argv[1])
clips = plan_clip_spans(media.duration_seconds, ClipSampling(50, Fraction(5)))
parts = plan_segments(clips, key_frame_seconds(media))
stats, num_clips = DecodeStats(), 0
for part in parts:
    for span, frames in decode_clips(sys.argv[1], media_of_segment(media, part), part, Geometry(192, 172), stats):
        num_clips += 1
assert stats.full_decodes == 0, stats.reason
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak_kib, len(parts), num_clips)
"""


def peak_mib(path: pathlib.Path) -> tuple[float, int, int]:
    command = [sys.executable, "-c", _WORKER, str(path), str(_ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kib, num_segments, num_clips = map(int, done.stdout.split())
    return kib / 1024, num_segments, num_clips


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs /proc")
def test_three_hours_need_little_more_than_one_minute(tmp_path: pathlib.Path) -> None:
    minute = generate.make_video(tmp_path / "minute.mp4", 60 * 30, 30, 128, 96, b_frames=2, gop=60)
    film = generate.looped(minute, tmp_path / "film.mp4", 180)
    short_mib, _, num_clips = peak_mib(minute)
    assert num_clips == 6
    long_mib, num_segments, num_clips = peak_mib(film)
    assert num_clips == 1080
    assert num_segments >= 90
    # FFmpeg's own index of an MP4 with 324,000 frames takes 26 MiB while the file is opened; the rest is ours.
    assert long_mib - short_mib < 48, f"{short_mib:.0f} MiB for a minute, {long_mib:.0f} MiB for three hours"
