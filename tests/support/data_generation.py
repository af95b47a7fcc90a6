"""Makes the media that tests need, in code: every frame carries its own number, and every defect is made on
purpose.

Numbers are drawn as a grid of black and white blocks in the middle of the picture, so they survive lossy
codecs, scaling and a centre crop, and `read_frame_number` reads them back from what the decoder delivers.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

Picture = npt.NDArray[np.uint8]
Draw = Callable[[int, int, int], "Picture | av.VideoFrame"]

_COLUMNS, _ROWS = 4, 3
_GRID_SHARE = 0.75  # of the short side
_MARGIN_LEVEL = 90

_WITH_B_FRAMES = {"libx264", "libx265", "mpeg1video", "mpeg2video", "mpeg4"}

# Red and blue weights of luma (ITU-R BT.601, BT.709, BT.2020) and FFmpeg's number for the matrix.
_MATRICES = {"bt601": (0.299, 0.114, 6), "bt709": (0.2126, 0.0722, 1), "bt2020": (0.2627, 0.0593, 9)}


def draw_number(index: int, width: int, height: int) -> Picture:
    """Returns uint8 [H, W, 3]: `index` in 12 bits, white blocks for ones, the highest bit at the top left."""
    picture = np.full((height, width, 3), _MARGIN_LEVEL, np.uint8)
    bits = [(index >> bit) & 1 for bit in reversed(range(_COLUMNS * _ROWS))]
    for (top, bottom, left, right), bit in zip(_blocks(width, height, 1.0), bits, strict=True):
        picture[top:bottom, left:right] = 235 if bit else 16
    return picture


def draw_moving(index: int, width: int, height: int) -> Picture:
    """Returns a numbered picture before noise that moves and turns over: no frame can be made up of another."""
    random = np.random.default_rng(7)
    noise = random.integers(0, 255, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    background = np.roll(noise.repeat(4, 0).repeat(4, 1)[:height, :width], (3 * index, 5 * index), (0, 1)).copy()
    if index // 9 % 2:
        background = background[::-1].copy()
    for top, bottom, left, right in _blocks(width, height, 1.0):
        background[top:bottom, left:right] = draw_number(index, width, height)[top:bottom, left:right]
    return background


def read_frame_number(picture: Picture, crop: float = 1.0) -> int:
    """Returns the number drawn in a picture.

    Args:
      picture: uint8 [H, W, 3].
      crop: share of the short side that a square centre crop has left: size / resize of a geometry.

    Raises:
      ValueError: a block is neither black nor white: two frames are mixed, or this is no such picture.
    """
    height, width = picture.shape[:2]
    number = 0
    for top, bottom, left, right in _blocks(width, height, crop):
        margin_y, margin_x = (bottom - top) // 4, (right - left) // 4
        level = picture[top + margin_y : bottom - margin_y, left + margin_x : right - margin_x].mean()
        if 80 < level < 170:
            raise ValueError(f"a block has level {level:.0f}, neither black nor white")
        number = 2 * number + (level > 128)
    return int(number)


def _blocks(width: int, height: int, crop: float) -> list[tuple[int, int, int, int]]:
    """Returns (top, bottom, left, right) of each block, row by row."""
    side = min(width, height) * _GRID_SHARE / crop
    left, top = (width - side) / 2, (height - side) / 2
    columns = [round(left + side * i / _COLUMNS) for i in range(_COLUMNS + 1)]
    rows = [round(top + side * i / _ROWS) for i in range(_ROWS + 1)]
    return [(rows[r], rows[r + 1], columns[c], columns[c + 1]) for r in range(_ROWS) for c in range(_COLUMNS)]


def make_video(
    path: pathlib.Path,
    num_frames: int,
    fps: Fraction | int = 30,
    width: int = 96,
    height: int = 72,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    draw: Draw = draw_number,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    start_pts: int = 0,
    b_frames: int = 0,
    gop: int = 12,
    rotation: int = 0,
    mirror: bool = False,
    pixel_aspect_ratio: Fraction | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> pathlib.Path:
    """Writes a video; the container follows the name's suffix.

    Args:
      path: where to.
      num_frames: how many frames.
      fps: frames a second, for equal spacing.
      width, height: coded size.
      codec, pix_fmt: encoder and its picture format.
      draw: makes frame `index`: RGB uint8 [height, width, 3], or a frame that is encoded as it is.
      pts: display time of each frame in `time_base`, for variable frame rate; None: 0, 1, 2, ...
      time_base: seconds a tick of `pts`; None: 1 / fps.
      start_pts: added to every pts.
      b_frames, gop: consecutive B-frames, and frames from key frame to key frame; for encoders that have them.
      rotation: clockwise degrees that a player has to turn the picture by.
      mirror: whether it has to mirror it too, left to right, after turning.
      pixel_aspect_ratio, colorspace, color_range: tags; colorspace and range in FFmpeg's numbers.
      options, container_options: more options for the encoder and the muxer.

    Returns:
      The path.
    """
    with _usual_scheduling(), av.open(str(path), "w", container_options=container_options or {}) as container:
        encoder_options = {"g": str(gop), "threads": "1"}
        if codec in _WITH_B_FRAMES:
            encoder_options["bf"] = str(b_frames)
        if codec == "libx264":
            encoder_options |= {"preset": "veryfast", "crf": "18"}
        encoder_options |= options or {}
        rate = Fraction(fps)
        stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=encoder_options))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base or 1 / Fraction(fps)
        if pixel_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect_ratio
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if rotation or mirror:
            stream.set_display_rotation(-rotation, hflip=mirror)
        for index in range(num_frames):
            frame = _as_frame(draw(index, width, height), pix_fmt)
            frame.pts = start_pts + (index if pts is None else pts[index])
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextlib.contextmanager
def _usual_scheduling() -> Iterator[None]:
    """Ends the real-time scheduling that SVT-AV1 gives the calling thread of root.

    Every process that the test starts later would inherit it. Two such processes that wait for each other can occupy
    all CPUs for ever: Go's compiler did.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _as_frame(picture: Picture | av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    if isinstance(picture, av.VideoFrame):
        return picture
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)


