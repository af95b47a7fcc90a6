"""Clips without pictures: each gets the reason, and no other clip is affected."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil

import pytest
from filmstrip_factory import LabeledRun, labeled_run
from record_factory import span

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.filmstrips import making
from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, NoFilmstrip, Pictures
from reelbeam.transforms.filmstrips.making import make_filmstrips
from reelbeam.transforms.filmstrips.recorded_runs import RunSettings, read_settings
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sandbox import responses
from reelbeam.transforms.media.sandbox.deadline import allowed_fetch_seconds, allowed_seconds, with_time_limit
from reelbeam.transforms.media.sandbox.sandboxed import Sandbox
from reelbeam.transforms.output.report_content.shown_clips import ShownClip


@pytest.fixture
def run(tmp_path: pathlib.Path) -> LabeledRun:
    return labeled_run(tmp_path / "out")


@pytest.fixture
def video(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(samples_dir / "moving_up.mp4", tmp_path / "video.mp4"))


def pictures_of(run: LabeledRun, clip: ShownClip) -> Pictures:
    return make_filmstrips([clip], str(run.output))[clip.key]


def reason_of(run: LabeledRun, clip: ShownClip) -> tuple[str, str]:
    found = pictures_of(run, clip)
    assert isinstance(found, NoFilmstrip)
    return found.reason, found.message


def test_gone_and_changed_videos(tmp_path: pathlib.Path, run: LabeledRun, samples_dir: pathlib.Path) -> None:
    """The clips of a whole video between them have pictures."""
    paths = [
        pathlib.Path(shutil.copy(samples_dir / name, tmp_path / name))
        for name in ("moving_up.mp4", "moving_left.mp4", "moving_down.mkv", "growing.mp4")
    ]
    clips = [run.clips(path)[0] for path in paths]
    paths[0].unlink()
    shutil.copy(samples_dir / "growing.mp4", paths[1])
    os.utime(paths[2], (1, 1))
    made = list(make_filmstrips(clips, str(run.output)).values())
    assert made[:3] == [NoFilmstrip("gone"), NoFilmstrip("changed"), NoFilmstrip("changed")]
    assert isinstance(made[3], Filmstrip)


def test_without_a_version_the_size_decides(run: LabeledRun, video: pathlib.Path) -> None:
    clip = dataclasses.replace(run.clips(video)[0], content_version="")
    os.utime(video, (1, 1))
    assert isinstance(pictures_of(run, clip), Filmstrip)
    with video.open("ab") as file:
        file.write(b"more")
    assert reason_of(run, clip) == ("changed", "")


@pytest.mark.parametrize("changed", [{"start_ms": 1}, {"end_ms": 1}, {"num_frames": 9}])
def test_a_row_that_is_not_the_plans(run: LabeledRun, video: pathlib.Path, changed: dict[str, int]) -> None:
    clip = dataclasses.replace(run.clips(video)[0], **changed)  # type: ignore[arg-type]
    assert reason_of(run, clip) == ("changed", "")


def test_a_clip_or_a_range_that_the_video_does_not_have(run: LabeledRun, video: pathlib.Path) -> None:
    clip = run.clips(video)[0]
    later = dataclasses.replace(clip, key=clip.key._replace(clip_index=999))
    assert reason_of(run, later) == ("changed", "")
    for start, end in [(10**9, None), (1000, 500), (1000, 1000), (-1000, 500), (None, 0), (None, 10**18)]:
        outside = dataclasses.replace(clip, key=clip.key._replace(range_start_ms=start, range_end_ms=end))
        assert reason_of(run, outside) == ("changed", "")


def relabeled(run: LabeledRun, video: pathlib.Path, content: bytes) -> ShownClip:
    """Returns a clip whose row is about other content of the video."""
    clip = run.clips(video)[0]
    video.write_bytes(content)
    found = video.stat()
    return dataclasses.replace(clip, content_version="", size_bytes=found.st_size)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not a video at all " * 100, "video.mp4"), (b"", "empty"), (b"\0" * 100_000, "video.mp4")],
)
def test_files_that_cannot_be_decoded(run: LabeledRun, video: pathlib.Path, content: bytes, said: str) -> None:
    reason, message = reason_of(run, relabeled(run, video, content))
    assert reason == "unreadable" and said in message


def test_a_damaged_video_keeps_the_clips_before_the_damage(run: LabeledRun, video: pathlib.Path) -> None:
    clips = [dataclasses.replace(clip, content_version="") for clip in run.clips(video)]
    content = bytearray(video.read_bytes())
    damaged = len(content) * 6 // 10
    content[damaged : damaged + 400] = bytes(400)
    video.write_bytes(content)
    first, second = make_filmstrips(clips, str(run.output)).values()
    assert isinstance(first, Filmstrip)
    assert isinstance(second, NoFilmstrip) and second.reason == "unreadable"
    assert "1 of 2 clips lost" in second.message


def test_a_file_that_takes_over_its_decoder(
    run: LabeledRun, video: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sends is refused, and costs this video its pictures."""
    monkeypatch.setattr(making, "Sandbox", lambda: Sandbox("babbling_decoder"))
    reason, message = reason_of(run, relabeled(run, video, repr(b'{"media": {}}\n').encode()))
    assert reason == "unreadable" and "treat the file as hostile" in message


