"""Files during their download: the decoder gets what it requests, its clock is paused, and no request is trusted."""

from __future__ import annotations

import os
import pathlib
import threading
import time
from fractions import Fraction

import data_generation as generate
import numpy as np
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import decoder, probe
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import protocol, responses, sandboxed

GEOMETRY = Geometry(72, 64)
LIMITS = DecoderLimits()
BLOCK = 4096

pytestmark = pytest.mark.usefixtures("no_process_left")


class ArrivingFile:
    """A file that is copied block by block, as it is asked for; as slow as wanted."""

    def __init__(self, source: pathlib.Path, folder: pathlib.Path, seconds: float = 0) -> None:
        self.name = str(source)
        self.size_bytes = source.stat().st_size
        self.num_fetched_bytes = 0
        self.asked: list[tuple[int, int]] = []
        self._data = source.read_bytes()
        self._seconds = seconds
        self._file = (folder / "arriving").open("w+b")
        self._file.truncate(self.size_bytes)

    def fileno(self) -> int:
        return self._file.fileno()

    def fetch(self, start: int, stop: int) -> tuple[int, int]:
        self.asked.append((start, stop))
        time.sleep(self._seconds)
        start, stop = start // BLOCK * BLOCK, min(-(-stop // BLOCK) * BLOCK, self.size_bytes)
        self.num_fetched_bytes += os.pwrite(self.fileno(), self._data[start:stop], start)
        return start, stop


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Ten seconds; the index is at the end."""
    return generate.make_video(tmp_path_factory.mktemp("partial") / "video.mp4", 250, 25, 160, 120, b_frames=2)


def test_frames_are_those_of_the_whole_file(video: pathlib.Path, tmp_path: pathlib.Path) -> None:
    media = probe.probe(video)
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(20)))
    expected = [frames for _, frames in decoder.decode_clips(video, media, spans, GEOMETRY)]
    file = ArrivingFile(video, tmp_path)
    assert sandboxed.probe(file, LIMITS) == media
    found = [
        frames for _, frames in sandboxed.decode_clips(ArrivingFile(video, tmp_path), media, spans, GEOMETRY, LIMITS)
    ]
    np.testing.assert_array_equal(found, expected)
    assert file.asked and all(0 <= start < stop <= file.size_bytes for start, stop in file.asked)
    assert len(set(file.asked)) == len(file.asked)  # what is there isn't asked for again


def test_a_slow_store_is_not_a_slow_decoder(video: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Fetching takes 2 s and more; the decoder may take 1.5."""
    file = ArrivingFile(video, tmp_path, seconds=2 / (video.stat().st_size // BLOCK))
    assert sandboxed.probe(file, DecoderLimits(deadline_seconds=1.5)).num_frames == 250


def test_a_store_that_is_too_slow_is_given_up(video: pathlib.Path, tmp_path: pathlib.Path) -> None:
    size_seconds = video.stat().st_size / (1 << 20)
    file = ArrivingFile(video, tmp_path, seconds=size_seconds + 0.02)
    with pytest.raises(errors.UnreadableVideoError, match="too slow") as caught:
        sandboxed.probe(file, DecoderLimits(fetch_seconds=0.01))
    assert caught.value.transient


@pytest.mark.parametrize(
    "needed",
    ["[0, 1000000]", "[-1, 5]", "[5, 5]", "[9, 5]", "[0]", "[0, 1, 2]", "null", '"0-5"', "[0.5, 5]", "[true, 5]"]
    + ["[0, 1e400]", "[0, NaN]", "{}", "[[0], 5]"],
)
def test_a_range_outside_the_file_is_garbage(tmp_path: pathlib.Path, babbling: sandboxed.Sandbox, needed: str) -> None:
    script = tmp_path / "script"
    script.write_text(repr(b'{"need": %s}\n' % needed.encode()))
    file = ArrivingFile(script, tmp_path)
    with pytest.raises(errors.DecoderProtocolError, match="need"):
        babbling.probe(file, LIMITS)
    assert file.asked == []


def test_a_request_for_a_complete_file_is_a_protocol_error(tmp_path: pathlib.Path, babbling: sandboxed.Sandbox) -> None:
    script = tmp_path / "script"
    script.write_text(repr(b'{"need": [0, 5]}\n'))
    with pytest.raises(errors.DecoderProtocolError, match="a complete file"):
        babbling.probe(script, LIMITS)


def test_a_decoder_that_repeats_a_request_hits_the_deadline(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox
) -> None:
    script = tmp_path / "script"
    script.write_text(repr(b'{"need": [0, 5]}\n' * 50))
    file = ArrivingFile(script, tmp_path)
    with pytest.raises(errors.DecoderTimeoutError):
        babbling.probe(file, DecoderLimits(deadline_seconds=0.3))
    assert len(file.asked) == 50


@pytest.mark.parametrize(
    ("seconds", "caught"), [(0.0, errors.DecoderTimeoutError), (0.02, errors.UnreadableVideoError)]
)
def test_a_decoder_that_floods_with_requests_is_killed(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox, seconds: float, caught: type[Exception]
) -> None:
    """The pause of the clock while the parent fetches has its own limit, so it cannot last forever."""
    limits = DecoderLimits(deadline_seconds=0.5, fetch_seconds=0.5 if seconds else 1000)
    script = tmp_path / "script"
    script.write_text(repr([b'{"need": [0, 1]}\n']))
    with babbling.acquire(1 << 30) as process:
        rescue = threading.Timer(10, process._process.kill)
        rescue.start()
        with pytest.raises(caught):
            process.probe(ArrivingFile(script, tmp_path, seconds=seconds), limits)
        rescue.cancel()


def test_the_range_that_is_checked_is_the_range_that_is_fetched() -> None:
    assert responses.byte_range([0, 100], 100) == (0, 100)
    with pytest.raises(protocol.ProtocolError):
        responses.byte_range([0, 101], 100)
