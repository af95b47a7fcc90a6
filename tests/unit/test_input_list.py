"""List files: every kind with its further columns; a bad one is named with its row."""

from __future__ import annotations

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_proxy import FaultyProxy
from object_stores import S3Server

from transforms.errors import ConfigError
from transforms.input_list import read_input_list

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
def test_lists_carry_further_columns(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / f"list{suffix}"
    write_list(path)
    found = list(read_input_list(str(path), str(tmp_path)))
    assert [v.video_uri for v in found] == [str(tmp_path / uri) for uri, _ in LISTED]
    assert [{k: v for k, v in video.metadata if v} for video in found] == [m for _, m in LISTED]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "uri,camera\na.mp4,7\n", "no column 'video_uri' among uri, camera"),
        ("list.csv", "video_uri,camera\na.mp4,7\n,8\n", "line 3 has no video_uri"),
        ("list.jsonl", '{"video_uri": "a.mp4"}\nnonsense\n', "line 2 is not JSON: 'nonsense'"),
        ("list.jsonl", "[1]\n", "not a JSON object"),
        ("list.jsonl", '\n{"video_uri": null}\n', "line 2 has no video_uri"),
        ("list.jsonl", '{"video_uri": 7}\n', "line 1: video_uri is 7, and should be a text, the URI or the path"),
        ("list.jsonl", '{"video_uri": ["a.mp4"]}\n', r'line 1: video_uri is \["a.mp4"\], and should be a text'),
        ("list.jsonl", '{"video_uri": " "}\n', 'line 1: video_uri is " ", and should be a text'),
        ("list.jsonl", '{"video_uri": "a\\u0000.mp4"}\n', "line 1: video_uri is .*, and should be a text"),
        ("list.jsonl", '{"video_uri": "\\ud83d.mp4"}\n', "line 1: video_uri is .*, and should be a text"),
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


def test_a_number_in_a_parquet_list_is_named_with_its_row(tmp_path: pathlib.Path) -> None:
    pq.write_table(pa.table({"video_uri": [7]}), tmp_path / "list.parquet")
    with pytest.raises(ConfigError, match="list.parquet: row 1: video_uri is 7"):
        list(read_input_list(str(tmp_path / "list.parquet")))


def test_relative_paths_start_from_the_working_directory(tmp_path: pathlib.Path) -> None:
    listing = tmp_path / "lists" / "list.txt"
    listing.parent.mkdir()
    listing.write_text("\na.mp4\nmissing.mp4\n")
    (tmp_path / "a.mp4").touch()
    found = [video.video_uri for video in read_input_list(str(listing), str(tmp_path))]
    assert found == [str(tmp_path / "a.mp4"), str(tmp_path / "missing.mp4")], "what is missing gets its row"
    (tmp_path / "a.mp4").rename(listing.parent / "a.mp4")
    with pytest.raises(ConfigError, match="list.txt: line 2: a.mp4 is beside the list, .* start from the working dir"):
        list(read_input_list(str(listing), str(tmp_path)))


def test_a_list_in_an_object_store_has_whole_uris(s3: S3Server, proxy: FaultyProxy) -> None:
    listing = s3.put("lists/list.txt", b"s3://corpus/a.mp4\n/data/b.mp4\nc.mp4\n")
    found = read_input_list(listing)
    assert [next(found).video_uri for _ in range(2)] == ["s3://corpus/a.mp4", "/data/b.mp4"]
    with pytest.raises(ConfigError, match="line 3: c.mp4 is a relative path, and the list is in an object store"):
        next(found)


def test_half_a_surrogate_pair_cannot_break_the_tables(tmp_path: pathlib.Path) -> None:
    listing = tmp_path / "list.jsonl"
    listing.write_text('{"video_uri": "a.mp4", "note": "\\ud83d"}\n')
    ((_, note),) = next(iter(read_input_list(str(listing)))).metadata
    note.encode("utf-8")
