"""Truth files: what is read, and that each mistake is an error that names the file, the row, the value and a remedy."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_stores import S3Server, s3_flags, used_by_beam

from reelbeam.transforms.errors import ConfigError, ObjectNotFoundError
from reelbeam.transforms.evaluation.truth.truth_file import TruthFile, TruthRow, read_truth

HEADER = b"file,label\n"


def read(folder: pathlib.Path, data: bytes | str, name: str = "truth.csv", **options: Any) -> TruthFile:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_truth(str(path), **options)


def read_parquet(folder: pathlib.Path, **columns: Any) -> TruthFile:
    path = folder / "truth.parquet"
    pq.write_table(pa.table(columns), path)
    return read_truth(str(path))


def labels(truth: TruthFile) -> dict[str, tuple[str, ...]]:
    return {row.video: row.labels for row in truth.rows}


def message(folder: pathlib.Path, data: bytes | str, name: str = "truth.csv") -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, data, name)
    text = str(caught.value)
    assert text.startswith(f"--truth {folder / name}: ")
    assert len(text) < 600
    return text


def test_all_columns_of_a_csv(tmp_path: pathlib.Path) -> None:
    text = (
        "source,video_uri,label,also_acceptable,start_seconds,end_seconds\n"
        "x,/v/a.mp4,archery,,,\n"
        "x, /v/b.mp4 ,archery; yoga ,squat|lunge;squat,1.5,2.25\n"
        "x,/v/c.mp4,,gymnastics tumbling,3,\n"
        ",,,,,\n"
        'x,"/v/d,1.mp4","say ""hi""\nthere",,,4e-1\n'
    )
    truth = read(tmp_path, text)
    assert truth.unit == "line"
    assert truth.rows == (
        TruthRow(2, "/v/a.mp4", ("archery",)),
        TruthRow(3, "/v/b.mp4", ("archery", "yoga"), ("squat", "lunge"), 1500, 2250),
        TruthRow(4, "/v/c.mp4", (), ("gymnastics tumbling",), 3000, None),
        TruthRow(6, "/v/d,1.mp4", ('say "hi"\nthere',), (), 0, 400),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "file,label\na.mp4,x\n"),
        ("t.CSV", "\ufeffFile;LABEL \r\na.mp4;x\r\n"),
        ("t.csv", "file\tlabel\na.mp4\tx"),
        ("t.tsv", "name\tlabel\na.mp4\tx\n"),
        ("t.csv", 'label,"name"\n"x",a.mp4\n'),
        ("t.csv", 'video,label,"a;b;c;d"\na.mp4,x,\n'),
        ("t.csv", "name,file,label\nPeter,a.mp4,x\n"),
        ("t.csv", ",file,label\n0,a.mp4,x\n"),
        ("t.jsonl", '{"uri": "a.mp4", "label": "x"}\n\n'),
        ("t.jsonl", '\ufeff{"file_name": "a.mp4", "label": ["x"], "more": {"a": 1}}'),
    ],
)
def test_forms_of_text(tmp_path: pathlib.Path, name: str, text: str) -> None:
    assert labels(read(tmp_path, text, name)) == {"a.mp4": ("x",)}


def test_lists_of_labels_are_not_split(tmp_path: pathlib.Path) -> None:
    rows = [
        {"file": "a", "label": ["x;y", " z ", "z", ""]},
        {"file": "b", "label": "x;y"},
        {"label": None, "file": "c"},
        {"file": "d", "label": "", "end_seconds": 0.1},
    ]
    truth = read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert labels(truth) == {"a": ("x;y", "z"), "b": ("x", "y"), "c": (), "d": ()}
    assert truth.rows[3].end_ms == 100


def test_a_separator_that_is_in_a_label_does_not_separate(tmp_path: pathlib.Path) -> None:
    text = "file,label\na.mp4,x;y|z\n"
    assert labels(read(tmp_path, text, separators="|")) == {"a.mp4": ("x;y", "z")}
    assert labels(read(tmp_path, text, separators="")) == {"a.mp4": ("x;y|z",)}


def test_parquet(tmp_path: pathlib.Path) -> None:
    truth = read_parquet(
        tmp_path,
        video_uri=pa.array(["a", "b", "c"]).dictionary_encode(),
        label=[["x", "y;z"], [], None],
        start_seconds=[1.5, None, 2],
        end_seconds=pa.array([2, None, 3], pa.int32()),
        frames=[1, 2, 3],
    )
    assert truth.unit == "row"
    assert truth.rows == (
        TruthRow(1, "a", ("x", "y;z"), (), 1500, 2000),
        TruthRow(2, "b", ()),
        TruthRow(3, "c", (), (), 2000, 3000),
    )
    assert labels(read_parquet(tmp_path, file=["a"], label=["x;y"])) == {"a": ("x", "y")}


def test_a_truth_in_an_object_store(s3: S3Server) -> None:
    uri = s3.put("truth.csv", b"file,label\na.mp4,x\n")
    with used_by_beam(s3_flags(s3.url)):
        assert labels(read_truth(uri)) == {"a.mp4": ("x",)}
        with pytest.raises(ObjectNotFoundError):
            read_truth(uri.replace("truth", "absent"))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("", "has no rows: write a row for each video"),
        ("file,label\n\n,\n", "has no rows: write a row for each video"),
        ("file,klass\na,b\n", "line 1 has no column 'label' among 'file', 'klass': rename the column with the label"),
        ("file,class\na,b\n", "rename 'class' to 'label'"),
        (
            "clip,label\na,b\n",
            "line 1 has no column with the video among 'clip', 'label': name it 'video_uri' or 'file'",
        ),
        ("file,label,Label\na,b,c\n", "line 1 has two columns 'label': rename or remove one"),
        ("file,label,start\na,b,1\n", "has a column 'start': name it 'start_seconds' and write seconds"),
        ("file,label,end_ms\na,b,1\n", "has a column 'end_ms': name it 'end_seconds'"),
        ("file,label,start_frame,end_frame\na,b,1,2\n", "has a column 'start_frame' with frame numbers, which are"),
        ("file,label,frame\na,b,1\n", "has a column 'frame' with frame numbers"),
        ("file,label\na\n", "line 2 has 1 value, and the header names 2"),
        ("file,label\na,b\nc,d, e\n", "line 3 has 3 values, and the header names 2"),
        ("file,label\na,b\n,x\n", "line 3 has no file: write the URI or the file name"),
        ("file,label\n ,x\n", 'line 2: file is " ", and should be the URI'),
        ('file,label\na,b\nc,"d\ne,f\n', "the row that begins on line 3 cannot be read (unexpected end of data)"),
        ('file,label\na,"b"c\n', "the row that begins on line 2 cannot be read"),
        ("file,label\ra,b\r", "the row that begins on line 1 cannot be read"),
        ("file,label,start_seconds\na,b,soon\n", 'line 2: start_seconds is "soon", and should be a number of seconds'),
        ("file,label,start_seconds\na,b,1/2\n", 'line 2: start_seconds is "1/2", and should be a number'),
        ("file,label,start_seconds\na,b,-1\n", 'line 2: start_seconds is "-1", and should be from 0 to'),
        ("file,label,end_seconds\na,b,1e40\n", 'line 2: end_seconds is "1e40", and should be from 0 to'),
        ("file,label,end_seconds\na,b,nan\n", 'line 2: end_seconds is "nan", and should be a number'),
        ("file,label,end_seconds\na,b,0\n", "line 2: end_seconds is 0, and should be above start_seconds, 0"),
        (
            "file,label,start_seconds,end_seconds\na,b,7,7\n",
            "line 2: end_seconds is 7, and should be above start_seconds, 7",
        ),
        (HEADER + b"a,b\n\xff\xfe,x\n", "line 3: byte 0xff is not UTF-8: save the file as UTF-8"),
        ("file,label\na,b\n".encode("utf-16"), "the text is UTF-16: save it as UTF-8"),
        ("file,label\na,b\n".encode("utf-16-le"), "line 1 contains a zero byte: save the file as UTF-8 text"),
        (HEADER + b"a\0,b\n", "line 2 contains a zero byte"),
        (HEADER + b"a," + b"b" * 501, "line 2: label has 501 characters"),
        (HEADER + b"a" * 9000 + b",b", "line 2: file has 9000 characters"),
        (
            HEADER + b"a," + b"b" * 200_000,
            "the row that begins on line 2 cannot be read (field larger than field limit",
        ),
        (HEADER + b"a," + b"b" * (2 << 20), "line 2 has more than 1048576 bytes: give one row a line"),
        (HEADER + b'a,"' + b"b\n" * 200_000, "the row that begins on line 2 cannot be read"),
    ],
)
def test_mistakes_in_csv(tmp_path: pathlib.Path, data: bytes | str, wanted: str) -> None:
    assert wanted in message(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("{'file': 1}", "line 1 is not JSON: \"{'file': 1}\""),
        ('["a"]', "line 1 is not a JSON object"),
        ('{"file": "a"}', "line 1 has no column 'label' among 'file'"),
        ('{"file": "a", "label": "b"}\n{"label": "b"}', "line 2 has no column with the video among 'label'"),
        ('{"file": "a", "label": 5}', "line 1: label is 5, and should be the name of a label, or a list of names"),
        ('{"file": "a", "label": ["x", null]}', 'line 1: label is ["x", null], and should be'),
        ('{"file": "a", "label": {"x": 1}}', 'line 1: label is {"x": 1}, and should be'),
        ('{"file": 7, "label": ""}', "line 1: file is 7, and should be the URI or the file name of a video"),
        ('{"file": null, "label": ""}', "line 1 has no file"),
        ('{"file": "a", "label": "", "start_seconds": true}', "line 1: start_seconds is true, and should be a number"),
        ('{"file": "a", "label": "", "start_seconds": NaN}', "line 1 is not JSON"),
        ('{"file": "a", "label": "", "start_seconds": [1]}', "line 1: start_seconds is [1]"),
        ('{"file": "a\\u0000", "label": ""}', 'line 1: file is "a\\u0000", with a character that no text has'),
        ('{"file": "a", "label": "\\ud800"}', 'line 1: label is "\\ud800", with a character that no text has'),
        ("[" * 100_000, "line 1 is not JSON"),
        ('{"file": "a", "label": "", "frame_end": 9}', "line 1 has a column 'frame_end' with frame numbers"),
    ],
)
def test_mistakes_in_json_lines(tmp_path: pathlib.Path, data: str, wanted: str) -> None:
    assert wanted in message(tmp_path, data, "t.jsonl")


def test_mistakes_in_parquet(tmp_path: pathlib.Path) -> None:
    assert "cannot be read as Parquet" in message(tmp_path, b"PAR1" + b"x" * 100 + b"PAR1", "t.parquet")
    for columns, wanted in [
        ({"file": ["a"]}, "the table has no column 'label' among 'file'"),
        ({"file": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "has no rows"),
        ({"file": ["a", None], "label": ["x", "y"]}, "row 2 has no file"),
        ({"file": ["a"], "label": [5]}, "row 1: label is 5, and should be the name of a label"),
        ({"file": ["a"], "label": [{"x": 1}]}, 'row 1: label is {"x": 1}'),
        ({"file": [b"a"], "label": ["x"]}, "row 1: file is \"b'a'\""),
        ({"file": ["a"], "label": ["x"], "start_seconds": [float("nan")]}, "row 1: start_seconds is NaN"),
        (
            {"file": ["a"], "label": ["x"], "start_frame": [1]},
            "the table has a column 'start_frame' with frame numbers",
        ),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_parquet(tmp_path, **columns)
        assert wanted in str(caught.value), columns
    pq.write_table(pa.table([["a"], ["x"], ["y"]], ["file", "label", "label"]), tmp_path / "two.parquet")
    with pytest.raises(ConfigError, match="the table has two columns 'label'"):
        read_truth(str(tmp_path / "two.parquet"))


def test_files_that_are_not_truth(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="unknown kind '.txt'; give one of .csv, .tsv, .jsonl, .parquet"):
        read_truth("list.txt")
    with pytest.raises(ConfigError, match="unknown kind '.gz'"):
        read_truth("truth.csv.gz")
    with pytest.raises(ObjectNotFoundError):
        read_truth(str(tmp_path / "absent.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ConfigError, match="is not a regular file"):
        read_truth(str(tmp_path / "pipe.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ObjectNotFoundError):
        read_truth(str(tmp_path / "folder.csv"))


def test_secrets_of_addresses_are_neither_kept_nor_shown(tmp_path: pathlib.Path) -> None:
    address = "https://me:pw@host/a.mp4?sig=SECRET"
    assert read(tmp_path, f"video_uri,label\n{address},x\n").rows[0].video == "https://host/a.mp4"
    for data in (f'{{"file": "{address}", label}}', f'["{address}"]', f'{{"file": ["{address}"], "label": ""}}'):
        text = message(tmp_path, data, "t.jsonl")
        assert "https://host/a.mp4" in text and "SECRET" not in text and "pw" not in text
    with pytest.raises(ConfigError) as caught:
        read_truth("https://me:pw@host/truth.txt?sig=SECRET")
    assert "SECRET" not in str(caught.value) and "pw" not in str(caught.value)


def test_relative_paths_start_from_a_folder(tmp_path: pathlib.Path) -> None:
    read(tmp_path, "file,label\na,b\n")
    assert len(read_truth("truth.csv", base_dir=str(tmp_path)).rows) == 1


def test_a_truncated_file_is_read_or_refused(tmp_path: pathlib.Path) -> None:
    pq.write_table(pa.table({"file": ["a"] * 9, "label": [["x"]] * 9}), tmp_path / "whole.parquet")
    row = '/v/\u00e9.mp4,"a; ""b""",c,1.5,2\r\n'
    texts = {
        "t.csv": f"file,label,also_acceptable,start_seconds,end_seconds\r\n{row}{row}".encode(),
        "t.jsonl": '{"file": "\u00e9", "label": ["x", "\\u00e9"], "end_seconds": 1e1}\n'.encode() * 2,
        "t.parquet": (tmp_path / "whole.parquet").read_bytes(),
    }
    for name, data in texts.items():
        assert read(tmp_path, data, name).rows
        for size in range(0, len(data), 1 + len(data) // 150):
            with contextlib.suppress(ConfigError):
                read(tmp_path, data[:size], name)
