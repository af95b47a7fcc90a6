"""Parse the boxes of ISO base media files (MP4, MOV, AVIF, HEIF) for metadata that FFmpeg does not expose.

The parser reads box headers only, reads a bounded number of them, and does not trust their sizes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from reelbeam.transforms.media.container.files import LocalFile

# The limit for the whole file. A valid file has a few dozen boxes outside its fragments.
_MAX_BOXES = 5000
_MAX_AT_TOP = 64
_MAX_SAMPLE_ENTRIES = 16


@dataclasses.dataclass(frozen=True)
class Track:
    """One track.

    Attributes:
      track_id: the track's number in the file.
      handler: the handler type: "vide", "pict" for still pictures, "auxv" for auxiliary pictures.
      references: the types of references to other tracks. "auxl" marks an auxiliary track.
      sample_entries: the codes of the sample descriptions, for example "avc1" or "encv".
    """

    track_id: int
    handler: str
    references: frozenset[str]
    sample_entries: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The parsed boxes.

    Attributes:
      kinds: the types of the first top-level boxes.
      tracks: the tracks in file order.
      is_fragmented: whether the index declares media fragments.
    """

    kinds: tuple[str, ...] = ()
    tracks: tuple[Track, ...] = ()
    is_fragmented: bool = False

    @property
    def is_media_segment(self) -> bool:
        """Whether this is a media segment without its initialization segment."""
        return "moof" in self.kinds and "moov" not in self.kinds

    @property
    def is_initialization_segment(self) -> bool:
        """Whether this is an initialization segment without media."""
        return self.is_fragmented and not {"moof", "mdat"} & set(self.kinds)


def read_boxes(file: LocalFile, beyond_index: bool = True) -> Boxes:
    """Reads the boxes of a file; missing boxes give empty fields. Moves the file's position.

    Args:
      file: the file.
      beyond_index: whether to read past the index. In a fragmented file this means many distant reads.
    """
    return _Reader(file).read(beyond_index)


@dataclasses.dataclass(frozen=True)
class _Box:
    kind: str
    start: int
    stop: int


class _Reader:
    def __init__(self, file: LocalFile) -> None:
        self._file = file
        self._boxes_left = _MAX_BOXES

    def read(self, beyond_index: bool) -> Boxes:
        size = self._file.seek(0, 2)
        kinds: list[str] = []
        tracks: list[Track] = []
        is_fragmented = False
        for box in self._children(_Box("", 0, size)):
            kinds.append(box.kind)
            if box.kind == "moov":
                for child in self._children(box):
                    if child.kind == "trak":
                        tracks.append(self._track(child))
                    is_fragmented = is_fragmented or child.kind == "mvex"
            if len(kinds) == _MAX_AT_TOP or (tracks and not beyond_index):
                break
        return Boxes(tuple(kinds), tuple(tracks), is_fragmented)

    def _track(self, trak: _Box) -> Track:
        track_id, handler = 0, ""
        entries: tuple[str, ...] = ()
        references: set[str] = set()
        for box in self._children(trak):
            if box.kind == "tkhd":
                version = self._number(box.start, 1)
                track_id = self._number(box.start + (20 if version == 1 else 12), 4)
            elif box.kind == "tref":
                references.update(child.kind for child in self._children(box))
            elif box.kind == "mdia":
                for child in self._children(box):
                    if child.kind == "hdlr":
                        handler = _text(self._bytes(child.start + 8, 4))
                    elif child.kind == "minf":
                        entries = self._sample_entries(child)
        return Track(track_id, handler, frozenset(references), entries)

    def _sample_entries(self, minf: _Box) -> tuple[str, ...]:
        found: list[str] = []
        for stbl in self._children(minf):
            for stsd in self._children(stbl) if stbl.kind == "stbl" else ():
                if stsd.kind == "stsd":
                    entries = self._children(_Box("stsd", stsd.start + 8, stsd.stop))
                    found += [entry.kind for entry, _ in zip(entries, range(_MAX_SAMPLE_ENTRIES), strict=False)]
        return tuple(found)

    def _children(self, parent: _Box) -> Iterator[_Box]:
        """Yields the child boxes; stops at the first box with an invalid size."""
        start = parent.start
        while start + 8 <= parent.stop and self._boxes_left > 0:
            self._boxes_left -= 1
            size, kind, body = self._number(start, 4), _text(self._bytes(start + 4, 4)), start + 8
            if size == 1:
                size, body = self._number(start + 8, 8), start + 16
            stop = parent.stop if size == 0 else start + size
            if stop < body:
                return
            yield _Box(kind, body, min(stop, parent.stop))
            start = stop

    def _number(self, start: int, num_bytes: int) -> int:
        return int.from_bytes(self._bytes(start, num_bytes), "big")

    def _bytes(self, start: int, num_bytes: int) -> bytes:
        self._file.seek(start)
        return self._file.read(num_bytes)


def _text(code: bytes) -> str:
    return code.decode("latin-1")
