"""Find the encrypted video tracks of a Matroska or WebM file. FFmpeg reports only some of them.

The parser reads a bounded number of elements up to the end of the track list and does not trust their sizes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from reelbeam.transforms.media.container.files import LocalFile

_MAX_ELEMENTS = 5000
_SEGMENT, _TRACKS, _TRACK_ENTRY, _TRACK_TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x83
_CLUSTER = 0x1F43B675
_CONTENT_ENCODINGS, _CONTENT_ENCODING, _CONTENT_ENCODING_TYPE = 0x6D80, 0x6240, 0x5033
_VIDEO, _ENCRYPTION = 1, 1


def encrypted_video_tracks(file: LocalFile) -> frozenset[int]:
    """Returns the positions of the encrypted tracks among the video tracks. Moves the file's position."""
    return _Reader(file).encrypted_video_tracks()


def is_media_segment(file: LocalFile) -> bool:
    """Returns whether this is a WebM media segment without its initialization segment. Moves the position."""
    file.seek(0)
    return file.read(4) == _CLUSTER.to_bytes(4, "big")


class _Reader:
    def __init__(self, file: LocalFile) -> None:
        self._file = file
        self._elements_left = _MAX_ELEMENTS

    def encrypted_video_tracks(self) -> frozenset[int]:
        end = self._file.seek(0, os.SEEK_END)
        for segment, start, stop in self._children(0, end):
            if segment == _SEGMENT:
                for kind, first, last in self._children(start, stop):
                    if kind == _TRACKS:
                        return self._encrypted(first, last)
        return frozenset()

    def _encrypted(self, start: int, stop: int) -> frozenset[int]:
        found: set[int] = set()
        num_tracks = 0
        for kind, first, last in self._children(start, stop):
            if kind != _TRACK_ENTRY:
                continue
            is_video = is_encrypted = False
            for field, begin, end in self._children(first, last):
                if field == _TRACK_TYPE:
                    is_video = self._number(begin, end) == _VIDEO
                elif field == _CONTENT_ENCODINGS:
                    is_encrypted = self._has_encryption(begin, end)
            if is_video and is_encrypted:
                found.add(num_tracks)
            num_tracks += is_video
        return frozenset(found)

    def _has_encryption(self, start: int, stop: int) -> bool:
        return any(
            field == _CONTENT_ENCODING_TYPE and self._number(begin, end) == _ENCRYPTION
            for kind, first, last in self._children(start, stop)
            if kind == _CONTENT_ENCODING
            for field, begin, end in self._children(first, last)
        )

    def _children(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yields (identifier, content start, content end) of the elements in a range."""
        while start < stop and self._elements_left > 0:
            self._elements_left -= 1
            self._file.seek(start)
            head = self._file.read(12)
            id_bytes = _length(head[:1])
            size_bytes = _length(head[id_bytes : id_bytes + 1])
            if not id_bytes or not size_bytes:
                return
            mask = (1 << (7 * size_bytes)) - 1
            size = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & mask
            body = start + id_bytes + size_bytes
            # A live recording has elements of unknown size.
            end = stop if size == mask else min(body + size, stop)
            yield int.from_bytes(head[:id_bytes], "big"), body, end
            start = end

    def _number(self, start: int, stop: int) -> int:
        self._file.seek(start)
        return int.from_bytes(self._file.read(min(stop - start, 8)), "big")


def _length(first_byte: bytes) -> int:
    """Returns the length in bytes of the variable-size integer with this first byte; 0 if it is invalid."""
    return 9 - first_byte[0].bit_length() if first_byte and first_byte[0] else 0