def solid_colour(
    rgb: tuple[int, int, int], matrix: str = "bt601", full_range: bool = False, bits: int = 8
) -> tuple[Draw, int, int]:
    """Returns a `draw` of one colour in 4:2:0, and the colorspace and color_range that it is to be tagged
    with.

    The samples come from the standards' formulas, not from the scaler that is tested with them.
    """
    weight_red, weight_blue, colorspace = _MATRICES[matrix]
    red, green, blue = (value / 255 for value in rgb)
    luma = weight_red * red + (1 - weight_red - weight_blue) * green + weight_blue * blue
    chroma = ((blue - luma) / (2 - 2 * weight_blue), (red - luma) / (2 - 2 * weight_red))
    if full_range:
        levels = [255 * luma, *(255 * value + 128 for value in chroma)]
    else:
        levels = [219 * luma + 16, *(224 * value + 128 for value in chroma)]
    scale = 2 ** (bits - 8)
    dtype = np.uint8 if bits == 8 else np.uint16

    def draw(_: int, width: int, height: int) -> av.VideoFrame:
        sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
        samples = [
            np.full(size, round(level * scale), dtype).reshape(-1, width)
            for size, level in zip(sizes, levels, strict=True)
        ]
        name = "yuv420p" if bits == 8 else f"yuv420p{bits}le"
        frame = av.VideoFrame.from_ndarray(cast(Any, np.concatenate(samples)), name)
        frame.colorspace, frame.color_range = colorspace, 2 if full_range else 1
        return frame

    return draw, colorspace, 2 if full_range else 1


def make_audio(path: pathlib.Path, *, cover_art: bool = False) -> pathlib.Path:
    """Writes half a second of silence (AAC in MP4), with or without a cover picture."""
    with av.open(str(path), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=8000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1) if cover_art else None
        if cover is not None:
            cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
            cover.disposition = Disposition.attached_pic
            container.mux(cover.encode(_as_frame(draw_number(1, 64, 64), "yuvj420p")))
            container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def truncated(source: pathlib.Path, path: pathlib.Path, share: float) -> pathlib.Path:
    """Copies the first part of a file: an upload that broke off."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def with_edited_packets(
    source: pathlib.Path, path: pathlib.Path, edit: Callable[[int, memoryview], None]
) -> pathlib.Path:
    """Copies a video; `edit` is given each packet's number in the file and its data, to be changed in place."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        for index, packet in enumerate(container.demux(container.streams.video[0])):
            if packet.pos is not None and packet.size:
                at = data.index(bytes(packet), packet.pos)
                edit(index, memoryview(data)[at : at + packet.size])
    path.write_bytes(data)
    return path


def with_broken_packets(
    source: pathlib.Path, path: pathlib.Path, broken: Collection[int], fill: bytes = b"\xff"
) -> pathlib.Path:
    """Copies a video with the data of some packets, counted in file order, overwritten."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        for index, packet in enumerate(container.demux(container.streams.video[0])):
            if index in broken and packet.pos is not None:
                data[packet.pos : packet.pos + packet.size] = fill * packet.size
    path.write_bytes(data)
    return path


def without_packets(source: pathlib.Path, path: pathlib.Path, lost: Collection[int]) -> pathlib.Path:
    """Copies a video but for some packets, counted in file order."""
    with av.open(str(source)) as container, av.open(str(path), "w") as copy:
        stream = container.streams.video[0]
        copied = copy.add_stream_from_template(stream)
        for index, packet in enumerate(container.demux(stream)):
            if packet.dts is not None and index not in lost:
                packet.stream = copied
                copy.mux(packet)
    return path


def cut_before_packet(source: pathlib.Path, path: pathlib.Path, first: int) -> pathlib.Path:
    """Copies an MPEG-TS without the packets before `first`: a recording that starts anywhere."""
    with av.open(str(source)) as container:
        positions = [cast(int, packet.pos) for packet in container.demux(video=0) if packet.size]
    data = source.read_bytes()
    path.write_bytes(data[: positions[0]] + data[positions[first] :])  # the stream's tables come first
    return path


def looped(source: pathlib.Path, path: pathlib.Path, times: int) -> pathlib.Path:
    """Copies the packets of a video many times over, each time later: a long film without a long encode."""
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in container.demux(stream) if p.size]
        assert stream.time_base is not None
        length = int(len(packets) / Fraction(stream.average_rate or 1) / stream.time_base)
        for turn in range(times):
            for data, pts, dts, is_keyframe in packets:
                packet = av.Packet(data)
                assert pts is not None and dts is not None
                packet.pts, packet.dts, packet.time_base = pts + turn * length, dts + turn * length, stream.time_base
                packet.is_keyframe, packet.stream = is_keyframe, copy
                target.mux(packet)
    return path
