"""The README names every flag, every error code, every column and every model."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import duckdb
import output_factory as factory
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reelbeam.pipeline import __version__
from reelbeam.pipeline.cli import main
from reelbeam.pipeline.flags.definitions import label_parser
from reelbeam.transforms import metrics
from reelbeam.transforms.errors import error_classes
from reelbeam.transforms.models.registry.catalog import CATALOG
from reelbeam.transforms.schemas import TABLES, tables_of_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_flag_is_documented() -> None:
    flags = {name for action in label_parser()._actions for name in action.option_strings if name.startswith("--")}
    assert {flag for flag in flags - {"--help"} if f"`{flag}" not in README} == set()


@pytest.mark.parametrize("command", ["plan", "status", "verify", "diff", "sql", "compact"])
def test_every_flag_of_the_other_commands_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    flags = set(re.findall(r"--\w+", capsys.readouterr().out)) - {"--help"}
    assert {flag for flag in flags if f"`{flag}" not in README} == set() and f"**{command}**" in README


def test_every_error_code_is_documented() -> None:
    assert {cls.code for cls in error_classes() if f"`{cls.code}`" not in README} == set()


def test_every_counter_is_documented() -> None:
    counters = {value for name, value in vars(metrics).items() if name.isupper() and name != "NAMESPACE"}
    (table,) = re.findall(r"^\| counter \| counts \|\n(.+?)\n\n", README, re.DOTALL | re.MULTILINE)
    told = {name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == counters
    assert f"namespace `{metrics.NAMESPACE}`" in README


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented(table: str) -> None:
    (text,) = re.findall(rf"^\*\*{table}\*\*: (.+?)\n\n", README, re.DOTALL | re.MULTILINE)
    names = tables_of_run(num_logits=3, embedding_size=4)[table].names
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_table_of_models_is_the_catalog() -> None:
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\S+)` \| (\d+) \| (\d+) \| (\d+) → (\d+) \| ", README, re.M)}
    for name, spec in CATALOG.items():
        preset = spec.preset
        told = (preset.num_frames, preset.target_fps, preset.resize, preset.size)
        assert rows[name] == tuple(map(str, told)), name


def test_no_placeholder_is_left() -> None:
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME", README)


def test_the_changelog_starts_with_this_version() -> None:
    (first,) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[:1]
    assert first == __version__


def test_the_printed_table_shows_every_sample_with_its_label() -> None:
    shown = dict(re.findall(r"^ (\w+\.\w+) +(.+?) \d\.\d\d  ", README, re.M))
    samples = {path.name for path in (ROOT / "pipeline/demo/videos").iterdir()} - {"broken.mp4"}
    assert shown == {name: name.rsplit(".", 1)[0].replace("_", " ") for name in samples}


def test_the_figures_of_the_demo_model_are_those_that_were_measured() -> None:
    results = {path.stem: json.loads(path.read_text()) for path in (ROOT / "benchmarks/results").glob("demo_*.json")}
    full, half = results["demo_accuracy"], results["demo_accuracy_half_rate"]
    assert f"{round(full['accuracy'] * full['videos'])} of {full['videos']} held-out" in README.replace("\n", " ")
    assert full["accuracy"] >= 0.97 and full["videos"] == half["videos"] == 300
    assert f"{half['accuracy']:.0%}".replace("%", " %") in README


def test_the_queries_run(tmp_path: pathlib.Path) -> None:
    (text,) = re.findall(r"```sql\n(.+?)```", README, re.DOTALL)
    for table, schema in TABLES.items():
        folder = tmp_path / table / "run=r1"
        folder.mkdir(parents=True)
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
    duckdb.connect().execute(text.replace("labels/", f"{tmp_path}/"))


def test_the_query_of_clips_joins_each_range_with_its_own_video_row(tmp_path: pathlib.Path) -> None:
    rows: dict[str, list[dict[str, object]]] = {table: [] for table in TABLES}
    for number, bounds in enumerate([(None, None), (None, 9000), (1000, 9000), (1000, None)]):
        made = factory.rows_of(factory.run_info(1), [factory.Video("a.mp4", num_clips=1)])
        for table, found in made.items():
            key = {"uri_key": number} if table == "videos" else {}
            rows[table] += [row | key | {"range_start_ms": bounds[0], "range_end_ms": bounds[1]} for row in found]
    for table, schema in TABLES.items():
        folder = tmp_path / table / "run=r1"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows[table], schema), folder / "part-00000.parquet")
    (text,) = re.findall(r"```sql\n(.+?)```", README, re.DOTALL)
    query = text.replace("labels/", f"{tmp_path}/").replace("'carving ice' AND c.top_score > 0.8", "'left'")
    assert duckdb.connect().execute(query).fetchall() == [("a.mp4", 0, "left")] * 4


def test_the_listing_for_deleted_videos_names_files_as_rows_do(tmp_path: pathlib.Path) -> None:
    videos, listed = tmp_path / "videos", tmp_path / "listed.jsonl"
    (tmp_path / "far").mkdir()
    videos.mkdir()
    (videos / "link").symlink_to(tmp_path / "far")
    (videos / "dangling.mp4").symlink_to("gone")
    for path in (
        videos / "a.mp4",
        tmp_path / "far" / "b.mp4",
        pathlib.Path(os.fsdecode(b"%s/c\xe9.mp4" % bytes(videos))),
    ):
        path.touch()
    (program,) = re.findall(r"python -c '(.+?)'", README, re.DOTALL)
    command = [sys.executable, "-c", textwrap.dedent(f"  {program}"), str(videos)]
    listed.write_bytes(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    names = [f"{videos}/a.mp4", f"{videos}/dangling.mp4", f"{videos}/link/b.mp4", f"file://{videos}/c%E9.mp4"]
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE current_videos AS SELECT unnest(?) AS video_uri", [[*names, f"{videos}/deleted.mp4"]]
    )
    (query,) = re.findall(r"duckdb labels\.db \"(.+?)\"", README)
    found = connection.execute(query.replace("listed.jsonl", str(listed))).fetchall()
    assert found == [(f"{videos}/deleted.mp4",)]


def test_the_table_of_decoding_costs_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks/results/decode.json").read_text("utf-8"))
    for row in measured:
        costs = row["cpu_seconds"]
        ours = costs["reelbeam"]
        others = [costs.get(method) for method in ("pyav full", "decord", "opencv", "ffmpeg")]
        cells = [f"{ours:.3f}", *("–" if cost is None else f"{cost:.3f} ({cost / ours:.2f}x)" for cost in others)]
        assert f"| {row['video']} | {' | '.join(cells)} |" in README
        assert row["identical"]


def test_the_shares_of_a0s_layers_are_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks/results/layers.json").read_text("utf-8"))
    layers, peak = measured["models"]["a0-base"], measured["peak_gflops"]
    total = sum(share["seconds"] for share in layers.values())
    text = README.replace("\n", " ").replace(" %", "%")
    for kind, words in (("pointwise", "{:.0%} goes into pointwise"), ("depthwise", "{:.0%} into depthwise")):
        shares = [share for name, share in layers.items() if name.startswith(kind)]
        seconds = sum(share["seconds"] for share in shares)
        assert words.format(seconds / total) in text
        assert f"at {sum(share['gigaops'] for share in shares) / seconds / peak:.0%}" in text
    assert f"of the {peak:.0f} GFLOP/s" in text


def test_both_engines_agree_on_every_model_as_the_readme_says() -> None:
    measured = json.loads((ROOT / "benchmarks/results/parity.json").read_text("utf-8"))
    assert {row["model"] for row in measured} == set(CATALOG) - {"demo"}
    assert all(row["same_top5"] for row in measured)
    (bound,) = re.findall(r"same five classes in the same order, logits within (\S+)\.", README)
    assert max(row["largest_logit_difference"] for row in measured) < float(bound)


def test_what_the_whole_program_costs_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks/results/label.json").read_text("utf-8"))
    text = README.replace("\n", " ")
    assert f"took {measured['label_over_parts']:.2f} times the CPU time" in text
    assert f"two cores were {measured['speedup']:.2f} times as fast as one" in text
