"""Opens videos for a decoder, notes what is done with them, and may seek wrongly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import av

from reelbeam.transforms.media.container import container as containers
from reelbeam.transforms.media.container.files import LocalVideo
from reelbeam.transforms.media.limits import DecoderLimits


class WatchedVideos:
    """Opens videos by its method `open`.

    Args:
      seeks: "truly", "late" (by four seconds), "nowhere", or "refused".

    Attributes:
      sought: the pts of each seek.
      fully_decoded: the pts of each packet that was decoded in full. The fast path has a strict decoder.
    """

    def __init__(self, seeks: str = "truly") -> None:
        self.sought: list[int] = []
        self.fully_decoded: list[int] = []
        self.seeks = seeks

    @contextlib.contextmanager
    def open(
        self, video: LocalVideo, limits: DecoderLimits, stream_index: int | None = None
    ) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
        """Opens a video as `container.open_video` does."""
        with containers.open_video(video, limits, stream_index) as (container, stream):
            watched = cast(Any, _Container(self, container, stream)), cast(Any, _Stream(self, stream))
            yield watched


class _Stream:
    def __init__(self, watch: WatchedVideos, stream: av.VideoStream) -> None:
        self._watch, self._stream = watch, stream
        self._is_fast = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        if not self._stream.codec_context.is_open:  # then it takes its options
            self._is_fast = "err_detect" in self._stream.codec_context.options
        self._watch.fully_decoded.extend([] if packet is None or self._is_fast else [packet.pts])
        return self._stream.decode(packet)


class _Container:
    def __init__(self, watch: WatchedVideos, container: Any, stream: av.VideoStream) -> None:
        self._watch, self._container, self._stream = watch, container, stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, stream: object) -> Any:
        return self._container.demux(self._stream)

    def seek(self, pts: int, stream: object) -> None:
        self._watch.sought.append(pts)
        if self._watch.seeks == "refused":
            raise av.error.PermissionError(1, "Operation not permitted")
        if self._watch.seeks != "nowhere":
            late = int(4 / cast(Any, self._stream.time_base)) if self._watch.seeks == "late" else 0
            self._container.seek(pts + late, stream=self._stream)
