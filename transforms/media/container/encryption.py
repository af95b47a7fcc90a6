"""Detect encrypted video streams from their container. FFmpeg passes such streams to the decoder unchanged.

`probe.py` checks the packets' own side data (`encryption_info`).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

from av.container import InputContainer
from av.video.stream import VideoStream

from reelbeam.transforms.media.container import boxes, description, ebml
from reelbeam.transforms.media.container.files import LocalFile

COMMON_ENCRYPTION = "Common Encryption"

_PROTECTED_ENTRIES = {"encv": COMMON_ENCRYPTION, "drmi": "FairPlay"}
_SAMPLE_AES_TYPE = 0xDB
_ASF_ENCRYPTION = frozenset(
    uuid.UUID(text).bytes_le
    for text in ("2211b3fb-bd23-11d2-b4b7-00a0c955fc6e", "298ae614-2622-4c17-b935-dae07ee9289c")
)
_MAX_ASF_OBJECTS = 200
_MXF_ENCRYPTED_TRIPLET = bytes.fromhex("060e2b34 02040107 0d010301 027e01")
_WINDOW_BYTES = 1 << 20
_TS_PACKET_BYTES = (188, 192, 204)


def encryption_of(file: LocalFile, container: InputContainer, stream: VideoStream) -> str:
    """Returns the encryption scheme of a stream; "" if the container declares none.

    Args:
      file: the file, with its own position.
      container, stream: the same file, opened by FFmpeg.
    """
    demuxers = container.format.name.split(",")
    if "mp4" in demuxers:
        return encryption_of_boxes(boxes.read_boxes(file, beyond_index=False), stream.id)
    if "matroska" in demuxers:
        position = [other.index for other in container.streams.video].index(stream.index)
        return "Matroska ContentEncryption" if position in ebml.encrypted_video_tracks(file) else ""
    if "asf" in demuxers:
        return "Windows Media DRM" if _ASF_ENCRYPTION.intersection(_asf_objects(file)) else ""
    if "mxf" in demuxers:
        return "encrypted MXF" if _MXF_ENCRYPTED_TRIPLET in _bytes(file, 0) else ""
    if "mpegts" in demuxers and description.codec_number(container, stream.index) == _SAMPLE_AES_TYPE:
        return "SAMPLE-AES"
    if "mpegts" in demuxers:
        return "scrambled MPEG-TS" if _is_scrambled_ts(file, stream.id) else ""
    if "mpeg" in demuxers:
        return "scrambled MPEG-PS" if _is_mostly(_scrambled_pes(_bytes(file, 0))) else ""
    return ""


def message(scheme: str) -> str:
    """Returns the error text for a stream with this encryption scheme."""
    return f"the video is encrypted ({scheme}); decrypt it before labeling, or leave the file out"


def encryption_of_boxes(found: boxes.Boxes, track_id: int | None = None) -> str:
    """Returns the encryption scheme of an MP4 track, or of any fully encrypted track if `track_id` is None."""
    for track in found.tracks:
        kinds = [_PROTECTED_ENTRIES.get(entry, "") for entry in track.sample_entries]
        if kinds and all(kinds) and track_id in (None, track.track_id):
            return kinds[0]
    return ""


def _asf_objects(file: LocalFile) -> Iterator[bytes]:
    """Yields the identifiers of the header's objects."""
    start = 30  # the header's own identifier, size and count
    stop = min(int.from_bytes(_bytes(file, 16, 8), "little"), file.seek(0, os.SEEK_END))
    for _ in range(_MAX_ASF_OBJECTS):
        head = _bytes(file, start, 24) if start < stop else b""
        size = int.from_bytes(head[16:], "little")
        if size < 24:
            return
        yield head[:16]
        start += size


def _is_scrambled_ts(file: LocalFile, pid: int) -> bool:
    """Checks the file's start and end, because the start of a recording may be unencrypted."""
    tail = max(file.seek(0, os.SEEK_END) - _WINDOW_BYTES, 0)
    return any(_is_mostly(_scrambled_units(_bytes(file, start), pid)) for start in {0, tail})


def _scrambled_units(window: bytes, pid: int) -> Iterator[bool]:
    """Yields, for each PES packet that starts in the window, whether it is scrambled.

    A payload that begins with a PES start code was descrambled without clearing the TS flag.
    """
    size, start = _find_ts_packets(window)
    for at in range(start, len(window) - size, size):
        head = window[at : at + 4]
        if head[0] != 0x47 or (head[1] << 8 | head[2]) & 0x1FFF != pid or not head[1] & 0x40:
            continue
        payload = at + 4 + (1 + window[at + 4] if head[3] & 0x20 else 0)
        if window[payload : payload + 3] == b"\0\0\1":
            yield _has_scrambled_payload(window, payload)
        else:
            yield bool(head[3] & 0xC0)


def _find_ts_packets(window: bytes) -> tuple[int, int]:
    """Returns the packet length and the first packet's position; arbitrary values if there are no packets."""
    for size in _TS_PACKET_BYTES:
        for start in range(min(size, len(window))):
            if all(byte == 0x47 for byte in window[start : start + 8 * size : size]):
                return size, start
    return _TS_PACKET_BYTES[0], 0


def _scrambled_pes(window: bytes) -> Iterator[bool]:
    """Yields, for each video packet of a program stream, whether it is scrambled."""
    at = window.find(b"\0\0\1")
    while 0 <= at < len(window) - 9:
        if window[at + 3] & 0xF0 == 0xE0:
            yield _has_scrambled_payload(window, at)
        at = window.find(b"\0\0\1", at + 3)


def _has_scrambled_payload(window: bytes, pes: int) -> bool:
    flags = window[pes + 6] if pes + 6 < len(window) else 0
    return flags & 0xC0 == 0x80 and flags & 0x30 != 0


def _is_mostly(values: Iterator[bool]) -> bool:
    found = list(values)
    return sum(found) * 2 > len(found)


def _bytes(file: LocalFile, start: int, num_bytes: int = _WINDOW_BYTES) -> bytes:
    file.seek(start)
    return file.read(num_bytes)
