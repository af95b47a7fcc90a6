"""Encrypted video has an error of its own, in every container."""

from __future__ import annotations

import pathlib
import random
import subprocess
import uuid
from collections.abc import Callable

import av
import box_editing
import data_generation as generate
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import sandboxed

KEY = "00112233445566778899aabbccddeeff"
CENC = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY)
FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")


def assert_encrypted(path: pathlib.Path, scheme: str) -> None:
    with pytest.raises(errors.EncryptedVideoError) as caught:
        probe(path)
    text = f"{path}: the video is encrypted ({scheme}); decrypt it before labeling, or leave the file out"
    assert str(caught.value) == text
    assert (caught.value.code, caught.value.transient) == ("encrypted_video", False)
    with pytest.raises(errors.EncryptedVideoError) as confined:
        sandboxed.probe(path, DecoderLimits())
    assert str(confined.value) == text


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return generate.make_video(tmp_path_factory.mktemp("plain") / "plain.mp4", 60, 30, gop=15)


@pytest.fixture
def encrypt(tmp_path: pathlib.Path, plain: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Encrypts with FFmpeg's own program."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ships the ffmpeg program; in the dev extra")

    def run(*options: str) -> pathlib.Path:
        path = tmp_path / "encrypted.mp4"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(plain), "-c", "copy", *options]
        subprocess.run([*command, str(path)], check=True)
        return path

    return run


@pytest.mark.parametrize("options", [CENC, (*CENC, *FRAGMENTED)], ids=["whole", "fragmented"])
@pytest.mark.parametrize("scheme", [b"cenc", b"cbcs", b"cens", b"cbc1", b"none"])
def test_common_encryption(
    tmp_path: pathlib.Path, encrypt: Callable[..., pathlib.Path], options: tuple[str, ...], scheme: bytes
) -> None:
    path = encrypt(*options)
    if scheme != b"cenc":
        path = box_editing.edited(path, tmp_path / "other.mp4", lambda data: data.replace(b"cenc", scheme))
    assert_encrypted(path, "Common Encryption")


def test_packets_that_are_encrypted_under_a_clear_header(
    tmp_path: pathlib.Path, encrypt: Callable[..., pathlib.Path]
) -> None:
    """A stream may have two headers, and begin clear."""
    both = box_editing.edited(
        encrypt(*CENC), tmp_path / "both.mp4", lambda data: data.replace(b"encv\0\0\0\0", b"avc1\0\0\0\0", 1)
    )
    assert_encrypted(both, "Common Encryption")


@pytest.mark.parametrize("parts", [{b"ftyp", b"moov"}, {b"ftyp", b"moov", b"mdat"}])
def test_encrypted_headers_without_media(
    tmp_path: pathlib.Path, encrypt: Callable[..., pathlib.Path], parts: set[bytes]
) -> None:
    path = box_editing.only_boxes(encrypt(*CENC, *FRAGMENTED), tmp_path / "init.mp4", parts)
    assert_encrypted(path, "Common Encryption")


def test_fairplay(tmp_path: pathlib.Path, plain: pathlib.Path) -> None:
    path = box_editing.edited(
        plain, tmp_path / "drm.mp4", lambda data: data.replace(b"avc1\0\0\0\0\0\0", b"drmi\0\0\0\0\0\0")
    )
    assert_encrypted(path, "FairPlay")


def test_another_stream_that_is_encrypted_does_not_matter(tmp_path: pathlib.Path, plain: pathlib.Path) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copies = [target.add_stream_from_template(stream) for _ in range(2)]
        for packet in source.demux(stream):
            if packet.size:
                for copy in copies:
                    twin = av.Packet(bytes(packet))
                    twin.pts, twin.dts, twin.time_base = packet.pts, packet.dts, packet.time_base
                    twin.is_keyframe, twin.stream = packet.is_keyframe, copy
                    target.mux(twin)

    def protect_second(data: bytes) -> bytes:
        entry = b"avc1\0\0\0\0\0\0"
        first, second = data.index(entry), data.rindex(entry)
        assert first < second
        return data[:second] + b"drmi" + data[second + 4 :]

    media = probe(box_editing.edited(path, tmp_path / "mixed.mp4", protect_second))
    assert (media.stream_index, media.num_video_streams, media.num_frames) == (0, 2, 60)


@pytest.mark.parametrize("key", [b"", b"\x47\xe2\x90" + bytes(range(16))], ids=["no key", "key"])
@pytest.mark.parametrize("kind", [1, 0])
def test_matroska_content_encryption(tmp_path: pathlib.Path, key: bytes, kind: int) -> None:
    source = generate.make_video(tmp_path / "plain.mkv", 20, 30, container_options={"fflags": "+bitexact"})
    encryption = b"\x47\xe1\x81\x05" + key
    encoding = b"\x50\x33\x81" + bytes([kind]) + b"\x50\x35" + bytes([0x80 | len(encryption)]) + encryption
    if kind == 0:  # no encryption but a compression, by which nothing is left out
        encoding = b"\x50\x33\x81\x00\x50\x34\x87\x42\x54\x81\x03\x42\x55\x80"
    inner = b"\x62\x40" + bytes([0x80 | len(encoding)]) + encoding
    path = with_track_element(source, tmp_path / "e.mkv", b"\x6d\x80" + bytes([0x80 | len(inner)]) + inner)
    if kind == 1:
        assert_encrypted(path, "Matroska ContentEncryption")
    else:
        assert probe(path).num_frames == 20


