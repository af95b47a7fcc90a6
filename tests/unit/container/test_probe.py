"""What `probe` returns for good files and for every kind of bad file."""

from __future__ import annotations

import pathlib
import random
from fractions import Fraction

import av
import data_generation as generate
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.probe import library_versions, probe

# fps, seconds, width, height, codec, container, stream, audio: facts about the shared files.
REAL_FILES = {
    "kinetics_style_256p.mp4": (300, "10", 340, 256, "h264", 0, False),
    "mpeg4_packed_bframes.avi": (164, "6.56", 320, 240, "mpeg4", 0, True),
    "carving_ice.mp4": (131, "131/30", 172, 172, "h264", 0, True),
    "nasa_13013.mp4": (390, "13.013", 480, 270, "h264", 3, True),
    "av1.mkv": (125, "5", 640, 360, "av1", 0, False),
    "hevc.mp4": (10, "1", 128, 128, "hevc", 0, False),
    "small_192x144.mp4": (290, "29/3", 192, 144, "h264", 1, True),
    "long_1080p.mp4": (3678, "122.6", 1920, 1080, "h264", 0, True),
}


@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files(shared_dir: pathlib.Path, name: str) -> None:
    media = probe(shared_dir / "media" / name)
    num_frames, duration, width, height, codec, stream_index, has_audio = REAL_FILES[name]
    assert media.num_frames == num_frames
    assert media.duration_seconds == Fraction(duration)
    assert (media.width, media.height, media.codec) == (width, height, codec)
    assert (media.stream_index, media.has_audio, media.rotation_degrees) == (stream_index, has_audio, 0)
    assert media.num_video_streams == (2 if name == "nasa_13013.mp4" else 1)


def test_kinetics_style_file_has_its_pixel_aspect_ratio(shared_dir: pathlib.Path) -> None:
    media = probe(shared_dir / "media" / "kinetics_style_256p.mp4")
    assert media.pixel_aspect_ratio == Fraction(1024, 765)
    assert media.source_fps == 30.0


@pytest.mark.parametrize("fps", ["24000/1001", "25", "30000/1001", "30", "60"])
def test_duration_is_exact_in_the_streams_time_base(tmp_path: pathlib.Path, fps: str) -> None:
    media = probe(generate.make_video(tmp_path / "v.mp4", 20, Fraction(fps), b_frames=2))
    assert media.num_frames == 20
    assert media.duration_seconds == 20 / Fraction(fps)
    assert media.source_fps == pytest.approx(float(Fraction(fps)))


def test_variable_frame_rate(tmp_path: pathlib.Path) -> None:
    pts = [0, 100, 110, 500, 1300]
    path = generate.make_video(tmp_path / "v.mkv", 5, 10, pts=pts, time_base=Fraction(1, 1000), start_pts=7000)
    media = probe(path)
    # 1.3 s between the first and the last frame; the last one is shown for a nominal tenth of a second.
    assert media.duration_seconds == Fraction("1.4")
    assert media.source_fps == pytest.approx(4 / 1.3)


