"""Filmstrips of clips of an output: their frames and times, whatever the runs and the videos."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
from fractions import Fraction

import data_generation as generate
import numpy as np
import numpy.typing as npt
import processes
import pytest
from filmstrip_factory import LabeledRun, labeled_run
from PIL import Image

from reelbeam.transforms.filmstrips import making, video_filmstrips
from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, NoFilmstrip, Pictures
from reelbeam.transforms.filmstrips.making import FilmstripOptions, Progress, make_filmstrips, remote_videos
from reelbeam.transforms.filmstrips.pictures import draw_filmstrip
from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.geometry import Geometry
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.output.report_content.shown_clips import ShownClip
from reelbeam.transforms.records.time_range import TimeRange

Pixels = npt.NDArray[np.uint8]

FPS = 10


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A video of 30 s; each frame has its number."""
    return generate.make_video(tmp_path_factory.mktemp("videos") / "numbered.mp4", 30 * FPS, FPS, 128, 96, b_frames=2)


def filmstrip_of(pictures: Pictures) -> Filmstrip:
    assert isinstance(pictures, Filmstrip)
    return pictures


def frame_numbers(made: Filmstrip, crop: float) -> list[int]:
    """Returns the number in each tile."""
    with Image.open(io.BytesIO(made.strip.webp)) as image:
        strip = np.array(image.convert("RGB"))
    return [generate.read_frame_number(tile, crop) for tile in np.split(strip, made.num_tiles, axis=1)]