def with_track_element(source: pathlib.Path, path: pathlib.Path, element: bytes) -> pathlib.Path:
    """Copies a Matroska file with one more element at the end of its only track."""
    data = bytearray(source.read_bytes())

    def grow(at: int, id_bytes: int) -> int:
        """Makes an element longer; returns where it ends."""
        num_bytes = 9 - data[at + id_bytes].bit_length()
        field = slice(at + id_bytes, at + id_bytes + num_bytes)
        size = int.from_bytes(data[field], "big") + len(element)
        data[field] = size.to_bytes(num_bytes, "big")
        return field.stop + (size & ((1 << 7 * num_bytes) - 1)) - len(element)

    grow(data.index(b"\x18\x53\x80\x67"), 4)
    info = b"\x15\x49\xa9\x66"  # once in the table of contents, then at its own place
    tracks = data.index(b"\x16\x54\xae\x6b", data.index(info, data.index(info) + 4))
    end = grow(tracks, 4)
    assert grow(data.index(b"\xae", tracks + 4), 1) == end
    data[end:end] = element
    path.write_bytes(data)
    return path


# MPEG-TS and MPEG-PS

PID = 0x100


def scrambled(source: pathlib.Path, path: pathlib.Path, is_noise: bool = True, share: float = 0) -> pathlib.Path:
    """Copies an MPEG-TS whose video is scrambled from a share of the file on."""
    data, noise = bytearray(source.read_bytes()), random.Random(1)
    for at in range(0, len(data), 188):
        if (data[at + 1] << 8 | data[at + 2]) & 0x1FFF == PID and at >= share * len(data):
            data[at + 3] |= 0x80
            payload = 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            if is_noise:
                data[at + payload : at + 188] = noise.randbytes(188 - payload)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("prefix", [b"", b"\0\0\0\0"], ids=["ts", "m2ts"])
def test_scrambled_transport_stream(tmp_path: pathlib.Path, share: float, prefix: bytes) -> None:
    # Long enough for its start and its end to lie apart.
    options = {"crf": "1"}
    source = generate.make_video(tmp_path / "v.ts", 100, 25, 320, 240, draw=generate.draw_moving, options=options)
    assert source.stat().st_size > 2 << 20
    path = scrambled(source, tmp_path / "s.ts", share=share)
    data = path.read_bytes()
    path.write_bytes(b"".join(prefix + data[at : at + 188] for at in range(0, len(data), 188)))
    assert_encrypted(path, "scrambled MPEG-TS")


def test_transport_stream_that_was_descrambled_but_for_its_flags(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.ts", 30, 25)
    assert probe(scrambled(source, tmp_path / "s.ts", is_noise=False)).num_frames == 30


@pytest.mark.parametrize(("name", "scheme"), [("v.ts", "scrambled MPEG-TS"), ("v.vob", "scrambled MPEG-PS")])
def test_scrambled_payload_of_pes_packets(tmp_path: pathlib.Path, name: str, scheme: str) -> None:
    source = generate.make_video(tmp_path / name, 30, 25, codec="mpeg2video")
    data = bytearray(source.read_bytes())
    at = data.find(b"\0\0\1\xe0")
    while at >= 0:
        if data[at + 6] & 0xC0 == 0x80:
            data[at + 6] |= 0x20
        at = data.find(b"\0\0\1\xe0", at + 4)
    path = tmp_path / f"s{source.suffix}"
    path.write_bytes(data)
    assert_encrypted(path, scheme)


def test_sample_aes(tmp_path: pathlib.Path) -> None:
    data = bytearray(generate.make_video(tmp_path / "v.ts", 10, 25).read_bytes())
    for at in range(0, len(data), 188):
        if (data[at + 1] << 8 | data[at + 2]) & 0x1FFF == 0x1000:  # the table of the program
            section = data[at + 5 : at + 8 + data[at + 7]]
            assert section[12] == 0x1B
            section[12] = 0xDB
            section[-4:] = mpeg_checksum(bytes(section[:-4]))
            data[at + 5 : at + 8 + data[at + 7]] = section
    (tmp_path / "aes.ts").write_bytes(data)
    assert_encrypted(tmp_path / "aes.ts", "SAMPLE-AES")


def mpeg_checksum(section: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


@pytest.mark.parametrize("guid", ["2211b3fb-bd23-11d2-b4b7-00a0c955fc6e", "298ae614-2622-4c17-b935-dae07ee9289c"])
def test_windows_media_drm(tmp_path: pathlib.Path, guid: str) -> None:
    data = bytearray(generate.make_video(tmp_path / "v.asf", 20, 25, codec="wmv2").read_bytes())
    body = bytes(16)  # four empty parts
    entry = uuid.UUID(guid).bytes_le + (24 + len(body)).to_bytes(8, "little") + body
    end = int.from_bytes(data[16:24], "little")
    data[16:24] = (end + len(entry)).to_bytes(8, "little")
    data[24:28] = (int.from_bytes(data[24:28], "little") + 1).to_bytes(4, "little")
    data[end:end] = entry
    path = tmp_path / "drm.wmv"
    path.write_bytes(data)
    assert_encrypted(path, "Windows Media DRM")


def test_encrypted_mxf(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.mxf", 10, 25, codec="mpeg2video", options={"bf": "0"})
    essence = bytes.fromhex("060e2b34 01020101 0d010301 150105")
    triplet = bytes.fromhex("060e2b34 02040107 0d010301 027e01")
    path = box_editing.edited(source, tmp_path / "e.mxf", lambda data: data.replace(essence, triplet))
    assert_encrypted(path, "encrypted MXF")


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.mkv", "v.ts", "v.mpg", "v.asf", "v.mxf", "v.avi"])
def test_clear_video_is_not_encrypted(tmp_path: pathlib.Path, name: str) -> None:
    codec = {"mpg": "mpeg2video", "mxf": "mpeg2video", "asf": "wmv2"}.get(name[2:], "libx264")
    assert probe(generate.make_video(tmp_path / name, 10, 25, codec=codec, b_frames=0)).num_frames == 10
