"""The edges that a container tells players to cut off: Matroska's PixelCrop, `clap` of MP4, MOV, AVIF and HEIF.

Decoders apply the cropping of the codec itself, and leave this one to the player. PyAV has no attribute for it, so it
is read from FFmpeg's own description of the file, which lists it for every container that has one. It is applied as
FFmpeg's program does, by the same filter: where chroma is subsampled, the left and top edges and the size are rounded
down to whole chroma samples.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import threading
from fractions import Fraction
from typing import Any, cast

import av.error
import av.logging
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame

_STREAM = re.compile(r"  Stream #\d+:(\d+)")
_CROPPING = re.compile(r" +Frame Cropping: (\d{1,10})/(\d{1,10})/(\d{1,10})/(\d{1,10})\s*")

# PyAV's log level is global.
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Cropping:
    """How much to cut off each edge of a decoded frame, in pixels, before it is turned and scaled."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    @classmethod
    def of_stream(cls, container: InputContainer, stream_index: int) -> Cropping:
        """Returns what the container says of a stream. Values that no picture can have are left to `Cropper`."""
        found = cls()
        described = -1
        for line in _description(container).splitlines():
            if stream := _STREAM.match(line):
                described = int(stream[1])
            elif (cropping := _CROPPING.fullmatch(line)) and described == stream_index:
                found = cls(*map(int, cropping.groups()))
        return found


NO_CROPPING = Cropping()


class Cropper:
    """Crops the frames of one stream without copying their pixels."""

    def __init__(self, cropping: Cropping) -> None:
        self._cropping = cropping
        self._graph: Graph | None = None
        self._layout: tuple[str, int, int] | None = None

    def crop(self, frame: VideoFrame) -> VideoFrame:
        """Returns what is left of a frame.

        Raises:
          av.error.FFmpegError: nothing is left, or the filter cannot read the frame's format.
        """
        if self._cropping == NO_CROPPING:
            return frame
        layout = (frame.format.name, frame.width, frame.height)
        if self._graph is None or layout != self._layout:
            self._graph, self._layout = self._new_graph(frame), layout
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _new_graph(self, frame: VideoFrame) -> Graph:
        edges = self._cropping
        area = f"iw-{edges.left}-{edges.right}:ih-{edges.top}-{edges.bottom}:{edges.left}:{edges.top}"
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
        )
        graph.link_nodes(source, graph.add("crop", area), graph.add("buffersink"))
        try:
            graph.configure()
        except av.error.ArgumentError as error:
            raise av.error.InvalidDataError(
                error.errno or 0, f"the container crops away the whole picture of {frame.width}x{frame.height}"
            ) from error
        return graph


def _description(container: InputContainer) -> str:
    """Returns what FFmpeg prints about a file."""
    logger = logging.getLogger("libav")
    with _lock:
        # Only this call is to be heard: other threads must not start to write to stderr.
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        av.logging.set_level(av.logging.INFO)
        try:
            return str(cast(Any, container).dumps_format())  # missing in the type stubs of PyAV 18
        finally:
            av.logging.set_level(None)
            logger.setLevel(level)