@pytest.mark.parametrize("start_pts", [40, -10])
def test_start_time_is_not_part_of_the_duration(tmp_path: pathlib.Path, start_pts: int) -> None:
    media = probe(generate.make_video(tmp_path / "v.mp4", 60, start_pts=start_pts, b_frames=2))
    # Frames at negative times are cut away by MP4's edit list.
    assert media.num_frames == 60 + min(start_pts, 0)
    assert media.duration_seconds == Fraction(media.num_frames, 30)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("v.ts", "libx264", "yuv420p"),
        ("v.flv", "libx264", "yuv420p"),
        ("v.avi", "libx264", "yuv420p"),  # decoding times only
        ("v.h264", "libx264", "yuv420p"),  # no times at all
        ("v.webm", "libvpx", "yuv420p"),
        ("v.mov", "mjpeg", "yuvj420p"),
        ("v.gif", "gif", "rgb8"),
        ("v.mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_containers(tmp_path: pathlib.Path, name: str, codec: str, pix_fmt: str) -> None:
    media = probe(generate.make_video(tmp_path / name, 30, 25, codec=codec, pix_fmt=pix_fmt, b_frames=2))
    assert media.num_frames == 30
    assert media.duration_seconds == Fraction(30, 25)


def test_single_frame(tmp_path: pathlib.Path) -> None:
    media = probe(generate.make_video(tmp_path / "v.mp4", 1, 25))
    assert (media.num_frames, media.source_fps) == (1, None)
    assert media.duration_seconds == Fraction(1, 25)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_clockwise(tmp_path: pathlib.Path, rotation: int) -> None:
    media = probe(generate.make_video(tmp_path / "v.mp4", 5, rotation=rotation, b_frames=2))
    assert media.rotation_degrees == rotation
    assert (media.width, media.height) == (96, 72)


def test_pixel_aspect_ratio(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 5, pixel_aspect_ratio=Fraction(4, 3))
    assert probe(path).pixel_aspect_ratio == Fraction(4, 3)


def test_name_with_a_colon_is_a_file(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "plain.mp4", 5).rename(tmp_path / "http:v?x=1.mp4")
    assert probe(path).num_frames == 5


def test_title_in_an_odd_encoding_is_not_an_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "v.mkv"
    # Without random ids: with some, FFmpeg finds the file broken once its title is changed.
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(generate.draw_number(1, 64, 64), "rgb24").reformat(format="yuv420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"TITLETITLE", b"\xff\xfe\xe9LETITLE"))
    assert probe(path).num_frames == 1


def test_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.VideoNotFoundError, match=r"nothing\.mp4: no such file"):
        probe(tmp_path / "nothing.mp4")


def test_folder(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.NotAVideoError, match="a folder, pipe or device, not a file"):
        probe(tmp_path)


def test_empty_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "v.mp4").touch()
    with pytest.raises(errors.EmptyFileError, match=r"v\.mp4: the file is empty"):
        probe(tmp_path / "v.mp4")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.mp4", b"not a video\n" * 100),
        ("text.txt", b"not a video\n" * 100),
        ("noise.mp4", random.Random(1).randbytes(50_000)),
        ("noise.bin", random.Random(2).randbytes(50_000)),
    ],
)
def test_not_a_video(tmp_path: pathlib.Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(errors.NotAVideoError, match=f"{name}: not a video"):
        probe(tmp_path / name)


def test_picture_is_not_a_video(tmp_path: pathlib.Path) -> None:
    av.VideoFrame.from_ndarray(generate.draw_number(1, 64, 64), "rgb24").save(str(tmp_path / "p.png"))
    with pytest.raises(errors.NotAVideoError, match="picture"):
        probe(tmp_path / "p.png")


def test_mp4_without_its_index(tmp_path: pathlib.Path) -> None:
    video = generate.make_video(tmp_path / "v.mp4", 30)
    with pytest.raises(errors.NotAVideoError, match=r"Invalid data found .* truncated"):
        probe(generate.truncated(video, tmp_path / "t.mp4", 0.5))


def test_truncated_mp4_with_its_index_in_front_keeps_its_promised_duration(tmp_path: pathlib.Path) -> None:
    video = generate.make_video(tmp_path / "v.mp4", 60, container_options={"movflags": "faststart"})
    media = probe(generate.truncated(video, tmp_path / "t.mp4", 0.6))
    assert 10 < media.num_frames < 59
    assert media.duration_seconds == 2


@pytest.mark.parametrize("cover_art", [False, True])
def test_audio_is_not_a_video(tmp_path: pathlib.Path, cover_art: bool) -> None:
    path = generate.make_audio(tmp_path / "a.m4a", cover_art=cover_art)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == int(cover_art)
    with pytest.raises(errors.NoVideoStreamError, match=r"a\.m4a: no video stream \(streams: audio"):
        probe(path)


@pytest.mark.parametrize(("code", "said"), [(b"zzz1", 'code "zzz1"'), (b"evc1", "codec evc"), (b"ap\xff1", "code")])
def test_codec_without_a_decoder_is_named(tmp_path: pathlib.Path, code: bytes, said: str) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 5)
    path.write_bytes(path.read_bytes().replace(b"avc1\0\0\0\0", code + b"\0\0\0\0").replace(b"avcC", b"free"))
    with pytest.raises(errors.UnsupportedCodecError) as caught:
        probe(path)
    assert str(caught.value).startswith(
        f"{path}: FFmpeg {av.ffmpeg_version_info} has no decoder for video stream 0 ({said}"
    )
    assert str(caught.value).endswith("); convert the video, for example to H.264")


def test_no_frames(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.avi", 5, codec="mpeg4")
    data = path.read_bytes()
    start = data.index(b"movi") + 4
    (tmp_path / "header.avi").write_bytes(data[:start])
    with pytest.raises(errors.NoFramesError, match=r"header\.avi: video stream 0 \(mpeg4\) has no frames"):
        probe(tmp_path / "header.avi")


def test_ffmpeg_writes_nothing(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = generate.make_video(tmp_path / "v.mp4", 60, container_options={"movflags": "faststart"})
    capfd.readouterr()
    probe(generate.truncated(video, tmp_path / "t.mp4", 0.6))
    probe(generate.with_broken_packets(video, tmp_path / "b.mp4", range(60)))
    assert capfd.readouterr() == ("", "")


def test_library_versions() -> None:
    versions = library_versions()
    assert versions["av"] == av.__version__
    assert versions["ffmpeg"]
    assert versions["libavcodec"].count(".") == 2
