"""Error messages name the cause in plain words, for each way in which FFmpeg fails."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import box_editing
import data_generation as generate
import pytest
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.records import ClipSpan

WHOLE = Geometry(72, 72)
UNSUPPORTED = f"FFmpeg {av.ffmpeg_version_info} does not support a feature of it"
UNHELPFUL = (
    "0 packets", "no error", "End of file", "Operation not permitted", "patches welcome", "Invalid argument",
    "Input/output error", "external library", "libdav1d", "libvpx", "codec none",
)  # fmt: skip


def message_of(path: pathlib.Path, *spans: ClipSpan) -> tuple[str, str]:
    """Returns the code and the message of what is wrong with a file, which it does not name; "" for nothing."""
    try:
        list(decode_clips(path, probe(path), spans or [span_at(0, Fraction(0))], WHOLE))
    except errors.MediaError as error:
        text = str(error)
        assert text.startswith(f"{path}: ")
        assert not [words for words in UNHELPFUL if words in text]
        return error.code, text.removeprefix(f"{path}: ")
    return "", ""


# Opening and reading


def shortened(source: pathlib.Path, size: int) -> pathlib.Path:
    path = source.with_name(f"short{source.suffix}")
    path.write_bytes(source.read_bytes()[:size])
    return path


@pytest.mark.parametrize(
    ("name", "codec", "size", "said"),
    [
        ("v.flv", "flv", 211, "the data ends too early); it may be truncated: check that it plays"),
        ("v.asf", "wmv2", 302, "FFmpeg gave up without a reason); it may be truncated: check that it plays"),
        ("v.mxf", "mpeg2video", 536, f"{UNSUPPORTED}); if other programs play it, convert it, for example to H.264"),
    ],
)
def test_header_that_breaks_off(tmp_path: pathlib.Path, name: str, codec: str, size: int, said: str) -> None:
    path = shortened(generate.make_video(tmp_path / name, 5, 25, 64, 64, codec=codec), size)
    assert message_of(path) == ("not_a_video", f"not a video that FFmpeg can read ({said}")


def test_header_that_breaks_off_before_the_codec(tmp_path: pathlib.Path) -> None:
    options = {"movflags": "faststart"}
    path = generate.make_video(tmp_path / "v.mp4", 5, 25, 64, 64, container_options=options)
    start = path.read_bytes().index(b"stsd")
    code, said = message_of(shortened(path, start))
    assert code == "corrupt_video"
    assert said == (
        "the header does not say which codec video stream 0 has; the file may be truncated: check that it plays"
    )


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("v.asf", "wmv2", "yuv420p"),
        ("v.avi", "mpeg4", "yuv420p"),
        ("v.flv", "flv", "yuv420p"),
        ("v.gif", "gif", "rgb8"),
        ("v.mkv", "libx264", "yuv420p"),
        ("v.mov", "libx264", "yuv420p"),
        ("v.mpg", "mpeg1video", "yuv420p"),
        ("v.mxf", "mpeg2video", "yuv420p"),
        ("v.rm", "rv10", "yuv420p"),
        ("v.ts", "libx264", "yuv420p"),
        ("v.webm", "libvpx", "yuv420p"),
    ],
)
def test_a_file_of_any_length_has_a_helpful_message(
    tmp_path: pathlib.Path, name: str, codec: str, pix_fmt: str
) -> None:
    path = generate.make_video(tmp_path / name, 4, 25, 64, 64, codec=codec, pix_fmt=pix_fmt)
    found = {message_of(shortened(path, size))[0] for size in range(1, min(path.stat().st_size, 2500), 31)}
    assert found <= {"", "not_a_video", "no_video_stream", "no_frames", "corrupt_video", "unsupported_codec"}
    assert "not_a_video" in found


def test_media_segment_alone_and_initialization_segment_alone(tmp_path: pathlib.Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = generate.make_video(tmp_path / "v.mp4", 30, container_options=options)
    segment = box_editing.only_boxes(whole, tmp_path / "1.m4s", {b"moof", b"mdat"})
    header = box_editing.only_boxes(whole, tmp_path / "init.mp4", {b"ftyp", b"moov"})
    assert message_of(segment) == (
        "not_a_video",
        "a media segment without its initialization segment; join them, the initialization segment first, and label the"
        " joined file",
    )
    webm = generate.make_video(tmp_path / "v.webm", 10, codec="libvpx", container_options={"fflags": "+bitexact"})
    cluster = tmp_path / "cluster.webm"
    cluster.write_bytes(webm.read_bytes()[webm.read_bytes().index(b"\x1f\x43\xb6\x75", 300) :])
    assert message_of(cluster) == message_of(segment)
    assert message_of(header) == (
        "no_frames",
        "video stream 0 (h264) has no frames; this is an initialization segment alone: join its media segments to it,"
        " and label the joined file",
    )
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(header.read_bytes() + segment.read_bytes())
    assert probe(joined).num_frames == 30


# Decoding


def with_byte(source: pathlib.Path, path: pathlib.Path, position: Callable[[bytes], int], value: int) -> pathlib.Path:
    """Copies a video with one byte of each packet changed."""

    def edit(_: int, data: memoryview) -> None:
        data[position(bytes(data))] = value

    return generate.with_edited_packets(source, path, edit)


def test_feature_that_ffmpeg_lacks(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.avi", 5, 25, 64, 64, codec="mjpeg", pix_fmt="yuvj420p")
    sampling = with_byte(source, tmp_path / "b.avi", lambda data: data.index(b"\xff\xc0") + 11, 0x44)
    code, said = message_of(sampling)
    assert code == "unsupported_codec"
    assert said == (
        f"1 of 1 clip lost: decoded up to 0.000 s of 0.200 s, 5 packets rejected by the decoder ({UNSUPPORTED});"
        " if other programs play it, convert it, for example to H.264"
    )


def test_decoder_that_gives_no_reason(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.mov", 5, 25, 64, 64, codec="prores", pix_fmt="yuv422p10le")
    code, said = message_of(with_byte(source, tmp_path / "b.mov", lambda _: 20, 0xFF))
    assert code == "corrupt_video"
    assert said == (
        "1 of 1 clip lost: decoded up to 0.000 s of 0.200 s, 5 packets rejected by the decoder (FFmpeg gave up"
        " without a reason); check that the file plays, or upload it again"
    )


def test_frames_that_the_decoder_flags_are_counted(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.mkv", 20, 10, codec="mpeg2video", gop=1, draw=generate.draw_moving)

    def damage(index: int, data: memoryview) -> None:
        if index in (3, 4, 12):
            data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)

    path = generate.with_edited_packets(source, tmp_path / "b.mkv", damage)
    spans = [span_at(clip, *[Fraction(5 * clip + n, 10) for n in range(5)]) for clip in range(4)]
    code, said = message_of(path, *spans)
    assert code == "corrupt_video"
    assert said == (
        "2 of 4 clips lost: decoded up to 1.900 s of 2.000 s, 3 frames flagged as damaged by the decoder; check that"
        " the file plays, or upload it again"
    )


def test_rest_without_frames_and_file_that_changed(tmp_path: pathlib.Path) -> None:
    long = generate.make_video(tmp_path / "v.mp4", 30, 10)
    media = probe(long)
    generate.make_video(long, 12, 10)
    with pytest.raises(errors.CorruptVideoError) as caught:
        list(decode_clips(long, media, [span_at(0, Fraction(0)), span_at(1, Fraction(2))], WHOLE))
    assert str(caught.value) == (
        f"{long}: 1 of 2 clips lost: decoded up to 1.100 s of 1.200 s; the file changed: it was 3.000 s long when its"
        " clips were planned; run again"
    )


@pytest.mark.parametrize(("name", "codec", "said"), [("v.mkv", "libsvtav1", "av1"), ("v.webm", "libvpx-vp9", "vp9")])
def test_codecs_have_their_own_names(tmp_path: pathlib.Path, name: str, codec: str, said: str) -> None:
    options: dict[str, Any] = {"codec": codec, "options": {"preset": "12"} if codec == "libsvtav1" else {}}
    path = generate.make_video(tmp_path / name, 5, 25, **options)
    assert probe(path).codec == said
    cluster = path.read_bytes().index(b"\x1f\x43\xb6\x75", 300)
    assert message_of(shortened(path, cluster + 20)) == (
        "no_frames",
        f"video stream 0 ({said}) has no frames; the recording may have been interrupted",
    )
