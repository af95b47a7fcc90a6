"""A remote MP4 is described without fetching all of it; the frames decoded later are the same."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from fractions import Fraction

import data_generation as generate
import numpy as np
import pytest
from slow_cases import fast_first

from reelbeam.transforms.media.container.sparse_reading import NUM_FIRST, Sample, Window, unneeded
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import ClipSpan, MediaInfo

GEOMETRY = Geometry(72, 64)
BLOCK = 4096
OPTIONS = {
    "libx264": {"crf": "6"},
    "libx265": {"x265-params": "log-level=none:bframes=2:keyint=20"},
    "libsvtav1": {"svtav1-params": "lp=1:keyint=20", "preset": "12", "crf": "20"},
}


class StoredFile:
    """A remote file in blocks, each of which is fetched once."""

    def __init__(self, source: pathlib.Path, folder: pathlib.Path) -> None:
        self.name = str(source)
        self.size_bytes = source.stat().st_size
        self.num_fetched_bytes = 0
        self._data = source.read_bytes()
        self._blocks: set[int] = set()
        self._file = (folder / "stored").open("w+b")
        self._file.truncate(self.size_bytes)

    def fileno(self) -> int:
        return self._file.fileno()

    def fetch(self, start: int, stop: int) -> tuple[int, int]:
        blocks = range(start // BLOCK, -(-stop // BLOCK))
        for block in set(blocks) - self._blocks:
            data = self._data[block * BLOCK : (block + 1) * BLOCK]
            self.num_fetched_bytes += os.pwrite(self.fileno(), data, block * BLOCK)
            self._blocks.add(block)
        return blocks[0] * BLOCK, min((blocks[-1] + 1) * BLOCK, self.size_bytes)


def span_of(path: pathlib.Path, index: int, sampling: ClipSampling) -> ClipSpan:
    return plan_clip_spans(probe(path).duration_seconds, sampling)[index]


def sparse_probe(file: StoredFile, *spans: ClipSpan) -> MediaInfo:
    windows = [Window(float(span.start_seconds), float(span.end_seconds)) for span in spans]
    return sandboxed.probe(file, DEFAULT_LIMITS, windows=windows)


def require_same(path: pathlib.Path, folder: pathlib.Path, sampling: ClipSampling, *indexes: int) -> float:
    """Asserts that a sparse probe and a decode of these clips give the same; returns the share of fetched bytes."""
    whole = probe(path)
    spans = [plan_clip_spans(whole.duration_seconds, sampling)[index] for index in indexes]
    file = StoredFile(path, folder)
    found = sparse_probe(file, *spans)
    assert dataclasses.replace(found, key_frame_pts=()) == dataclasses.replace(whole, key_frame_pts=())
    decoded = list(sandboxed.decode_clips(file, found, spans, GEOMETRY, DEFAULT_LIMITS))
    expected = list(sandboxed.decode_clips(str(path), whole, spans, GEOMETRY, DEFAULT_LIMITS))
    assert [span for span, _ in decoded] == [span for span, _ in expected]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(decoded, expected, strict=True))
    return file.num_fetched_bytes / file.size_bytes


@pytest.mark.parametrize("container_options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
@pytest.mark.parametrize("codec", fast_first(["libx264", "libx265", "libsvtav1", "mpeg4"]))
def test_a_film_gives_the_same_clips(tmp_path: pathlib.Path, codec: str, container_options: dict[str, str]) -> None:
    path = generate.make_video(
        tmp_path / "film.mp4", 1200, 10, 128, 96, codec=codec, b_frames=2, gop=20, draw=generate.draw_moving,
        options=OPTIONS.get(codec), container_options=container_options,
    )  # fmt: skip
    share = require_same(path, tmp_path, ClipSampling(20, Fraction(5)), 12, 29)
    if codec != "mpeg4" and "frag" not in container_options.get("movflags", ""):
        assert share < 0.5


@pytest.mark.parametrize("name", ["film.mkv", "film.webm", "film.ts", "film.avi"])
def test_other_containers_are_read_whole(tmp_path: pathlib.Path, name: str) -> None:
    codec = {"film.webm": "libvpx", "film.avi": "mpeg4"}.get(name, "libx264")
    path = generate.make_video(tmp_path / name, 200, 10, 128, 96, codec=codec, draw=generate.draw_moving)
    require_same(path, tmp_path, ClipSampling(20, Fraction(5)), 2)


@pytest.mark.parametrize("name", ["long_1080p.mp4", "nasa_13013.mp4", "kinetics_style_256p.mp4", "small_192x144.mp4"])
def test_real_videos_give_the_same_clips(shared_dir: pathlib.Path, tmp_path: pathlib.Path, name: str) -> None:
    path = shared_dir / "media" / name
    last = len(plan_clip_spans(probe(path).duration_seconds, ClipSampling(10, Fraction(5)))) - 1
    share = require_same(path, tmp_path, ClipSampling(10, Fraction(5)), last * 2 // 3)
    assert share < (0.5 if name == "long_1080p.mp4" else 1)


def test_what_is_left_out() -> None:
    samples = [Sample(100 + 10 * i, 110 + 10 * i, i / 10, i % 20 == 0) for i in range(1000)]
    assert list(unneeded(samples, [])) == [(100 + 10 * NUM_FIRST, 100 + 10 * 1000)]
    left_out = list(unneeded(samples, [Window(50, 55)]))
    read = [
        i for i, sample in enumerate(samples) if not any(a <= sample.start and sample.stop <= b for a, b in left_out)
    ]
    assert read == [*range(NUM_FIRST), *range(380, 571, 20)]
    assert all(a < b for a, b in left_out) and left_out == sorted(left_out)


def test_a_short_video_is_read_whole() -> None:
    samples = [Sample(10 * i, 10 * i + 10, i / 10, i == 0) for i in range(NUM_FIRST)]
    assert list(unneeded(samples, [Window(0, 8)])) == []
