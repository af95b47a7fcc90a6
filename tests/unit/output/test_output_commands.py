"""`reelbeam status`, `diff` and `verify` on outputs of committed runs."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import ledger_factory
import output_factory as factory
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from output_factory import Sizes, Video

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.inspection.overview import overview
from reelbeam.transforms.output.inspection.verification import find_faults
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_document import RejectedRun, Rejection, RunFacts
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.typed_json import to_json

SECOND_NIGHT = [
    Video("a.mp4", "still", version="mtime:2.0"),
    Video("d.mp4"),
    Video("e.mp4", None, code="no_frames"),
]


def three_runs(output: pathlib.Path) -> list[str]:
    """A first run, one with a changed, a new and a failed video, and one without new videos."""
    return [
        factory.commit_run(output, 1, [Video("a.mp4"), Video("b.mp4", "right", 3), Video("c.mp4", None)]),
        factory.commit_run(output, 2, SECOND_NIGHT, skipped={"already_labeled": 1, "failed_before": 1}),
        factory.commit_run(output, 3, [], skipped={"already_labeled": 3, "failed_before": 2}),
    ]


def as_json(capsys: pytest.CaptureFixture[str], *argv: object) -> Any:
    code = main([*map(str, argv), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_status_shows_runs_totals_and_errors(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = three_runs(tmp_path)
    code, found = as_json(capsys, "status", tmp_path, "--runs", 2)
    assert code == 0 and found["num_runs"] == 3 and found["now"] == []
    assert [run["run_id"] for run in found["runs"]] == names[1:]
    assert found["runs"][0]["counts"]["skipped"] == 2 and found["runs"][0]["errors"] == {"no_frames": 1}
    assert found["last_success"] == found["runs"][1]["finished_at"]
    totals = found["totals"]
    assert (totals["videos"], totals["ok"], totals["failed"], totals["clips"]) == (5, 3, 2, 7)
    assert totals["errors"] == {"corrupt_video": 1, "no_frames": 1}
    assert totals["labels"] == {"left": 1, "right": 1, "still": 1}
    assert totals["video_ms"] == 5 * 4000
    assert main(["status", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in names) and "5 videos" in printed and "no_frames" in printed
    assert "finished (UTC)" in printed and f"  {found['runs'][1]['finished_at'][:16].replace('T', ' ')}  " in printed
    assert "3 videos files, " in printed and " clips files, " in printed and "files: " not in printed


def test_status_cuts_nothing_off_where_no_terminal_is(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    run = dataclasses.replace(factory.run_info(1), run_id="20260101T000000Z-abc123-part03of12", model="m" * 100)
    written = factory.stage(tmp_path, run, [Video("a.mp4", num_clips=1)])
    config = CommitConfig(paths=RunPaths(str(tmp_path), run.run_id), facts=RunFacts.of(run), max_failure_ratio=1.0)
    commit(config, RunResults(files=written, num_inputs=1, outcomes={"new": 1}))
    assert main(["status", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (row,) = [words for words in lines if words[:1] == [run.run_id]]
    assert row[3:10] == ["m" * 100, "1", "1", "0", "0", "0", "1"]
    printed = "\n".join(" ".join(words) for words in lines)
    assert "1 video (4 seconds): 1 ok" in printed and "; 1 clip; last" in printed and "; 1 run, 0 comp" in printed


def test_totals_in_several_passes_are_the_same(tmp_path: pathlib.Path) -> None:
    for number in (1, 2, 3):
        factory.commit_run(tmp_path, number, [Video(f"{i}.mp4", "left" if number < 3 else "still") for i in range(40)])
    output = Output.read(str(tmp_path))
    at_once = overview(output, 0).totals
    read: list[str] = []
    assert overview(output, 0, read.append, rows_in_memory=7).totals == at_once
    assert len(read) == 18 * len(output.files("videos")), "120 rows in passes of 7"
    assert at_once.labels == {"still": 40} and at_once.clips == 80


def test_status_shows_running_dead_and_refused_runs(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    three_runs(tmp_path)
    running, interrupted = factory.run_info(8), factory.run_info(9)
    factory.stage(tmp_path, running, [Video("x.mp4")])
    factory.stage(tmp_path, interrupted, [Video("y.mp4")])
    with OutputLock(LockTicket(str(tmp_path), running.run_id)):
        _, found = as_json(capsys, "status", tmp_path)
    assert {entry["run_id"]: entry["state"] for entry in found["now"]} == {
        running.run_id: "running",
        interrupted.run_id: "interrupted",
    }
    assert found["now"][0]["process_id"] == os.getpid()
    document = ledger_factory.summary_of(tmp_path, interrupted.run_id, [])
    rejected = RejectedRun(**vars(document), rejection=Rejection("too_many_failures", "9 of 9 inputs failed"))
    pathlib.Path(RunPaths(str(tmp_path), interrupted.run_id).rejection_record).write_text(json.dumps(to_json(rejected)))
    _, found = as_json(capsys, "status", tmp_path)
    assert [entry["state"] for entry in found["now"]] == ["interrupted", "rejected"]
    assert main(["status", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "9 of 9 inputs failed" in printed
    assert f"{running.run_id}: interrupted: start the same `reelbeam label` again to continue\n" in printed


def test_status_shows_the_first_run_before_any_commit(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = factory.run_info(1)
    with OutputLock(LockTicket(str(tmp_path), first.run_id)):
        _, found = as_json(capsys, "status", tmp_path)
        assert [(entry["run_id"], entry["state"]) for entry in found["now"]] == [(first.run_id, "running")]
        assert (found["num_runs"], found["runs"], found["last_success"], found["totals"]["videos"]) == (0, [], None, 0)
        assert main(["status", str(tmp_path)]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert printed.startswith(f"{first.run_id} on ") and printed.endswith(": running no run is committed yet")
        assert main(["compact", str(tmp_path)]) == main(["verify", str(tmp_path)]) == 2
        capsys.readouterr()
    assert main(["status", str(tmp_path)]) == 2, "the lock alone is nothing"
    assert "holds no committed run" in capsys.readouterr().err
    factory.stage(tmp_path, first, [Video("x.mp4")])
    code, found = as_json(capsys, "status", tmp_path)
    assert code == 0 and found["now"] == [{"run_id": first.run_id, "state": "interrupted"}]


@pytest.mark.parametrize("command", ["status", "verify", "sql", "compact"])
def test_where_nothing_is_it_says_so(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, str(tmp_path / "none")]) == 2
    out, err = capsys.readouterr()
    assert "holds no committed run" in err and out == ""
    assert not (tmp_path / "none").exists()


def test_diff_shows_new_and_lost_videos_labels_and_errors(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = three_runs(tmp_path)
    code, found = as_json(capsys, "diff", tmp_path, first, second)
    assert code == 0
    assert (found["new"], found["lost"]) == (["d.mp4", "e.mp4"], ["b.mp4", "c.mp4"])
    assert [(row["video_uri"], row["top_label_before"], row["top_label_after"]) for row in found["relabeled"]] == [
        ("a.mp4", "left", "still")
    ]
    assert found["relabeled"][0]["top_score_after"] == pytest.approx(0.8)
    assert found["status_changed"] == [] and found["skipped"] == {"before": 0, "after": 2}
    assert found["errors"] == {"corrupt_video": {"before": 1, "after": 0}, "no_frames": {"before": 0, "after": 1}}
    assert main(["diff", str(tmp_path), first[:8], second[:8]]) == 0
    assert (
        "1 with another top label, 0 with another status, 2 new, 2 in the first run only The second run skipped "
        "2 inputs, which have no row in it: 1 labeled already, 1 failed before"
    ) in " ".join(capsys.readouterr().out.split())


def test_diff_calls_no_video_lost_that_may_have_been_skipped(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = [Video(f"{number:02d}.mp4") for number in range(26)]
    first = factory.commit_run(tmp_path, 1, everything)
    second = factory.commit_run(tmp_path, 2, [Video("x.mp4")], skipped={"already_labeled": 26})
    third = factory.commit_run(tmp_path, 3, everything[:3], skipped={"already_labeled": 20})
    fourth = factory.commit_run(tmp_path, 4, everything[:3], model="m1")

    def printed_diff(*runs: str) -> str:
        assert main(["diff", str(tmp_path), *runs]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "1 new, 26 in the first run only The second run skipped 26 inputs" in printed_diff(first, second)
    assert "19.mp4 and 6 more" in printed_diff(first, second)
    assert "0 new, 23 in the first run only (at least 3 lost)" in printed_diff(first, third)
    assert "0 new, 23 lost" in printed_diff(first, fourth)
    assert "26 in the second run only, 1 lost" in printed_diff(second, first)


def test_diff_shows_which_settings_of_the_runs_differ(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = factory.run_info(2, "m1")
    first = factory.commit_run(tmp_path, 1, [Video("a.mp4")])
    second = factory.commit_as(
        tmp_path, dataclasses.replace(run, model="a9-base", sampling_fingerprint="other"), [Video("a.mp4")]
    )
    assert as_json(capsys, "diff", tmp_path, first, second)[1]["labeling_key"] == {
        "model_fingerprint": {"before": "m0", "after": "m1"},
        "sampling_fingerprint": {"before": run.sampling_fingerprint, "after": "other"},
        "model": {"before": run.model, "after": "a9-base"},
    }
    assert main(["diff", str(tmp_path), first, second]) == 0
    assert (
        f"The two runs differ in the model ({run.model}, then a9-base), the sampling of clips: labels and scores may "
        "differ for that reason"
    ) in " ".join(capsys.readouterr().out.split())
    assert as_json(capsys, "diff", tmp_path, first, first)[1]["labeling_key"] == {}


def test_diff_shows_a_changed_status(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = factory.commit_run(tmp_path, 1, [Video("a.mp4"), Video("b.mp4")])
    second = factory.commit_run(tmp_path, 2, [Video("a.mp4", None), Video("b.mp4")])
    (row,) = as_json(capsys, "diff", tmp_path, first, second)[1]["status_changed"]
    assert row == {
        "video_uri": "a.mp4",
        "status_before": "ok",
        "status_after": "failed",
        "error_code_before": None,
        "error_code_after": "corrupt_video",
    }


def test_diff_with_a_run_without_new_videos(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, second, third = three_runs(tmp_path)
    for path in tmp_path.glob(f"*/run={third}/*.parquet"):  # like a real run without new videos, which writes no files
        path.unlink()
    summary = tmp_path / "runs" / f"{third}.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"files": {}}))
    code, found = as_json(capsys, "diff", tmp_path, second, third)
    assert code == 0 and found["num_videos"] == {"before": 3, "after": 0, "both": 0}
    assert (found["new"], found["lost"]) == ([], ["a.mp4", "d.mp4", "e.mp4"])
    assert found["errors"] == {"no_frames": {"before": 1, "after": 0}} and found["largest_score_change"] is None
    code, found = as_json(capsys, "diff", tmp_path, third, second)
    assert code == 0 and (found["new"], found["lost"]) == (["a.mp4", "d.mp4", "e.mp4"], [])
    code, found = as_json(capsys, "diff", tmp_path, third, third)
    assert code == 0 and found["new"] == found["lost"] == found["relabeled"] == [] and found["errors"] == {}
    assert main(["diff", str(tmp_path), second, third]) == 0


def test_a_run_in_parts_is_named_by_how_its_name_begins(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"20260101T020000Z-aaaaaa-part{number:02d}of10" for number in range(1, 11)]
    names += ["20260102T020000Z-bbbbbb", "20260102T030000Z-cccccc-part1of2", "20260102T030000Z-cccccc-part2of2"]
    for number, name in enumerate(names, 1):
        factory.commit_as(
            tmp_path, dataclasses.replace(factory.run_info(number), run_id=name), [Video(f"{number}.mp4")]
        )
    output = Output.read(str(tmp_path))
    for name in ("20260101", "20260101T02", "20260101T020000Z-aaaaaa"):
        assert [run.run_id for run in output.find(name)] == names[:10]
    assert [run.run_id for run in output.find(names[2])] == [names[2]]
    assert [run.run_id for run in output.find("20260102T02")] == [names[10]]
    assert [run.run_id for run in output.find("20260102T03")] == names[11:]
    for name in ("20260102", "20260101T020000Z-aaaaaa-part0"):
        with pytest.raises(ConfigError, match="matches several runs"):
            output.find(name)
    assert main(["diff", str(tmp_path), "20260101T02", "20260102T03"]) == 0
    assert "2 new, 10 lost" in " ".join(capsys.readouterr().out.split())


def test_diff_of_a_run_that_is_not_there(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = three_runs(tmp_path)
    assert main(["diff", str(tmp_path), first, "2026"]) == 2
    assert "matches several runs" in capsys.readouterr().err
    assert main(["diff", str(tmp_path), first, "1999"]) == 2
    assert f"1999 is not a committed run of {tmp_path}" in capsys.readouterr().err


def rewrite(path: pathlib.Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path, write_page_checksum=True)


def overwrite_page(path: pathlib.Path) -> None:
    """Leaves nothing of the head of the first page."""
    data = bytearray(path.read_bytes())
    data[4:60] = b"\xff" * 56
    path.write_bytes(data)


def flip(path: pathlib.Path) -> None:
    """Turns one bit in the last page of the first column."""
    column = pq.read_metadata(path).row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[column.dictionary_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(data)


def with_long_index(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("clip_index")
    field = pa.field("clip_index", pa.int64(), nullable=False)
    return table.set_column(place, field, table["clip_index"].cast(pa.int64()))


def set_type(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    column = pa.array([list(map(float, values)) for values in table[name].to_pylist()], kind)
    return table.set_column(table.schema.get_field_index(name), pa.field(name, kind, nullable=False), column)


def set_first(table: pa.Table, name: str, value: object) -> pa.Table:
    place, field = table.schema.get_field_index(name), table.schema.field(name)
    return table.set_column(place, field, pa.array([value, *table[name].to_pylist()[1:]], field.type))


DAMAGES: dict[str, tuple[str, Callable[[pathlib.Path], object], str | None]] = {
    "deleted": ("clips", lambda path: path.unlink(), "does not exist"),
    "truncated": ("videos", lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read as Parquet"),
    "bit": ("videos", flip, "could not verify page integrity"),
    "page": ("videos", overwrite_page, "cannot be read as Parquet"),
    "emptied": ("errors", lambda path: path.write_bytes(b""), "cannot be read as Parquet"),
    "type": ("clips", lambda path: rewrite(path, with_long_index), "column clip_index"),
    "column": ("clips", lambda path: rewrite(path, lambda t: t.drop_columns(["entropy"])), "column entropy: missing"),
    "version": (
        "errors",
        lambda path: pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata({}), path),
        "has schema version none, its run document says",
    ),
    "repeated": (
        "videos",
        lambda path: rewrite(path, lambda t: pa.concat_tables([t, t.slice(1, 1)])),
        "1 row repeated, such as b.mp4",
    ),
    "repeated clip": (
        "clips",
        lambda path: rewrite(path, lambda t: pa.concat_tables([t.slice(1), t.slice(1, 1)])),
        "1 row repeated, such as a.mp4",
    ),
    "dropped clip": ("clips", lambda path: rewrite(path, lambda t: t.slice(1)), None),
    "orphan": (
        "videos",
        lambda path: rewrite(path, lambda t: t.filter(pc.not_equal(t["video_uri"], "b.mp4"))),
        None,
    ),
    "status": ("videos", lambda path: rewrite(path, lambda t: set_first(t, "status", "failed")), None),
    "planned": (
        "videos",
        lambda path: rewrite(path, lambda t: set_first(t, "num_planned_clips", 5)),
        "1 video marked ok without all planned clips, such as a.mp4",
    ),
    "key": ("videos", lambda path: rewrite(path, lambda t: set_first(t, "uri_key", 5)), "1 row with a uri_key"),
    "stranger": ("clips", lambda path: rewrite(path, lambda t: set_first(t, "run_id", "x")), "has rows of runs"),
    "dropped error": ("errors", lambda path: rewrite(path, lambda t: t.slice(1)), None),
}
ELSEWHERE = {
    "dropped clip": "videos/run={run}/part-00000.parquet: 1 video whose number of clip rows differs",
    "orphan": "clips/run={run}/part-00000.parquet: 3 clips without a row of the video, such as b.mp4",
    "status": "runs/{run}.json: says 2 ok, the files hold 1",
    "dropped error": "runs/{run}.json: says 1 errors corrupt_video, the files hold 0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_damage_and_names_the_file(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    first, *_ = three_runs(tmp_path)
    assert main(["verify", str(tmp_path)]) == 0
    assert "no faults found" in capsys.readouterr().out
    table, do, message = DAMAGES[damage]
    path = tmp_path / table / f"run={first}" / "part-00000.parquet"
    do(path)
    assert main(["verify", str(tmp_path)]) == 4
    lines = capsys.readouterr().out.splitlines()
    wanted = f"{path}: " if message else str(tmp_path / ELSEWHERE[damage].format(run=first))
    assert any(line.startswith(wanted) and (message or "") in line for line in lines), lines
    assert main(["verify", str(tmp_path), "--run", first]) == 4


@pytest.mark.parametrize("damage", ["deleted", "truncated", "emptied", "page"])
@pytest.mark.parametrize("command", ["status", "verify", "diff", "compact"])
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], command: str, damage: str
) -> None:
    first, second, _ = three_runs(tmp_path)
    path = tmp_path / "videos" / f"run={first}" / "part-00000.parquet"
    DAMAGES[damage][1](path)
    code = main([command, str(tmp_path), *([first, second] if command == "diff" else [])])
    if command == "status" and damage == "page":  # of a column that it does not read
        assert code == 0
        return
    assert code == (4 if command == "verify" else 1)
    captured = capsys.readouterr()
    (line,) = (captured.out if command == "verify" else captured.err).splitlines()
    assert str(path) in line and f"restore it from a copy, or remove runs/{first}.json and the folders" in line
    assert "spelling" not in line and line.count(str(path)) == 1


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"run_id": "x", "counts": {}, "errors": [], "files": {}}'])
@pytest.mark.parametrize("command", ["status", "verify", "report", "diff", "sql", "compact"])
def test_so_is_the_json_of_a_run(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], command: str, text: str
) -> None:
    first, second, _ = three_runs(tmp_path)
    path = tmp_path / "runs" / f"{first}.json"
    path.write_text(text)
    assert main([command, str(tmp_path), *([first, second] if command == "diff" else [])]) == (
        4 if command == "verify" else 1
    )
    captured = capsys.readouterr()
    (line,) = (captured.out if command == "verify" else captured.err).splitlines()
    assert line.count(str(path)) == 1 and "restore it from a copy, or remove it" in line


def test_verify_knows_the_optional_columns(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = [Video(f"{i}.mp4") for i in range(9)]
    name = factory.commit_run(tmp_path, 1, videos, num_files=2, sizes=Sizes(3, 4))
    factory.commit_run(tmp_path, 2, videos)
    assert as_json(capsys, "verify", tmp_path) == (0, {"output": str(tmp_path), "faults": []})
    first, second = (tmp_path / "clips" / f"run={name}" / f"part-0000{i}.parquet" for i in range(2))
    whole = second.read_bytes()

    def messages() -> list[str]:
        code, found = as_json(capsys, "verify", tmp_path)
        assert code == 4 and {fault["path"] for fault in found["faults"]} == {str(second)}
        return [fault["message"] for fault in found["faults"]]

    rewrite(second, lambda table: table.drop_columns(["logits"]))
    (message,) = messages()
    assert f"in another file of run {name}: " in message and "logits[3]" in message

    def with_logits(kind: pa.DataType) -> None:
        second.write_bytes(whole)
        rewrite(second, lambda table: set_type(table, "logits", kind))

    with_logits(pa.list_(pa.field("element", pa.float32(), nullable=False), 3))
    assert "must be a fixed-size list of halffloat" in messages()[0]
    with_logits(pa.list_(pa.field("element", pa.float16(), nullable=False)))
    assert "must be a fixed-size list of halffloat" in messages()[0]
    with_logits(pa.list_(pa.field("element", pa.float16(), nullable=False), 3))
    assert main(["verify", str(tmp_path)]) == 0, "elements that cannot be null are the same"
    capsys.readouterr()
    second.write_bytes(whole)
    rewrite(second, lambda table: table.append_column("surplus", table["clip_index"]))
    assert messages() == ["has a column surplus, which is not in the schema"]


def test_verify_finds_what_no_run_has_committed(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = three_runs(tmp_path)
    stray = tmp_path / "videos" / "run=stray" / "part-00000.parquet"
    shutil.copytree(tmp_path / "videos" / f"run={first}", stray.parent)
    (tmp_path / "clips").mkdir(exist_ok=True)
    beside = pathlib.Path(shutil.copy(stray, tmp_path / "clips" / "copy.parquet"))
    deep = tmp_path / "clips" / "old" / "run=stray" / "part-00000.parquet"
    shutil.copytree(stray.parent, deep.parent)
    code, found = as_json(capsys, "verify", tmp_path)
    assert code == 4
    assert {fault["path"] for fault in found["faults"]} == {str(path) for path in (stray, beside, deep)}
    assert {fault["message"] for fault in found["faults"]} == {"belongs to no committed run: remove it"}
    assert main(["verify", str(tmp_path), "--run", first]) == 0


def test_verify_of_the_last_run_reads_all_its_parts_and_nothing_else(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory.commit_run(tmp_path, 1, [Video("a.mp4")])
    assert main(["verify", str(tmp_path), "--last"]) == 0
    second = factory.run_info(2).run_id
    for part in (1, 2):
        run = dataclasses.replace(factory.run_info(2), run_id=f"{second}-part{part}of2")
        factory.commit_as(tmp_path, run, [Video(f"{part}.mp4")])
    assert main(["verify", str(tmp_path), "--last"]) == 0

    (old,) = tmp_path.glob("videos/run=*01T*/*.parquet")
    (first_part,) = tmp_path.glob("videos/run=*-part1of2/*.parquet")
    old.unlink()
    assert main(["verify", str(tmp_path), "--last"]) == 0
    assert main(["verify", str(tmp_path)]) == 4
    first_part.unlink()
    capsys.readouterr()
    code, found = as_json(capsys, "verify", tmp_path, "--last")
    assert code == 4 and [fault["path"] for fault in found["faults"]] == [str(first_part)]


def test_verify_finds_a_damaged_json_and_wrong_counts(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = three_runs(tmp_path)
    path = tmp_path / "runs" / f"{first}.json"
    summary = json.loads(path.read_text())
    summary["counts"]["clips"] += 1
    path.write_text(json.dumps(summary))
    assert as_json(capsys, "verify", tmp_path)[1]["faults"] == [
        {"path": str(path), "message": "says 6 clips, the files hold 5"}
    ]
    path.write_text("{")
    code, found = as_json(capsys, "verify", tmp_path)
    assert code == 4 and [fault["path"] for fault in found["faults"]] == [str(path)]
    assert main(["status", str(tmp_path)]) == 1
    assert "is not JSON" in capsys.readouterr().err


def test_verify_finds_the_same_in_many_shares(tmp_path: pathlib.Path) -> None:
    run = factory.commit_run(tmp_path, 1, [Video(f"{i}.mp4") for i in range(50)], num_files=3)
    assert find_faults(str(tmp_path), rows_in_memory=11) == []
    path = tmp_path / "clips" / f"run={run}" / "part-00001.parquet"
    rewrite(path, lambda table: pa.concat_tables([table, table]))
    twice = [fault for fault in find_faults(str(tmp_path), rows_in_memory=11) if "repeated" in fault.message]
    assert {fault.path for fault in twice} == {str(path)}
    assert sum(int(fault.message.split()[0]) for fault in twice) == pq.read_metadata(path).num_rows // 2


def test_verify_reports_an_interrupted_commit(tmp_path: pathlib.Path) -> None:
    three_runs(tmp_path)
    last = factory.commit_run(tmp_path, 4, [Video("z.mp4")])
    paths = RunPaths(str(tmp_path), last)
    pathlib.Path(paths.staging).mkdir()
    record = {"summary": json.loads(pathlib.Path(paths.document).read_text())}
    record["moves"] = [[table, 0] for table in ("clips", "errors", "videos")]
    pathlib.Path(paths.commit_record).write_text(json.dumps(record))
    pathlib.Path(paths.document).unlink()
    assert main(["verify", str(tmp_path)]) == 0