def require_tiles_at_their_times(run: LabeledRun, clips: list[ShownClip]) -> dict[int, Filmstrip]:
    """Asserts that each tile of a numbered video shows the frame of its time; returns the filmstrips by clip_index."""
    geometry = run.config.geometry
    made = make_filmstrips(clips, str(run.output))
    for pictures in made.values():
        strip = filmstrip_of(pictures)
        expected = [milliseconds * FPS // 1000 for milliseconds in strip.tile_ms]
        assert frame_numbers(strip, geometry.size / geometry.resize) == expected
    return {key.clip_index: filmstrip_of(pictures) for key, pictures in made.items()}


def test_tiles_show_their_times(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    run = labeled_run(tmp_path, "--target_fps=2.5", "--num_frames=16")
    clips = run.clips(numbered)
    assert [clip.start_ms for clip in clips] == [0, 6400, 12800, 19200, 23600]
    made = require_tiles_at_their_times(run, clips)
    assert made[1].tile_ms == (6800, 7600, 8400, 9200, 10000, 10800, 11600, 12400)


def test_tiles_of_a_range_show_their_times(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    run = labeled_run(tmp_path)
    clips = run.clips(numbered, TimeRange.of(Fraction("10.25"), Fraction(16)))
    assert [clip.start_ms for clip in clips] == [10_250, 12_250, 14_000]
    made = require_tiles_at_their_times(run, clips)
    assert made[0].tile_ms == (10_250, 10_500, 10_750, 11_000, 11_250, 11_500, 11_750, 12_000)


def test_many_overlapping_clips_of_one_video(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    run = labeled_run(tmp_path, "--clip_stride_seconds=0.5")
    made = require_tiles_at_their_times(run, run.clips(numbered))
    assert sorted(made) == list(range(57))


def test_a_warm_up_is_not_shown(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    run = labeled_run(
        tmp_path, "--resize=72", "--size=64", "--num_frames=10", "--clip_stride_seconds=9",
        "--carry_state", "--warm_up_seconds=3",
        model="a0-stream",
    )  # fmt: skip
    spans = run.spans(numbered)
    assert [span.num_warm_up_frames for span in spans][:2] == [0, 15]
    made = require_tiles_at_their_times(run, run.clips(numbered))
    assert [strip.tile_ms[0] for strip in made.values()] == [span.start_ms for span in spans]


def test_a_short_video_has_fewer_tiles(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "short.mp4", FPS, FPS, 128, 96)
    run = labeled_run(tmp_path / "out")
    made = require_tiles_at_their_times(run, run.clips(path))
    assert made[0].tile_ms == (0, 250, 500, 750)


def test_runs_with_other_sampling_and_another_size(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    runs = [
        labeled_run(tmp_path, number=1),
        labeled_run(tmp_path, "--target_fps=1", "--resize=96", "--size=90", number=2),
        labeled_run(tmp_path, number=3),
    ]
    clips = [clip for run in runs for clip in run.clips(numbered)[:3]]
    made = make_filmstrips(clips, str(tmp_path))
    assert list(made) == [clip.key for clip in clips]
    strips = [filmstrip_of(made[clip.key]) for clip in clips]
    assert [strip.tile_ms[1] for strip in strips] == [250, 2250, 4250, 1000, 9000, 17_000, 250, 2250, 4250]
    assert [strip.strip.height for strip in strips] == [64] * 3 + [90] * 3 + [64] * 3
    assert strips[:3] == strips[6:]


def test_tiles_are_the_frames_of_the_clip(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    """Compared with the frames that the model gets, except for the loss of the encoding."""
    run = labeled_run(tmp_path)
    clips = {path: run.clips(path) for path in sorted(samples_dir.iterdir()) if path.name != "broken.mp4"}
    made = make_filmstrips([clip for found in clips.values() for clip in found], str(tmp_path))
    for path, found in clips.items():
        for span, frames in decode_clips(path, probe(path), run.spans(path), run.config.geometry):
            strip = filmstrip_of(made[found[span.clip_index].key])
            with Image.open(io.BytesIO(strip.strip.webp)) as image:
                tiles = np.stack(np.split(np.array(image.convert("RGB")), strip.num_tiles, axis=1))
            at = [round(seconds * 1000) for seconds in span.sample_seconds]
            expected = frames[[at.index(milliseconds) for milliseconds in strip.tile_ms]]
            assert np.abs(tiles.astype(int) - expected).mean() < 8, path.name


def test_the_same_clips_give_the_same_bytes(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    run = labeled_run(tmp_path)
    clips = [clip for name in ("moving_up.mp4", "moving_down.mkv") for clip in run.clips(samples_dir / name)]
    once = make_filmstrips(clips, str(tmp_path))
    again = make_filmstrips([*reversed(clips), *clips], str(tmp_path), FilmstripOptions(num_threads=1))
    assert once == again


def test_progress_counts_distinct_clips(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    run = labeled_run(tmp_path)
    clips = [clip for name in ("moving_up.mp4", "moving_down.mkv") for clip in run.clips(samples_dir / name)]
    seen: list[Progress] = []
    make_filmstrips([*clips, *clips], str(tmp_path), report=seen.append)
    assert seen[-1] == (len(clips), len(clips), 0)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


def test_progress_is_reported_while_a_video_takes_long(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_SECONDS_BETWEEN_REPORTS", 0.01)
    clips = labeled_run(tmp_path).clips(samples_dir / "moving_up.mp4")
    seen: list[Progress] = []
    make_filmstrips(clips, str(tmp_path), report=seen.append)
    assert seen[0] == (0, len(clips), 0) and seen[-1].done == len(clips)


def test_remote_videos_are_counted_once(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    clip = labeled_run(tmp_path).clips(samples_dir / "moving_up.mp4")[0]

    def copied(uri: str, index: int, size_bytes: int) -> ShownClip:
        key = clip.key._replace(video_uri=uri, clip_index=index)
        return dataclasses.replace(clip, key=key, size_bytes=size_bytes)

    clips = [clip, copied("gs://b/a.mp4", 0, 10), copied("gs://b/a.mp4", 1, 10), copied("s3://b/a.mp4", 0, 7)]
    assert remote_videos(clips) == (2, 17)


@pytest.mark.usefixtures("no_process_left")
def test_an_interruption_ends_all_decoders(
    tmp_path: pathlib.Path, shared_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = labeled_run(tmp_path, "--clip_stride_seconds=1")
    paths = [shared_dir / "media" / "small_192x144.mp4", shared_dir / "media" / "long_1080p.mp4"]
    clips = [*run.clips(paths[0])[:1], *run.clips(paths[1])]
    drawn: list[tuple[int, ...]] = []

    def draw(frames: Pixels, tile_ms: tuple[int, ...], middle: Pixels, geometry: Geometry) -> Filmstrip:
        drawn.append(tile_ms)
        return draw_filmstrip(frames, tile_ms, middle, geometry)

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(video_filmstrips, "draw_filmstrip", draw)
    with pytest.raises(KeyboardInterrupt):
        make_filmstrips(clips, str(tmp_path), report=interrupt)
    assert len(drawn) < len(clips), "videos were decoded to their end"
    assert processes.fork_servers_of(os.getpid()) == []


def test_reasons_are_given_for_clips_of_one_video_alone(tmp_path: pathlib.Path, numbered: pathlib.Path) -> None:
    run = labeled_run(tmp_path)
    first, second = run.clips(numbered)[:2]
    moved = dataclasses.replace(second, start_ms=second.start_ms + 1)
    made = make_filmstrips([first, moved], str(tmp_path))
    assert isinstance(made[first.key], Filmstrip)
    assert made[moved.key] == NoFilmstrip("changed")
