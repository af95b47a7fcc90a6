"""`reelbeam probe`: what is in a file, and which code a run would give it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.config import MAX_VIDEO_BYTES
from transforms import storage
from transforms.errors import ConfigError, MediaError
from transforms.list_videos import expand_input
from transforms.media.probe import probe
from transforms.records import MediaInfo, VideoRef


def probe_files(inputs: Sequence[str]) -> int:
    """Prints one line a file; returns 1 if one of them cannot be labeled, else 0.

    Raises:
      ConfigError: an input matches no file.
    """
    table = Table("file", "container", "codec", "picture", "fps", "frames", "seconds", "remark")
    exit_code = 0
    for given in inputs:
        videos = list(expand_input(given))
        if not videos:
            raise ConfigError(f"{given} matches no video")
        for video in videos:
            exit_code |= _add_row(table, video)
    Console(highlight=False).print(table)
    return exit_code


def _add_row(table: Table, video: VideoRef) -> int:
    name = Text(video.video_uri.rsplit("/", 1)[-1])
    try:
        with storage.local_file(video, MAX_VIDEO_BYTES) as path:
            media = probe(path)
    except MediaError as error:
        table.add_row(name, *[""] * 6, Text(f"{error.code}: {error}", style="red"))
        return 1
    table.add_row(
        name,
        media.container.split(",")[0],
        media.codec,
        f"{media.width}x{media.height}",
        "" if media.source_fps is None else f"{media.source_fps:.3f}".rstrip("0").rstrip("."),
        str(media.num_frames),
        f"{float(media.duration_seconds):.3f}",
        _remarks(media),
    )
    return 0


def _remarks(media: MediaInfo) -> str:
    remarks = []
    if media.rotation_degrees:
        remarks.append(f"rotated {media.rotation_degrees}°")
    if media.pixel_aspect_ratio != 1:
        remarks.append(f"pixels {media.pixel_aspect_ratio.numerator}:{media.pixel_aspect_ratio.denominator}")
    if media.num_video_streams > 1:
        remarks.append(f"stream {media.stream_index} of {media.num_video_streams} video streams")
    return ", ".join(remarks)
