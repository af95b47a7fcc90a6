"""Packets without a picture, or with one that is never shown, do not count as frames."""

from __future__ import annotations

import pathlib
from fractions import Fraction

import av
import data_generation as generate
import pytest
from fast_and_full import GEOMETRY, assert_same_as_full
from record_factory import span_at

from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.probe import probe

_NUM_FRAMES = 48
_COMMENT = b"\x21\xfe\x05hello\x00"
_XMP = b"\x21\xff\x0bXMP DataXMP" + b"<x:xmpmeta/>" + b"\x01" + bytes(range(255, 0, -1)) + b"\x00\x00"
_CONTROL = b"\x21\xf9\x04\x04\xff\xff\x00\x00"


def _shown(path: pathlib.Path) -> list[int]:
    """Returns the number of the picture in the middle of each of several equal parts of the video."""
    media = probe(path)
    middles = [media.duration_seconds * Fraction(2 * n + 1, 2 * _NUM_FRAMES) for n in range(_NUM_FRAMES)]
    clips = decode_clips(path, media, [span_at(n, middle) for n, middle in enumerate(middles)], GEOMETRY)
    found = {span.clip_index: generate.read_frame_number(frames[0]) for span, frames in clips}
    return [found[n] for n in range(_NUM_FRAMES)]


@pytest.mark.parametrize(
    "blocks", [_COMMENT, _XMP, _CONTROL, _COMMENT + _CONTROL], ids=["comment", "xmp", "control", "two"]
)
def test_blocks_after_the_last_image_of_a_gif(tmp_path: pathlib.Path, blocks: bytes) -> None:
    source = generate.make_video(tmp_path / "v.gif", _NUM_FRAMES, 10, codec="gif", pix_fmt="rgb8")
    data = source.read_bytes()
    assert data.endswith(b";")
    path = tmp_path / "longer.gif"
    path.write_bytes(data[:-1] + blocks + b";")
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (_NUM_FRAMES, Fraction(_NUM_FRAMES, 10))
    assert media == probe(source)
    assert _shown(path) == list(range(_NUM_FRAMES))


@pytest.mark.parametrize("period", [2, 5])
def test_hidden_frames(tmp_path: pathlib.Path, period: int) -> None:
    """VP8 stores frames to refer to as packets of their own, with a bit that says so."""
    data = bytearray(generate.make_video(tmp_path / "v.ivf", _NUM_FRAMES, 24, codec="libvpx").read_bytes())
    at, shown = 32, []
    for number in range(_NUM_FRAMES):
        size = int.from_bytes(data[at : at + 4], "little")
        if number % period == 1:
            data[at + 12] &= ~0x10
        else:
            shown.append(number)
        at += 12 + size
    path = tmp_path / "hidden.ivf"
    path.write_bytes(data)
    media = probe(path)
    with av.open(str(path)) as container:
        assert [frame.pts for frame in container.decode(video=0)] == shown
    assert media.num_frames == len(shown)
    assert media.source_fps == (len(shown) - 1) / (shown[-1] / 24)
    clips = decode_clips(path, media, [span_at(n, Fraction(2 * n + 1, 48)) for n in range(shown[-1] + 1)], GEOMETRY)
    found = [generate.read_frame_number(frames[0]) for _, frames in clips]
    assert found == [max(number for number in shown if number <= n) for n in range(shown[-1] + 1)]
    assert_same_as_full(path, media)
