"""The outcome of a listed video, case by case, and what is read from the ledger."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import ledger_factory as ledger_of
import numpy as np
import pytest
import record_factory as make

from reelbeam.transforms.output import commits, ledger
from reelbeam.transforms.output.ledger import LedgerRow, decide, prefilter, read_rows, uri_key
from reelbeam.transforms.output.run_counts import RowCounts
from reelbeam.transforms.output.run_document import KEY_COLUMNS, CompactionDocument, LabelingKey, RunDocument
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.records import SkipRules, VideoRef, stable_hash
from reelbeam.transforms.selection.row_options import RowOptions

VIDEO = VideoRef("/a.mp4", 1000, "mtime:5.000000", modified_seconds=5.0)
ROW = LedgerRow("/a.mp4", 1000, "mtime:5.000000", "ok", None, False, 1, "av 1", "r1", 100.0)


def row(**changes: Any) -> LedgerRow:
    return ROW._replace(**changes)


def failed(code: str = "corrupt_video", **changes: Any) -> LedgerRow:
    return row(status="failed", error_code=code, **changes)


def transient(attempts: int, **changes: Any) -> LedgerRow:
    """The row of one try; tries are a second apart."""
    changes = {"labeled_at": 100.0 + attempts, **changes}
    return failed("storage_error", transient=True, attempts=attempts, **changes)


def transients(number: int) -> list[LedgerRow]:
    return [transient(attempts) for attempts in range(1, number + 1)]


def partial(failed_row: LedgerRow) -> LedgerRow:
    """Returns the row of a video of which some clips were labeled."""
    return failed_row._replace(status="partial")


def asking(code: str) -> SkipRules:
    return SkipRules(retry_failed=frozenset({code}))


MISSING = failed("not_found", size_bytes=None, content_version="")
AWAY = failed("storage_error", transient=True, size_bytes=None, content_version="", labeled_at=500.0)
OTHER = row(size_bytes=9, labeled_at=500.0)
OLD = "av 0"
GAVE_UP = [transient(n, decoder_version=OLD) for n in (1, 2, 3)]
FAILED_SINCE = [transient(3, labeled_at=9e9), AWAY, *transients(2)]
CASES: list[tuple[str, VideoRef, list[LedgerRow], SkipRules, tuple[str, int]]] = [
    ("no row", VIDEO, [], SkipRules(), ("new", 1)),
    ("labeled", VIDEO, [row()], SkipRules(), ("already_labeled", 1)),
    ("labeled, forced", VIDEO, [row()], SkipRules(force=True), ("forced", 1)),
    ("another size", VIDEO, [row(size_bytes=999)], SkipRules(), ("changed", 1)),
    ("another version", VIDEO, [row(content_version="mtime:4.000000")], SkipRules(), ("changed", 1)),
    ("failed, then changed", VIDEO, [failed(size_bytes=999)], SkipRules(), ("changed", 1)),
    ("earlier content is back", VIDEO, [row(), OTHER], SkipRules(), ("changed", 1)),
    ("the disk was away", VIDEO, [AWAY, row()], SkipRules(), ("changed", 1)),
    ("the disk is still away", VideoRef("/a.mp4"), [AWAY, row()], SkipRules(), ("retried", 2)),
    ("failed twice, then away", VIDEO, [AWAY, *transients(2)], SkipRules(), ("changed", 3)),
    ("again failed after that", VIDEO, FAILED_SINCE, SkipRules(), ("gave_up", 1)),
    ("failed, labeled, then away", VIDEO, [AWAY, transient(1), row(labeled_at=200.0)], SkipRules(), ("changed", 1)),
    ("the later of one second", VIDEO, [row(run_id="r2"), row(size_bytes=9)], SkipRules(), ("already_labeled", 1)),
    ("no version is no proof", VideoRef("/a.mp4", 1000), [row(content_version="")], SkipRules(), ("unversioned", 1)),
    ("still missing", VideoRef("/a.mp4"), [MISSING], SkipRules(), ("failed_before", 1)),
    ("here at last", VIDEO, [MISSING], SkipRules(), ("changed", 1)),
    ("failed for good", VIDEO, [failed()], SkipRules(), ("failed_before", 1)),
    ("failed, another decoder", VIDEO, [failed(decoder_version=OLD, attempts=4)], SkipRules(), ("new_decoder", 5)),
    ("failed, asked for", VIDEO, [failed()], asking("corrupt_video"), ("asked_for", 2)),
    ("failed, other code asked for", VIDEO, [failed()], asking("not_found"), ("failed_before", 1)),
    ("failed, all asked for", VIDEO, [failed()], asking("all"), ("asked_for", 2)),
    ("labeled, all asked for", VIDEO, [row()], asking("all"), ("already_labeled", 1)),
    ("failed once, may pass", VIDEO, [transient(1)], SkipRules(), ("retried", 2)),
    ("failed twice, may pass", VIDEO, transients(2), SkipRules(), ("retried", 3)),
    ("failed three times", VIDEO, transients(3)[::-1], SkipRules(), ("gave_up", 1)),
    ("failed three times of four", VIDEO, transients(3), SkipRules(max_attempts=4), ("retried", 4)),
    ("gave up, another decoder", VIDEO, GAVE_UP, SkipRules(), ("new_decoder", 4)),
    ("once with another decoder", VIDEO, [*GAVE_UP, transient(4)], SkipRules(), ("retried", 5)),
    ("thrice with either", VIDEO, [*GAVE_UP, transient(4), transient(5), transient(6)], SkipRules(), ("gave_up", 1)),
    ("failed three times, asked for", VIDEO, transients(3), asking("storage_error"), ("asked_for", 4)),
    ("failed, then labeled", VIDEO, [row(labeled_at=200.0), transient(1)], SkipRules(), ("already_labeled", 1)),
    ("in part, for good", VIDEO, [partial(failed())], SkipRules(), ("already_labeled", 1)),
    ("in part, may pass", VIDEO, [partial(transient(1))], SkipRules(), ("retried", 2)),
    ("in part, too often", VIDEO, [partial(row) for row in transients(3)], SkipRules(), ("gave_up", 1)),
    ("in part, new decoder", VIDEO, [partial(failed(decoder_version="x"))], SkipRules(), ("new_decoder", 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "video", "rows", "rules", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_every_case(
    name: str, video: VideoRef, rows: list[LedgerRow], rules: SkipRules, wanted: tuple[str, int]
) -> None:
    decision = decide(video, rows, rules, "av 1")
    assert (decision.reason, decision.attempt) == wanted
    assert decision.selected == (wanted[0] in ledger.SELECTED) == (wanted[0] not in ledger.SKIPPED)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([row(run_id="r9")], "other_options"),
        ([row(run_id="r1")], "already_labeled"),
        ([row(run_id="r1", labeled_at=1.0), row(run_id="r9", labeled_at=2.0)], "other_options"),
        ([row(run_id="r9", labeled_at=1.0), row(run_id="r1", labeled_at=2.0)], "already_labeled"),
        ([partial(failed(run_id="r9"))], "other_options"),
        ([failed(run_id="r9")], "failed_before"),
        ([row(run_id="r9", size_bytes=9)], "changed"),
    ],
)
def test_a_row_without_the_requested_options_is_kept_and_reported(rows: list[LedgerRow], wanted: str) -> None:
    assert decide(VIDEO, rows, SkipRules(), "av 1", other_runs={"r9"}).reason == wanted


def test_what_is_asked_of_rows(tmp_path: pathlib.Path) -> None:
    def run(**configuration: object) -> RunDocument:
        return ledger_of.summary_of(tmp_path, "r1", [], configuration=configuration)

    asked = RowOptions(5, 0.0, save_logits=True, save_embeddings=False)
    assert asked.fit(asked)
    assert dataclasses.replace(asked, save_embeddings=True).fit(asked)  # more than is asked for
    others: list[dict[str, Any]] = [{"top_k": 3}, {"top_k": 9}, {"min_score": 0.5}, {"save_logits": False}]
    others.append({"thresholds": "t.json", "thresholds_fingerprint": "ab12"})
    for other in others:
        made = dataclasses.replace(asked, **other)
        assert not made.fit(asked)
        assert asked.would_change(run(engine="openvino", **vars(made)))
    assert not asked.would_change(run(**vars(asked)))
    assert not asked.would_change(run())
    filtered = dataclasses.replace(asked, thresholds="t.json", thresholds_fingerprint="ab12")
    assert dataclasses.replace(filtered, thresholds="copy.json").fit(filtered)
    assert not dataclasses.replace(filtered, thresholds_fingerprint="cd34").fit(filtered)
    earlier = {name: value for name, value in vars(asked).items() if not name.startswith("thresholds")}
    assert not asked.would_change(run(**earlier)) and filtered.would_change(run(**earlier))
    assert filtered.to_flags() == "--top_k 5, --min_score 0, --thresholds t.json, --save_logits"
    assert not asked.would_change(run(**vars(asked) | {"top_k": "five"}))


def test_every_reason_is_a_case_or_a_filter() -> None:
    decided = {case[4][0] for case in CASES} | {"other_options"}
    assert decided | {"other_shard", "before_since", "beyond_limit"} == {*ledger.SELECTED, *ledger.SKIPPED}


def test_shards_divide_the_videos() -> None:
    videos = [VideoRef(f"/v/{i}.mp4") for i in range(1000)]
    shares = [{v.video_uri for v in videos if prefilter(v, SkipRules(shard=(i, 4))) is None} for i in range(4)]
    assert sum(map(len, shares)) == 1000 == len(set().union(*shares))
    assert all(200 < len(share) < 300 for share in shares)


def test_hashes_for_two_purposes_are_independent() -> None:
    uris = [f"/v/{i}.mp4" for i in range(4000)]
    share = [uri for uri in uris if stable_hash(uri, "shard") % 4 == 0]
    assert all(200 < sum(stable_hash(uri, "part") % 4 == k for uri in share) < 300 for k in range(4))


def test_only_content_since_a_time() -> None:
    rules = SkipRules(since=5.0)
    assert prefilter(VIDEO, rules) is None
    assert prefilter(dataclasses.replace(VIDEO, modified_seconds=4.999999), rules) == "before_since"
    assert (
        prefilter(dataclasses.replace(VIDEO, modified_seconds=None), rules) is None
    )  # unknown, so it is not lost silently


def test_only_rows_of_listed_videos_and_of_the_same_key_are_read(tmp_path: pathlib.Path) -> None:
    uris = [f"/v/{i:04d}.mp4" for i in range(3000)]
    rows = ledger_of.rows(uris)
    rows[7]["precision"] = "bfloat16"  # as in a file that holds rows of several runs
    ledger_of.commit_rows(tmp_path, "r1", rows, row_group_size=500)
    (path,) = ledger_of.ledger_files(str(tmp_path), LabelingKey.of(make.RUN))
    keys = np.unique(np.array([uri_key(uri) for uri in (uris[3], uris[7], uris[2999], "/not/there.mp4")], np.int64))
    found = {row.video_uri: row for row in read_rows(path, keys, LabelingKey.of(make.RUN))}
    assert set(found) == {uris[3], uris[2999]}
    assert found[uris[3]] == LedgerRow(
        uris[3], 1000, "mtime:1.0", "ok", None, False, 1, "av 1", make.RUN.run_id, 1767225600.0
    )
    assert not list(read_rows(path, np.array([], np.int64), LabelingKey.of(make.RUN)))


@pytest.mark.parametrize("name", KEY_COLUMNS)
def test_runs_of_another_labeling_key_are_not_opened(tmp_path: pathlib.Path, name: str) -> None:
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(["/a.mp4"]))
    key = LabelingKey.of(make.RUN)
    other: dict[str, Any] = {name: 99 if name == "schema_version" else "other"}
    assert len(list(ledger_of.ledger_files(str(tmp_path), key))) == 1
    assert not list(ledger_of.ledger_files(str(tmp_path), dataclasses.replace(key, **other)))


def test_a_compaction_with_rows_of_several_labeling_keys_is_opened_for_each(tmp_path: pathlib.Path) -> None:
    key = LabelingKey.of(make.RUN)
    other = dataclasses.replace(key, precision="bfloat16")
    files = ledger_of.stage(tmp_path, "r1", ledger_of.rows(["/a.mp4"]))
    run = ledger_of.summary_of(tmp_path, "r1", files)
    shared = {name: getattr(run, name) for name in ("run_id", "schema_version", "files", "started_at", "finished_at")}
    document = CompactionDocument(
        **shared, compacted=("r0",), labeling_keys=(key, other), counts=RowCounts(1, 1), errors=()
    )
    paths = RunPaths(str(tmp_path), "r1")
    commits.write_commit_record(paths, document, files)
    commits.finish(paths)
    for each in (key, other):
        assert len(list(ledger_of.ledger_files(str(tmp_path), each))) == 1


def test_an_output_that_was_moved_is_still_a_ledger(tmp_path: pathlib.Path) -> None:
    ledger_of.commit_rows(tmp_path / "a", "r1", ledger_of.rows(["/a.mp4"]))
    (tmp_path / "a").rename(tmp_path / "b")
    (path,) = ledger_of.ledger_files(str(tmp_path / "b"), LabelingKey.of(make.RUN))
    assert pathlib.Path(path).is_file()
