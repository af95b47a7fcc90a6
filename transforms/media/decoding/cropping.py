"""Apply the container's cropping: PixelCrop of Matroska, `clap` of MP4, MOV, AVIF and HEIF.

Decoders apply the codec's own cropping and leave the container's to the player. PyAV does not expose it, so it is
parsed from FFmpeg's description of the file, which lists it for every container that has one. The cropping uses the
same filter as FFmpeg's own program. If chroma is subsampled, the left and top edges and the size are rounded down to
whole chroma samples.
"""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame

from reelbeam.transforms.media.container.description import stream_lines

_CROPPING = re.compile(r" +Frame Cropping: (\d{1,10})/(\d{1,10})/(\d{1,10})/(\d{1,10})\s*")


@dataclasses.dataclass(frozen=True)
class Cropping:
    """The number of pixels to crop from each edge of a decoded frame, before rotation and scaling."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    @classmethod
    def of_stream(cls, container: InputContainer, stream_index: int) -> Cropping:
        """Returns the container's cropping of a stream. `Cropper` rejects invalid values."""
        found = [match for line in stream_lines(container, stream_index) if (match := _CROPPING.fullmatch(line))]
        return cls(*map(int, found[-1].groups())) if found else cls()


NO_CROPPING = Cropping()


class Cropper:
    """Crops the frames of one stream without copying their pixels."""

    def __init__(self, cropping: Cropping) -> None:
        self._cropping = cropping
        self._graph: Graph | None = None
        self._layout: tuple[str, int, int] | None = None

    def crop(self, frame: VideoFrame) -> VideoFrame:
        """Returns the cropped frame.

        Raises:
          av.error.FFmpegError: the cropping removes the whole picture, or the filter does not support the format.
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
                av.error.tag_to_code(b"INDA"),
                f"the container crops away the whole picture of {frame.width}x{frame.height}",
            ) from error
        return graph
