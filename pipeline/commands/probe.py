"""`reelbeam probe`: print the streams of files, or the errors that a run would record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.text import Text

from reelbeam.pipeline.settings.label_settings import LimitSettings
from reelbeam.pipeline.terminal.console import make_console, make_table, printable, right, whole
from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError, MediaError, StorageError
from reelbeam.transforms.inputs.expansion import expand_input, why_nothing
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import MediaInfo, VideoRef
from reelbeam.transforms.redaction import without_query


def probe_files(inputs: Sequence[str], allow_unconfined: bool = False) -> int:
    """Prints one line per file, then the errors of files and inputs. Returns 1 if there are errors, else 0.

    Raises:
      ConfigError: no input matches a file, or decoder processes cannot be confined and `allow_unconfined` is False.
    """
    limits = dataclasses.replace(DEFAULT_LIMITS, allow_unconfined=allow_unconfined)
    numbers = [right(name) for name in ("fps", "frames", "seconds")]
    table = make_table(whole("file"), "container", "codec", "picture", *numbers, "remark")
    complaints, empty = [], []
    for given in inputs:
        try:
            videos = list(expand_input(given))
            if not videos:
                empty.append(f"{without_query(given)} matches no video: {why_nothing(given)}")
        except StorageError as error:
            complaints.append(Text(printable(f"{error.code}: {error}")))
            continue
        for video in videos:
            name = Text(printable(video.video_uri.rsplit("/", 1)[-1]))
            try:
                table.add_row(name, *_facts(_probe(video, limits)))
            except MediaError as error:
                table.add_row(name, *[""] * 6, Text(error.code, style="red"))
                complaints.append(Text(printable(f"{error.code}: {error}")))
    if not table.row_count and not complaints:
        raise ConfigError("; ".join(empty))
    console = make_console()
    console.print(table)
    complaints += [Text(printable(line)) for line in empty]
    for complaint in complaints:
        console.print(complaint)
    return int(bool(complaints))


def _probe(video: VideoRef, limits: DecoderLimits) -> MediaInfo:
    with storage.local_file(storage.identified(video), LimitSettings.max_video_bytes) as path:
        return sandboxed.probe(path, limits)


def _facts(media: MediaInfo) -> tuple[str, ...]:
    fps = "" if media.source_fps is None else f"{media.source_fps:.3f}".rstrip("0").rstrip(".")
    return (
        media.container.split(",")[0],
        media.codec,
        f"{media.width}x{media.height}",
        fps,
        str(media.num_frames),
        f"{float(media.duration_seconds):.3f}",
        _remarks(media),
    )


def _remarks(media: MediaInfo) -> str:
    remarks = []
    if media.rotation_degrees:
        remarks.append(f"rotated {media.rotation_degrees}°")
    if media.num_discontinuities:
        remarks.append(f"clock jumps bridged: {media.num_discontinuities}")
    if media.pixel_aspect_ratio != 1:
        remarks.append(f"pixels {media.pixel_aspect_ratio.numerator}:{media.pixel_aspect_ratio.denominator}")
    if media.num_video_streams > 1:
        remarks.append(f"stream {media.stream_index}, the best of {media.num_video_streams}")
    return ", ".join(remarks)
