"""List files: every format with its other columns; an error names the row."""

from __future__ import annotations

import decimal
import json
import os
import pathlib
import re
from collections.abc import Callable
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_proxy import FaultyProxy
from object_stores import S3Server

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.records.time_range import WHOLE, TimeRange

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
        ("list.jsonl", "[" * 500_000, r"line 1 is not JSON: '\[+' \((nested too deeply|Expecting value)"),
        ("list.jsonl", '\n{"video_uri": null}\n', "line 2 has no video_uri"),
        ("list.jsonl", '{"video_uri": 7}\n', "line 1: video_uri is 7, and should be a text, the URI or the path"),
        ("list.jsonl", '{"video_uri": ["a.mp4"]}\n', r'line 1: video_uri is \["a.mp4"\], and should be a text'),
        ("list.jsonl", '{"video_uri": " "}\n', 'line 1: video_uri is " ", and should be a text'),
        ("list.jsonl", '{"video_uri": "a\\u0000.mp4"}\n', "line 1: video_uri is .*, and should be a text"),
        ("list.jsonl", '{"video_uri": "\\ud83d.mp4"}\n', "line 1: video_uri is .*, and should be a text"),
        ("list.xml", "<a/>", "unknown kind '.xml'"),
        *(
            ("list.csv", f"video_uri,{name}\na.mp4,7\n", f"the column '{name}' is not '{meant}', which names a range")
            for name, meant in (
                ("end_second", "end_seconds"),
                *((f"{word}{end}", f"{word}_seconds") for word in ("start", "end") for end in ("", "_s", "_time")),
            )
        ),
        ("list.csv", "video_uri;note\na.mp4;x;y\n", "line 2 has 3 values, and the header names 2: quote a value that"),
        *(
            (
                name,
                text.replace("BAD", bad),
                f"line 2: start_seconds is {shown}, and should be a number of seconds, such as",
            )
            for bad, shown in (("x", '"x"'), ("1:30", '"1:30"'), ("nan", '"nan"'), ("1/3", '"1/3"'), ("1,5", '"1,5"'))
            for name, text in (
                ("list.csv", "video_uri;start_seconds\na.mp4;BAD\n"),
                ("list.jsonl", '\n{"video_uri": "a.mp4", "start_seconds": "BAD"}\n'),
            )
        ),
        (
            "list.jsonl",
            '{"video_uri": "a.mp4", "end_seconds": true}',
            "line 1: end_seconds is true, and should be a number",
        ),
        (
            "list.jsonl",
            '{"video_uri": "a.mp4", "end_seconds": NaN}',
            "line 1: end_seconds is NaN, and should be a number",
        ),
        (
            "list.csv",
            "video_uri,start_seconds\na.mp4,-1\n",
            "line 2: start_seconds is -1, and should be from 0 to 1000000",
        ),
        (
            "list.csv",
            "video_uri,start_seconds\na.mp4,1e99\n",
            "line 2: start_seconds is 1e99, and should be from 0 to 1000",
        ),
        (
            "list.csv",
            "video_uri,end_seconds\na.mp4,0\n",
            "line 2: end_seconds is 0, and should be above start_seconds, 0",
        ),
        (
            "list.csv",
            "video_uri\tstart_seconds\tend_seconds\n\na.mp4\t10\t9.5\n",
            "line 3: end_seconds is 9.5, and should be above start_seconds, 10",
        ),
        ("list.txt", b"a.mp4\nb\xe9.mp4\n", "byte 0xe9 is not UTF-8"),
        ("list.csv", "video_uri,x\n" + '"' + "y" * 200_000 + '",1\n', "field larger than field limit"),
    ],
)
def test_a_bad_list_is_named_with_its_row(tmp_path: pathlib.Path, name: str, text: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        list(read_input_list(str(path)))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "device"])
def test_a_list_that_may_not_end_is_refused(make: Callable[[pathlib.Path], None], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.txt"
    make(path)
    with pytest.raises(ConfigError, match=f"--input_list {path} is not a regular file: write the list to a file"):
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


def test_comments_and_blank_lines_of_a_text_list_name_no_video(tmp_path: pathlib.Path) -> None:
    (tmp_path / "list.txt").write_text("# of June\n\na.mp4\n  # b.mp4\n./#c.mp4\n   \n")
    found = [video.video_uri for video in read_input_list(str(tmp_path / "list.txt"), str(tmp_path))]
    assert found == [str(tmp_path / "a.mp4"), str(tmp_path / "#c.mp4")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_may_have_any_usual_delimiter(tmp_path: pathlib.Path, delimiter: str) -> None:
    rows = ["note,video_uri,camera", '"x,y;z\tw",a.mp4,7', ",,", "", "n,b.mp4,8,"]
    text = "\r\n".join(re.sub(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', delimiter, row) for row in rows)
    (tmp_path / "list.csv").write_text(text, encoding="utf-8-sig", newline="")
    found = [(video.video_uri, dict(video.metadata)) for video in read_input_list(str(tmp_path / "list.csv"), "/v")]
    assert found == [
        ("/v/a.mp4", {"note": "x,y;z\tw", "camera": "7"}),
        ("/v/b.mp4", {"note": "n", "camera": "8"}),
    ]


RANGES = [("1.1", "2.30"), ("", "4"), ("0", ""), ("", ""), ("1e1", "")]
EXACT = [
    TimeRange(Fraction(11, 10), Fraction(23, 10)),
    TimeRange(Fraction(0), Fraction(4)),
    WHOLE,
    WHOLE,
    TimeRange(Fraction(10)),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "numbers.jsonl", "parquet", "decimals.parquet"])
def test_ranges_are_exactly_what_the_list_says(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / f"list.{kind}"
    columns = {name: [pair[i] or None for pair in RANGES] for i, name in enumerate(("start_seconds", "end_seconds"))}
    rows = [{"video_uri": "/a.mp4", "x": "1"} | dict(zip(columns, pair, strict=True)) for pair in RANGES]
    if kind == "csv":
        path.write_text("video_uri,x,start_seconds,end_seconds\n" + "\n".join(",".join(row.values()) for row in rows))
    elif path.suffix == ".jsonl":
        if kind != "jsonl":
            numbers = [{name: float(row[name]) for name in columns if row[name]} for row in rows]
        else:
            numbers = [{} for _ in rows]
        path.write_text("\n".join(json.dumps({**row, **own}) for row, own in zip(rows, numbers, strict=True)))
    else:
        convert = float if kind == "parquet" else decimal.Decimal
        values = {name: [None if text is None else convert(text) for text in texts] for name, texts in columns.items()}
        pq.write_table(pa.table({"video_uri": ["/a.mp4"] * 5, "x": ["1"] * 5, **values}), path)
    found = list(read_input_list(str(path)))
    assert [video.time_range for video in found] == EXACT
    assert {video.metadata for video in found} == {(("x", "1"),)}
    assert [video.key for video in found] == [
        "/a.mp4\0t=1100,2300",
        "/a.mp4\0t=0,4000",
        "/a.mp4",
        "/a.mp4",
        "/a.mp4\0t=10000,",
    ]


def test_half_a_surrogate_pair_cannot_break_the_tables(tmp_path: pathlib.Path) -> None:
    listing = tmp_path / "list.jsonl"
    listing.write_text('{"video_uri": "a.mp4", "note": "\\ud83d"}\n')
    ((_, note),) = next(iter(read_input_list(str(listing)))).metadata
    note.encode("utf-8")
