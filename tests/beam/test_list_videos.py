"""ListVideos: what an input may be, list files, duplicates, and names that look like patterns."""

from __future__ import annotations

import json
import os
import pathlib

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters

from transforms import metrics, storage
from transforms.errors import ConfigError, UnsupportedUriError
from transforms.list_videos import ListVideos, expand_input, matches_anything, read_input_list
from transforms.records import VideoRef


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("a.mp4", "b.MKV", "notes.txt", "deep/down/c.webm", "video [HD].mp4", "häuser & höfe.mov"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)
    return tmp_path


def names(folder: pathlib.Path, given: str) -> list[str]:
    return sorted(os.path.relpath(v.video_uri, folder) for v in expand_input(given, str(folder)))


def test_a_folder_is_searched_in_depth_for_video_extensions(folder: pathlib.Path) -> None:
    expected = ["a.mp4", "b.MKV", "deep/down/c.webm", "häuser & höfe.mov", "video [HD].mp4"]
    assert names(folder, str(folder)) == names(folder, ".") == names(folder, f"{folder}/") == sorted(expected)


def test_patterns_match_whatever_they_match(folder: pathlib.Path) -> None:
    assert names(folder, "*.mp4") == ["a.mp4", "video [HD].mp4"]
    assert names(folder, "**.webm") == ["deep/down/c.webm"]
    assert names(folder, "note?.txt") == ["notes.txt"]


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(folder: pathlib.Path) -> None:
    assert names(folder, "video [HD].mp4") == ["video [HD].mp4"]
    assert names(folder, f"file://{folder}/video [HD].mp4") == ["video [HD].mp4"]


def test_a_missing_file_is_passed_on_to_get_its_row(folder: pathlib.Path) -> None:
    assert list(expand_input("gone.mp4", str(folder))) == [VideoRef(str(folder / "gone.mp4"))]
    assert matches_anything("gone.mp4", str(folder))


def test_what_matches_nothing_is_told(folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not matches_anything("*.avi", str(folder))
    assert not matches_anything(str(tmp_path_factory.mktemp("empty")))


def test_each_video_once_with_size_and_version(folder: pathlib.Path) -> None:
    listing = folder / "list.txt"
    listing.write_text("a.mp4\n\na.mp4\ndeep/down/c.webm\nmissing.mp4\n", encoding="utf-8")
    version = f"mtime:{(folder / 'a.mp4').stat().st_mtime:.6f}"
    with LocalPipeline() as pipeline:
        videos = pipeline | ListVideos([str(folder / "a.mp4"), "*.mp4"], str(listing), str(folder))
        found = videos | beam.Map(lambda v: (os.path.basename(v.video_uri), v.size_bytes))
        assert_that(found, equal_to([("a.mp4", 7), ("video [HD].mp4", 7), ("c.webm", 7), ("missing.mp4", None)]))
        versions = (
            videos
            | "Only" >> beam.Filter(lambda v: v.video_uri.endswith("/a.mp4"))
            | beam.Map(lambda v: v.content_version)
        )
        assert_that(versions, equal_to([version]), label="versions")
    assert counters(pipeline)[metrics.VIDEOS_LISTED] == 4
    assert counters(pipeline)[metrics.DUPLICATES_DROPPED] == 3


def test_metadata_of_a_listed_video_survive_a_mention_without(folder: pathlib.Path) -> None:
    listing = folder / "list.csv"
    listing.write_text("video_uri,camera\na.mp4,7\n", encoding="utf-8")
    with LocalPipeline() as pipeline:
        videos = pipeline | ListVideos([str(folder / "a.mp4")], str(listing), str(folder))
        assert_that(videos | beam.Map(lambda v: v.metadata), equal_to([(("camera", "7"),)]))


def test_a_name_that_is_no_utf8_can_be_listed_and_opened(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"bad_\xff\xfe.mp4")).write_bytes(b"12345")
    with LocalPipeline() as pipeline:
        videos = pipeline | ListVideos([str(tmp_path)])
        found = videos | beam.Map(lambda v: (v.video_uri, v.size_bytes))
        assert_that(found, equal_to([(f"file://{tmp_path}/bad_%FF%FE.mp4", 5)]))
    with storage.local_file(VideoRef(f"file://{tmp_path}/bad_%FF%FE.mp4"), 100) as path:
        assert pathlib.Path(path).read_bytes() == b"12345"


def test_what_is_no_folder_but_bears_a_video_name_gets_its_row(folder: pathlib.Path) -> None:
    (folder / "dangling.mp4").symlink_to(folder / "nowhere")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    assert {"dangling.mp4", "loop.mp4", "pipe.mp4"} <= set(names(folder, "."))


@pytest.mark.parametrize("given", ["s3://bucket/*.mp4", "s3://bucket/folder/", "nowhere://x/*"])
def test_a_pattern_on_a_store_that_is_not_installed_says_so(given: str) -> None:
    with pytest.raises(UnsupportedUriError, match="reelbeam\\[aws\\]"):
        matches_anything(given)


def test_half_a_surrogate_pair_cannot_break_the_tables(tmp_path: pathlib.Path) -> None:
    listing = tmp_path / "list.jsonl"
    listing.write_text('{"video_uri": "a.mp4", "note": "\\ud83d"}\n')
    ((_, note),) = next(iter(read_input_list(str(listing)))).metadata
    note.encode("utf-8")


LISTED = [("a.mp4", {"camera": "7", "note": "x, y"}), ("häuser & höfe.mov", {"camera": "8"})]


def write_list(path: pathlib.Path) -> None:
    if path.suffix == ".csv":
        text = '\ufeffvideo_uri,camera,note\na.mp4,7,"x, y"\nhäuser & höfe.mov,8,\n'
        path.write_text(text, encoding="utf-8")
    elif path.suffix == ".jsonl":
        rows = [{"video_uri": uri, **{k: int(v) if v.isdigit() else v for k, v in m.items()}} for uri, m in LISTED]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    else:
        table = pa.table(
            {"video_uri": [u for u, _ in LISTED], "camera": [7, 8], "note": [m.get("note") for _, m in LISTED]}
        )
        pq.write_table(table, path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_lists_carry_further_columns(folder: pathlib.Path, suffix: str) -> None:
    path = folder / f"list{suffix}"
    write_list(path)
    found = list(read_input_list(str(path), str(folder)))
    assert [v.video_uri for v in found] == [str(folder / uri) for uri, _ in LISTED]
    assert [{k: v for k, v in video.metadata if v} for video in found] == [m for _, m in LISTED]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "uri,camera\na.mp4,7\n", "no column 'video_uri' among uri, camera"),
        ("list.csv", "video_uri,camera\na.mp4,7\n,8\n", "row 2 has no video_uri"),
        ("list.jsonl", '{"video_uri": "a.mp4"}\nnonsense\n', "line 2 is not JSON: 'nonsense'"),
        ("list.jsonl", "[1]\n", "not a JSON object"),
        ("list.xml", "<a/>", "unknown kind '.xml'"),
        ("list.txt", b"a.mp4\nb\xe9.mp4\n", "can't decode byte 0xe9"),
        ("list.csv", "video_uri,x\n" + '"' + "y" * 200_000 + '",1\n', "field larger than field limit"),
    ],
)
def test_a_bad_list_is_named_with_its_row(tmp_path: pathlib.Path, name: str, text: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        list(read_input_list(str(path)))
