"""The docs are correct: generated blocks are fresh, links resolve, flags exist, queries run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import duckdb
import output_factory as factory
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reelbeam.pipeline import __version__
from reelbeam.pipeline.flags.beam_parser import beam_parser
from reelbeam.pipeline.flags.parser import flag_names
from reelbeam.pipeline.flags.spelling import respelled
from reelbeam.transforms.errors import error_classes
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.schemas import TABLES
from tools import docs_reference, make_docs

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("templates/*/*.md")]
}
PROGRAMS = {
    "--job-host", "--serve_http", "--net", "--map-root-user", "--version", "--help", "--quiet", "--write", "--batches",
    "--check", "--filename", "--for", "--timeout", "--follow", "--no-deps",
}  # fmt: skip
"""Flags of other programs, and of our scripts, that the docs name."""


def test_the_generated_blocks_are_fresh() -> None:
    assert [str(page) for page in make_docs.stale_pages()] == [], "run: python -m tools.make_docs"


def test_every_block_is_on_some_page() -> None:
    assert set(make_docs.BLOCKS) == {name for text in PAGES.values() for name in make_docs.block_names(text)}


def test_the_keys_of_a_runs_json_are_those_of_the_run_document() -> None:
    (table,) = re.findall(
        r"^The JSON of a run, .+?\n\n(.+?)\n\n", PAGES["docs/operations.md"], re.DOTALL | re.MULTILINE
    )
    named = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {field.name for field in dataclasses.fields(RunDocument)}


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 8 * 1024


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        place, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / page).parent / place if place else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


def anchors(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    rooms = "pipeline|transforms|reelbeam|tests|tools|benchmarks|docs|templates|examples"
    named = re.findall(rf"`((?:{rooms})/[\w/.-]+)`", PAGES[page])
    assert [name for name in named if not (ROOT / name).exists()] == []
    modules = re.findall(r"python\s-m\s((?:tools|benchmarks)\.\w+)", PAGES[page])
    assert [name for name in modules if not (ROOT / name.replace(".", "/")).with_suffix(".py").exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("templates/")])
def test_flags_that_are_named_exist(page: str) -> None:
    ours = set(itertools.chain.from_iterable(flag_names(make()) for make in docs_reference.PARSERS.values()))
    known = [*ours, *flag_names(beam_parser((), "reelbeam")), *PROGRAMS]
    named = re.findall(r"(?<![\w-])--[a-z][\w-]+", PAGES[page])
    assert set(respelled(named, known)) - set(known) == set()


def test_codes_to_retry_exist() -> None:
    named = {code for text in PAGES.values() for code in re.findall(r"--retry_failed ([a-z_]+)", text)}
    assert named and named <= {cls.code for cls in error_classes()}


def test_no_placeholder_is_left() -> None:
    assert [page for page, text in PAGES.items() if re.search(r"@[A-Z]+@|TODO|FIXME", text)] == []


def test_the_changelog_starts_with_this_version() -> None:
    (first,) = re.findall(r"^## (\S+)", PAGES["CHANGELOG.md"], re.M)[:1]
    assert first == __version__


def test_the_printed_table_shows_every_sample_with_its_label() -> None:
    shown = dict(re.findall(r"^ (\w+\.\w+) +(.+?) \d\.\d\d  ", README, re.M))
    samples = {path.name for path in (ROOT / "pipeline/demo/videos").iterdir()} - {"broken.mp4"}
    assert shown == {name: name.rsplit(".", 1)[0].replace("_", " ") for name in samples}


def test_the_queries_run(tmp_path: pathlib.Path) -> None:
    (text,) = re.findall(r"```sql\n(.+?)```", PAGES["docs/output.md"], re.DOTALL)
    for table, schema in TABLES.items():
        folder = tmp_path / table / "run=r1"
        folder.mkdir(parents=True)
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
    duckdb.connect().execute(text.replace("out/", f"{tmp_path}/"))


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
    (text,) = re.findall(r"```sql\n(.+?)```", PAGES["docs/output.md"], re.DOTALL)
    query = text.replace("out/", f"{tmp_path}/").replace("'carving ice' AND c.top_score > 0.8", "'left'")
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
    (program,) = re.findall(r"python -c '(.+?)'", PAGES["docs/output.md"], re.DOTALL)
    command = [sys.executable, "-c", program, str(videos)]
    listed.write_bytes(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    names = [f"{videos}/a.mp4", f"{videos}/dangling.mp4", f"{videos}/link/b.mp4", f"file://{videos}/c%E9.mp4"]
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE current_videos AS SELECT unnest(?) AS video_uri", [[*names, f"{videos}/deleted.mp4"]]
    )
    (query,) = re.findall(r"duckdb out\.db \"(.+?)\"", PAGES["docs/output.md"])
    found = connection.execute(query.replace("listed.jsonl", str(listed))).fetchall()
    assert found == [(f"{videos}/deleted.mp4",)]


def test_the_measured_figures_are_good_enough() -> None:
    def results(name: str) -> Any:
        return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))

    full, half = results("demo_accuracy"), results("demo_accuracy_half_rate")
    assert full["accuracy"] >= 0.97 and full["videos"] == half["videos"] == 300
    assert all(row["identical"] for row in results("decode"))
    assert all(row["largest_logit_difference"] < 1e-5 for row in results("parity"))