@pytest.mark.parametrize(
    ("uri", "secret"), [("nosuch://bucket/video.mp4", ""), ("http://127.0.0.1:9/video.mp4?sig=SECRET", "SECRET")]
)
def test_a_uri_that_cannot_be_read(run: LabeledRun, video: pathlib.Path, uri: str, secret: str) -> None:
    clip = run.clips(video)[0]
    reason, message = reason_of(run, dataclasses.replace(clip, key=clip.key._replace(video_uri=uri)))
    assert reason == "unreadable" and message and (not secret or secret not in message)


@pytest.mark.parametrize("run_id", ["20260109T000000Z-ffffff", "../../etc/passwd", ""])
def test_a_run_without_a_document(run: LabeledRun, video: pathlib.Path, run_id: str) -> None:
    clip = run.clips(video)[0]
    reason, message = reason_of(run, dataclasses.replace(clip, key=clip.key._replace(run_id=run_id)))
    assert (reason, message) == ("unreadable", "the run of this row has no document in the output")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"num_frames": None}, "configuration.num_frames"),
        ({"num_frames": 7}, "sampling_fingerprint"),
        ({"decoder_limits": {"memory_bytes": "x"}}, "configuration.decoder_limits.memory_bytes"),
    ],
)
def test_a_document_with_other_settings(
    run: LabeledRun, video: pathlib.Path, configuration: dict[str, object], said: str
) -> None:
    clip = run.clips(video)[0]
    run.edit_document(**configuration)
    reason, message = reason_of(run, clip)
    assert reason == "unreadable" and said in message


def test_a_video_over_the_limits_of_its_run(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    run = labeled_run(tmp_path / "out", "--max_pixels=1000")
    reason, message = reason_of(run, run.clips(video)[0])
    assert reason == "unreadable" and "--max_pixels" in message


def test_pictures_that_need_too_much_memory(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    run = labeled_run(tmp_path / "out", "--resize=8000", "--size=10", "--num_frames=1")
    reason, message = reason_of(run, run.clips(video)[0])
    assert reason == "unreadable" and "--decoder_memory_bytes" in message


def test_a_document_cannot_switch_the_sandbox_off(
    run: LabeledRun, video: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = run.clips(video)[0]
    run.edit_document(decoder_limits={"allow_unconfined": True})
    asked: list[bool] = []

    def check_walls(walls: object, allow_unconfined: bool) -> None:
        asked.append(allow_unconfined)
        raise ConfigError("not confined")

    monkeypatch.setattr(responses, "check_walls", check_walls)
    with pytest.raises(ConfigError, match="not confined"):
        pictures_of(run, clip)
    assert asked == [False]


def test_a_document_can_lower_limits_but_not_raise_them(run: LabeledRun) -> None:
    raised = {"memory_bytes": 10**15, "max_clips": 10**12, "max_duration_seconds": 1e12, "max_pixels": 10**15}
    run.edit_document(decoder_limits=raised | {"max_packets": 10**15, "deadline_seconds": 1e9, "max_streams": 3})
    found = read_settings(str(run.output), [run.run_id], allow_unconfined=False)[run.run_id]
    assert isinstance(found, RunSettings)
    assert found.limits == dataclasses.replace(DEFAULT_LIMITS, max_streams=3)


@pytest.mark.parametrize("size_bytes", [0, 10**12])
@pytest.mark.parametrize("num_clips", [0, 100])
def test_a_video_has_a_time_limit(size_bytes: int, num_clips: int) -> None:
    clips = [span(index) for index in range(num_clips)]
    limits = with_time_limit(DEFAULT_LIMITS, 120, size_bytes, clips)
    assert allowed_seconds(limits, size_bytes, clips) <= 120
    assert allowed_fetch_seconds(limits, size_bytes) <= 120
    assert allowed_seconds(limits, 0) <= DEFAULT_LIMITS.deadline_seconds


@pytest.mark.parametrize(
    ("uri", "reasons"),
    [
        ("/dev/zero", {"changed", "unreadable", "gone"}),
        ("/proc/self/mem", {"changed", "unreadable", "gone"}),
        ("/", {"gone"}),
        ("a\0b.mp4", {"gone", "unreadable"}),
        ("", {"gone", "unreadable"}),
        ("-i", {"gone"}),
        ("/tmp/\udcff.mp4", {"gone", "unreadable"}),
        ("concat:/etc/passwd", {"gone", "unreadable"}),
        ("gs:///", {"gone", "unreadable"}),
    ],
)
def test_uris_of_hostile_rows(run: LabeledRun, video: pathlib.Path, uri: str, reasons: set[str]) -> None:
    clip = run.clips(video)[0]
    for size_bytes in (0, 10**9, -1, None):
        key = clip.key._replace(video_uri=uri)
        hostile = dataclasses.replace(clip, key=key, size_bytes=size_bytes, content_version="")
        assert reason_of(run, hostile)[0] in reasons
