"""Folders: links are followed, and files that are not taken as videos are counted by kind."""

from __future__ import annotations

import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter

import apache_beam as beam
import av.format
import pytest
from apache_beam.testing.util import assert_that, equal_to
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters, list_videos
from object_stores import S3Server

from reelbeam.transforms import metrics
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.inputs.video_extensions import AMBIGUOUS_EXTENSIONS, EXTENSIONS_OF, VIDEO_EXTENSIONS
from reelbeam.transforms.media.container import container
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.storage import ignored

SOUND = set("mp3 aac ac3 eac3 aiff ape caf flac wav w64 amr tta wv".split())
OF_OTHER_FILES = set(".avs .cgi .heic .heif .ism .isma .j2k .m4a .m4b .mka .mks .mpo .psp".split())
"""What FFmpeg names beside a video's extensions: scripts, pictures, sound, subtitles."""


def make(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def listed(folder: pathlib.Path, given: str) -> tuple[list[str], dict[str, int]]:
    """Returns the paths that an input names, and what was left out."""
    counts: Counter[str] = Counter()
    found = expand_input(given, str(folder), report=lambda kind: counts.update([kind]))
    return sorted(os.path.relpath(video.video_uri, folder) for video in found), dict(counts)


def test_linked_folders_are_followed_and_circles_are_not(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "elsewhere/c.mp4", "elsewhere/down/d.mp4", "in/a.mp4", "in/real/b.mp4")
    (tmp_path / "in" / "far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "real" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere" / "self").symlink_to(".")
    assert listed(tmp_path, "in") == (["in/a.mp4", "in/far/c.mp4", "in/far/down/d.mp4", "in/real/b.mp4"], {})


def test_a_folder_with_two_names_is_searched_once_under_its_own(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "in/2026-10-01/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "in" / "1-latest").symlink_to("2026-10-01")
    for name in ("y", "x"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "elsewhere")
    assert listed(tmp_path, "in") == (["in/2026-10-01/a.mp4", "in/x/b.mp4"], {})


PATTERNS = [
    "in/*/*.mp4",
    "in/*.mp4",
    "in/l?nk/*",
    "in/[lr]*/*/*.mp4",
    "in/*/.hid*.mp4",
    "in/.*/*.mp4",
    "in/*/*/*/*.mp4",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_finds_what_glob_and_a_shell_find(tmp_path: pathlib.Path, pattern: str) -> None:
    make(
        tmp_path, "in/a.mp4", "in/real/b.mp4", "in/real/down/c.mp4", "in/real/.hidden.mp4", "in/.cache/d.mp4", "e/e.mp4"
    )
    (tmp_path / "in" / "link").symlink_to(tmp_path / "e")
    (tmp_path / "in" / "loop").symlink_to(".")
    (tmp_path / "in" / "real" / "again").symlink_to("down")
    expected = sorted(name for name in glob.glob(pattern, root_dir=tmp_path) if (tmp_path / name).is_file())
    assert listed(tmp_path, pattern)[0] == expected
    if "/.*/" not in pattern:  # some shells find "." and ".." there
        command = ["sh", "-c", f"ls -d {pattern}"]
        shell = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
        assert sorted(line for line in shell.splitlines() if (tmp_path / line).is_file()) == expected


def test_a_pattern_for_any_depth_does_not_go_in_circles(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "in/a.mp4", "in/real/b.mp4")
    (tmp_path / "in" / "real" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link").symlink_to("real")
    assert listed(tmp_path, "in/**.mp4")[0] == ["in/a.mp4", "in/link/b.mp4", "in/real/b.mp4"]
    assert listed(tmp_path, "in/**/link/*.mp4")[0] == [] and listed(tmp_path, "in/*link/*")[0] == ["in/link/b.mp4"]


def test_files_that_are_not_videos_are_counted_by_extension(tmp_path: pathlib.Path) -> None:
    names = [
        "a.mp4",
        "b.srt",
        "c.SRT",
        "notes",
        "f.00017",
        "x/y.jpg",
        "._a.mp4",
        ".x.mp4",
        ".Trash/b.mp4",
        "x/.git/c.mp4",
    ]
    make(tmp_path, *names)
    expected = {".srt": 2, ".jpg": 1, "hidden_file": 2, "hidden_folder": 2, "no_extension": 1, "other_extension": 1}
    assert listed(tmp_path, ".") == (["a.mp4"], expected)
    with LocalPipeline() as pipeline:
        listing = pipeline | ListVideos(inputs=[str(tmp_path), "./*.mp4"], base_dir=str(tmp_path))
        both = {**expected, "hidden_file": 4}  # those that the pattern would match, too
        assert_that(listing.ignored, equal_to(list(both.items())))
    counted = counters(pipeline)
    assert (counted[metrics.FILES_IGNORED], counted[metrics.FOLDERS_IGNORED]) == (9, 2)


def test_a_pattern_matches_files_and_counts_folders(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "2026-01.mp4", "2026-02/a.mp4")
    assert listed(tmp_path, "2026-*") == (["2026-01.mp4"], {"matched_folder": 1})


SEARCH = """
    import collections, os, sys
    from reelbeam.transforms.errors import StorageError
    from reelbeam.transforms.inputs.expansion import expand_input

    if os.getuid() == 0:
        os.setuid(65534)  # root may read everything
    counts = collections.Counter()
    try:
        videos = expand_input(sys.argv[1], report=lambda kind: counts.update([kind]))
        found = [os.path.basename(video.video_uri) for video in videos]
    except StorageError as error:
        found = str(error)
    print(found, dict(counts))
"""


def test_unreadable_folders_are_counted_and_an_unreadable_input_is_an_error() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders are closed to other users
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        make(folder, "a.mp4", "closed/b.mp4")
        (folder / "closed").chmod(0)
        command = [sys.executable, "-c", textwrap.dedent(SEARCH)]
        found = [
            subprocess.run([*command, str(place)], capture_output=True, text=True, check=True).stdout.strip()
            for place in (folder, folder / "closed")
        ]
        (folder / "closed").chmod(0o755)
    assert found == [
        "['a.mp4'] {'unreadable_folder': 1}",
        f"{folder}/closed cannot be read: Permission denied; check its permissions {{}}",
    ]


def test_a_folder_in_a_store_counts_what_it_leaves_out(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path
) -> None:
    keys = ["v/a.mp4", "v/b.txt", "v/._a.mp4", "v/.Trash/c.mp4", "v/x/d.mkv"]
    uris = [s3.put(key, b"1") for key in keys]
    counts: Counter[str] = Counter()
    found = [video.video_uri for video in expand_input(f"{s3.uri}/v/", report=lambda kind: counts.update([kind]))]
    assert (found, counts) == ([uris[0], uris[4]], {".txt": 1, "hidden_file": 2})
    assert [v.video_uri for v in expand_input(f"{s3.uri}/v/**.mp4")] == uris[:1]
    assert [v.video_uri for v in expand_input(f"{s3.uri}/v/.Trash/**")] == [uris[3]]


def test_every_demuxer_has_its_extensions() -> None:
    demuxers = set(container.DEMUXERS.split())
    assert EXTENSIONS_OF.keys() == demuxers - SOUND
    of_ffmpeg = {
        f".{name}" for demuxer in demuxers - SOUND for name in av.format.ContainerFormat(demuxer, "r").extensions
    }
    assert of_ffmpeg - VIDEO_EXTENSIONS == OF_OTHER_FILES
    wanted = (
        ".264 .265 .h264 .hevc .m4s .avif .apng .wtv .mod .mj2 .dav .ivf .obu .mxf .gxf .nut .dv .f4v .vob .tod .mts "
        ".m2ts .m2v .3g2 .ogv .gif"
    )
    assert set(wanted.split()) <= VIDEO_EXTENSIONS
    assert AMBIGUOUS_EXTENSIONS <= VIDEO_EXTENSIONS


def test_files_with_an_ambiguous_extension_are_guesses_only_in_folders(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "a.mp4", "app.ts", "song.ogg")
    guesses = {os.path.basename(v.video_uri): v.is_guess for v in expand_input(str(tmp_path))}
    assert guesses == {"a.mp4": False, "app.ts": True, "song.ogg": True}
    assert [v.is_guess for v in expand_input("app.ts", str(tmp_path))] == [False]
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [str(tmp_path), "app.ts"], base_dir=str(tmp_path))
        named = videos | beam.Map(lambda video: (os.path.basename(video.video_uri), video.is_guess))
        assert_that(named, equal_to([("a.mp4", False), ("app.ts", False), ("song.ogg", True)]))


def test_many_kinds_are_added_up(tmp_path: pathlib.Path) -> None:
    kinds = {f".x{i:03d}a": 1 for i in range(60)} | {".txt": 5, "hidden_file": 1}
    found = ignored.most_frequent(kinds)
    rare = {f".x{i:03d}a": 1 for i in range(49)}
    assert found == {"other_extension": 11, ".txt": 5, **rare, "hidden_file": 1}
    assert ignored.describe({".txt": 3, "hidden_file": 1, "unreadable_folder": 2}) == (
        "3 .txt, 2 unreadable folders, 1 hidden file"
    )
