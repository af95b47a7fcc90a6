"""Writes H.264 bit by bit: pictures of one level, in any order, behind any headers. And copies packets with changes.

All macroblocks are I_PCM, so a picture refers to none and shows exactly the level that it was given.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import cast

import av

_START_CODE = b"\0\0\0\1"
_I_PCM = 25
_I_SLICE = 7
_MAX_DELAY = 32


class Bits:
    """Bits that are written one behind the other."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, count: int) -> Bits:
        """Appends a number as a fixed number of bits."""
        self.text += f"{value:0{count}b}"
        return self

    def golomb(self, *values: int) -> Bits:
        """Appends numbers as `ue(v)`."""
        for value in values:
            self.put(value + 1, 2 * (value + 1).bit_length() - 1)
        return self

    def align(self) -> Bits:
        """Appends zeros up to the next whole byte."""
        self.text += "0" * (-len(self.text) % 8)
        return self

    def unit(self, header: int) -> bytes:
        """Returns the bits as a NAL unit behind a start code."""
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big")
        return _START_CODE + bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", data)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture, or a field of one.

    Attributes:
      poc: its place in the order of display since the last IDR picture, two for each frame.
      level: its luma.
      is_idr, is_reference: what it is to others.
      field: 0 is the top one, 1 the bottom one; None: a whole frame.
    """

    poc: int
    level: int
    is_idr: bool = False
    is_reference: bool = True
    field: int | None = None


def headers(
    num_reorder_frames: int | None = None, *, poc_type: int = 0, has_fields: bool = False, has_vui: bool = False
) -> bytes:
    """Returns the parameter sets of pictures of 16 x 16, or 16 x 32 where these may be fields.

    Args:
      num_reorder_frames: what the stream says of it; None: nothing.
      poc_type: how the order of display is coded; 2: not at all.
      has_fields: whether there may be fields.
      has_vui: whether there is a VUI also where it says nothing.
    """
    sps = Bits().put(77, 8).put(0, 8).put(40, 8).golomb(0, 0, poc_type)
    if poc_type == 0:
        sps.golomb(4)
    sps.golomb(4).put(0, 1).golomb(0, 0)
    sps.put(0, 1).put(0, 1) if has_fields else sps.put(1, 1)
    sps.put(1, 1).put(0, 1)  # direct_8x8_inference, no cropping
    has_vui = has_vui or num_reorder_frames is not None
    sps.put(has_vui, 1)
    if has_vui:
        sps.put(0, 8).put(num_reorder_frames is not None, 1)
    if num_reorder_frames is not None:
        sps.put(1, 1).golomb(0, 0, 16, 16, num_reorder_frames, max(num_reorder_frames, 4))
    pps = Bits().golomb(0, 0).put(0, 2).golomb(0, 0, 0).put(0, 3).golomb(0, 0, 0).put(0, 3)
    return sps.unit(0x67) + pps.unit(0x68)


def coded(pictures: Iterable[Picture], *, poc_type: int = 0, has_fields: bool = False) -> list[bytes]:
    """Returns the pictures as NAL units, in decoding order."""
    units: list[bytes] = []
    frame_num = idr_id = 0
    is_half = False
    for picture in pictures:
        if picture.is_idr:
            frame_num, idr_id = 0, idr_id ^ 1
        bits = Bits().golomb(0, _I_SLICE, 0).put(frame_num % 16, 4)
        if has_fields:
            bits.put(picture.field is not None, 1)
        if picture.field is not None:
            bits.put(picture.field, 1)
        if picture.is_idr:
            bits.golomb(idr_id)
        if poc_type == 0:
            bits.put(picture.poc % 256, 8)
        if picture.is_reference:
            bits.put(0, 2 if picture.is_idr else 1)
        bits.golomb(0)
        for _ in range(2 if has_fields and picture.field is None else 1):
            bits.golomb(_I_PCM).align()
            bits.text += f"{picture.level:08b}" * 256 + f"{128:08b}" * 128
        units.append(bits.unit((0x60 if picture.is_reference else 0) | (5 if picture.is_idr else 1)))
        is_half = picture.field is not None and not is_half
        if picture.is_reference and not is_half:
            frame_num += 1
    return units


def muxed(
    path: pathlib.Path,
    units: Sequence[bytes],
    times: Sequence[int],
    keys: Collection[int],
    time_base: Fraction = Fraction(1, 25),
) -> pathlib.Path:
    """Writes packets of NAL units, in decoding order.

    Args:
      path: where to; the container follows the suffix.
      units: what each packet holds; the first one begins with parameter sets, which are the container's, too.
      times: when each is shown.
      keys: the numbers of the packets that are key frames.
      time_base: seconds a tick.
    """
    raw = path.with_name(f"{path.name}.264")
    raw.write_bytes(b"".join(units))
    with av.open(str(raw)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for index, (data, time) in enumerate(zip(units, times, strict=True)):
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.time_base = time, index - _MAX_DELAY, time_base
            packet.is_keyframe, packet.stream = index in keys, stream
            container.mux(packet)
    return path


def remuxed(source: pathlib.Path, path: pathlib.Path, edit: Callable[[list[bytes], list[int]], None]) -> pathlib.Path:
    """Copies a video; `edit` is given the data and the times of all packets, in decoding order, to be changed."""
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        units, times = [bytes(packet) for packet in packets], [cast(int, packet.pts) for packet in packets]
        step = (max(times) - min(times)) // (len(times) - 1)
        edit(units, times)
        for index, (old, data, time) in enumerate(zip(packets, units, times, strict=True)):
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.time_base = time, (index - _MAX_DELAY) * step, old.time_base
            packet.is_keyframe, packet.stream = old.is_keyframe, copy
            target.mux(packet)
    return path
