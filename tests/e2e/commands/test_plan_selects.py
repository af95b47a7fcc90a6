"""`plan` counts the videos that `label` then processes, for every kind of input."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from slow_cases import fast_rows

from reelbeam.pipeline.cli import main


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> pathlib.Path:
    """Labeled once. Since then one file has changed, some are new, and one failed for a reason that may pass.

    `real` and `links` lead to the same files; `list.csv` names some of them again, twice, by links, with ranges, and a
    file that is missing.
    """
    folder = tmp_path_factory.mktemp("corpus")
    real, links = folder / "real", folder / "links"
    real.mkdir()
    links.mkdir()
    for name in ("moving_up.mp4", "growing.mp4", "broken.mp4"):
        shutil.copy(samples_dir / name, real / name)
    for number in range(3):
        (real / f"odd{number}.mp4").write_bytes(b"no video %d" % number)
        os.utime(real / f"odd{number}.mp4", (1e9 * number + 1, 1e9 * number + 1))
    (real / "notes.txt").touch()
    assert main([*label(folder), str(real), "--max_failure_ratio=1"]) == 0
    (rows,) = (folder / "out/videos").glob("*/*.parquet")
    fail_for_now(rows, "odd1.mp4")
    os.utime(real / "growing.mp4", (1, 1))
    shutil.copy(samples_dir / "moving_left.mp4", real / "new.mp4")
    (links / "folder").symlink_to(real)
    (links / "only_link.mp4").symlink_to(folder / "elsewhere.mp4")
    (links / "again.mp4").symlink_to("only_link.mp4")
    shutil.copy(samples_dir / "moving_left.mp4", folder / "elsewhere.mp4")
    (folder / "list.csv").write_text(
        "video_uri,start_seconds,end_seconds,camera\n"
        f"{real}/moving_up.mp4,,,7\n{real}/moving_up.mp4,,,6\n{real}/moving_up.mp4,0,1,7\n"
        f"{links}/folder/moving_up.mp4,0,1.0,7\n{links}/folder/broken.mp4,,,\n{folder}/missing.mp4,,,\n"
    )
    return folder


def label(folder: pathlib.Path, output: str = "out") -> list[str]:
    return ["label", "--model=demo", "--output", str(folder / output)]


def fail_for_now(path: pathlib.Path, name: str) -> None:
    """Makes the failure of a video one that may pass."""
    table = pq.read_table(path, partitioning=None)
    values = [row["transient"] or row["video_uri"].endswith(name) for row in table.to_pylist()]
    place = table.schema.get_field_index("transient")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values)), path)


INPUTS = ["real", "links", "links/folder/odd*.mp4", "real/new.mp4", "--input_list", "list.csv"]
CASES = [
    ([], {"changed": 1, "new": 6, "already_labeled": 1, "failed_before": 2, "retried": 1}),
    (["--retry_failed=all", "--limit=4"], {}),
    (["--shard=1/2"], {}),
    (["--shard=2/2", "--limit=2"], {}),
    (["--since=2001-01-01"], {}),
    (["--force", "--limit=3"], {}),
    (["--top_k=2", "--max_attempts=1"], {}),
]


@pytest.mark.parametrize(("flags", "outcomes"), fast_rows(CASES, 1))
def test_a_plan_counts_what_the_run_then_does(
    corpus: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str], outcomes: dict[str, int]
) -> None:
    given = [word if word.startswith("--") else str(corpus / word) for word in INPUTS]
    shutil.copytree(corpus / "out", corpus / "again", dirs_exist_ok=True)
    before = set((corpus / "again/runs").iterdir())
    command = [*label(corpus, "again"), *given, *flags]
    assert main(["plan", *command[1:], "--json"]) == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert main([*command, "--max_failure_ratio=1"]) == 0
    (run,) = [json.loads(path.read_text()) for path in set((corpus / "again/runs").iterdir()) - before]
    shutil.rmtree(corpus / "again")
    assert plan["outcomes"] == run["selected"] | run["skipped"]
    assert (plan["inputs"], plan["to_label"]) == (run["counts"]["inputs"], run["counts"]["videos"])
    assert plan["ignored"] == run["ignored"] and plan["ignored"][".txt"] == 2
    assert plan["outcomes"] == (outcomes or plan["outcomes"])
    failed = run["counts"]["failed"]
    assert sum(plan["failures"].values()) == failed and plan["clips"] == run["counts"]["clips"]


def test_a_damaged_ledger_ends_a_plan_with_its_own_message(
    corpus: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runner's words about the step that failed are not part of it."""
    shutil.copytree(corpus / "out", corpus / "damaged")
    (path,) = (corpus / "damaged/videos").glob("*/*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    assert main(["plan", *label(corpus, "damaged")[1:], str(corpus / "real")]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and error.count("\n") == 1 and "while running" not in error
