"""The readers of headers accept any bytes: they return quickly, and report only what is present."""

from __future__ import annotations

import contextlib
import pathlib
import random
import struct

import av
import data_generation as generate
import pytest

from reelbeam.transforms.media.container import boxes, ebml, encryption, files


def read_all(path: pathlib.Path) -> tuple[boxes.Boxes, frozenset[int]]:
    with contextlib.closing(files.open_file(str(path))) as file:
        return boxes.read_boxes(file), ebml.encrypted_video_tracks(file)


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"\0\0\0\0moov",  # up to the file's end
        b"\0\0\0\1moov" + bytes(8),  # a size below that of its header
        b"\0\0\0\1moov" + b"\xff" * 8,
        b"\0\0\0\7moov",
        struct.pack(">I4s", 8, b"free") * 10_000,
        (struct.pack(">I4s", 0, b"moov") + struct.pack(">I4s", 0, b"trak")) * 5000,
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" * 2000,  # segments of unknown size
        b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + (b"\x16\x54\xae\x6b\xff" + b"\xae\xff" * 3000),
        b"\xec\x80" * 20_000,
    ],
)
def test_hostile_headers(tmp_path: pathlib.Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    found, tracks = read_all(tmp_path / "x")
    assert tracks == frozenset()
    assert len(found.kinds) <= 64 and len(found.tracks) <= 5000
    assert encryption.encryption_of_boxes(found) == ""


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.vob", "v.asf"])
def test_damaged_headers(tmp_path: pathlib.Path, name: str) -> None:
    codec = {"v.vob": "mpeg2video", "v.asf": "wmv2"}.get(name, "libx264")
    source = generate.make_video(tmp_path / name, 5, 25, codec=codec)
    data, dice = source.read_bytes(), random.Random(1)
    damaged = tmp_path / f"damaged{source.suffix}"
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        for _ in range(150):
            copy = bytearray(data)
            for _ in range(dice.randrange(1, 30)):
                copy[dice.randrange(len(copy))] = dice.randrange(256)
            damaged.write_bytes(copy[: dice.randrange(1, len(copy))])
            read_all(damaged)
            with contextlib.closing(files.open_file(str(damaged))) as file:
                assert isinstance(encryption.encryption_of(file, container, stream), str)


def test_boxes_of_a_video(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 5)
    track = boxes.Track(1, "vide", frozenset(), ("avc1",))
    assert read_all(path)[0] == boxes.Boxes(("ftyp", "free", "mdat", "moov"), (track,), False)
