"""Filmstrips of videos in an object store."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import data_generation as generate
import pytest
from faulty_proxy import FaultyProxy
from filmstrip_factory import labeled_run
from object_stores import BUCKET, S3Server

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, NoFilmstrip
from reelbeam.transforms.filmstrips.making import FilmstripOptions, Progress, make_filmstrips, remote_videos
from reelbeam.transforms.filmstrips.store_health import MAX_FAILURES
from reelbeam.transforms.storage.spool.folder import SpoolConfig
from reelbeam.transforms.storage.stores.retries import RetryPolicy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_retries")]


@pytest.fixture
def video(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    yield generate.make_video(tmp_path / "film.mp4", 600, 10, 128, 96, draw=generate.draw_moving, options={"crf": "6"})


def test_a_remote_video_gives_the_filmstrips_of_a_local_one(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path, video: pathlib.Path
) -> None:
    """Its index and the shown parts are fetched, once, by ranges, in the labeled version."""
    run = labeled_run(tmp_path / "out")
    uri = s3.put("film.mp4", video.read_bytes())
    clips = run.clips(video, uri=uri)[3:9]
    options = FilmstripOptions(spool=SpoolConfig(str(tmp_path / "spool"), block_bytes=1 << 15))
    assert remote_videos(clips) == (1, video.stat().st_size)
    seen: list[Progress] = []
    made = make_filmstrips(clips, str(run.output), options, seen.append)
    local = make_filmstrips(run.clips(video)[3:9], str(run.output))
    assert list(made.values()) == list(local.values())
    assert all(isinstance(pictures, Filmstrip) for pictures in made.values())
    assert 0 < seen[-1].bytes_fetched < video.stat().st_size / 2
    assert proxy.bytes_of("film.mp4") == seen[-1].bytes_fetched


def test_a_remote_video_that_changed_or_is_gone(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path, video: pathlib.Path
) -> None:
    run = labeled_run(tmp_path / "out")
    options = FilmstripOptions(spool=SpoolConfig(str(tmp_path / "spool")))
    (clip,) = run.clips(video, uri=s3.put("film.mp4", video.read_bytes()))[:1]
    moved = dataclasses.replace(clip, start_ms=clip.start_ms + 1)
    assert make_filmstrips([moved], str(run.output), options) == {clip.key: NoFilmstrip("changed")}
    content = bytearray(video.read_bytes())
    content[-1] ^= 1
    s3.put("film.mp4", bytes(content))
    assert make_filmstrips([clip], str(run.output), options) == {clip.key: NoFilmstrip("changed")}
    s3.delete("film.mp4")
    assert make_filmstrips([clip], str(run.output), options) == {clip.key: NoFilmstrip("gone")}


def test_a_store_that_does_not_respond_is_not_asked_for_each_video(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path, video: pathlib.Path
) -> None:
    """Each failure costs all retries, with their pauses. Videos of other stores have pictures."""
    run = labeled_run(tmp_path / "out")
    s3.client.create_bucket(Bucket="other")
    s3.client.put_object(Bucket="other", Key="film.mp4", Body=video.read_bytes())
    uris = [s3.put(f"{number}.mp4", video.read_bytes()) for number in range(12)]
    clips = [run.clips(video, uri=uri)[0] for uri in [*uris, "s3://other/film.mp4"]]
    proxy.requests.clear()
    proxy.fault = lambda request: "503" if request.path.startswith(f"/{BUCKET}/") else ""
    options = FilmstripOptions(num_threads=1, spool=SpoolConfig(str(tmp_path / "spool")))
    *failed, other = make_filmstrips(clips, str(run.output), options).values()
    assert len(proxy.faults()) == MAX_FAILURES * RetryPolicy.max_tries
    assert isinstance(other, Filmstrip)
    messages = [found.message for found in failed if isinstance(found, NoFilmstrip) and found.reason == "unreadable"]
    assert len(messages) == len(uris)
    assert ["was not tried" in message for message in messages].count(True) == len(uris) - MAX_FAILURES


def test_a_store_that_always_fails(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path, video: pathlib.Path
) -> None:
    run = labeled_run(tmp_path / "out")
    (clip,) = run.clips(video, uri=s3.put("film.mp4", video.read_bytes()))[:1]
    proxy.fault = lambda request: "503"
    (found,) = make_filmstrips([clip], str(run.output)).values()
    assert isinstance(found, NoFilmstrip) and found.reason == "unreadable" and found.message
