"""What `reelbeam report --against` compares: an output before and after a run, two runs, or two outputs."""

from __future__ import annotations

import pathlib

import output_factory as factory
import pytest
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.comparison.find_changes import find_changes
from reelbeam.transforms.output.comparison.selection import select_report_sides
from reelbeam.transforms.output.report_content.make_content import make_content
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output

FIRST, SECOND, LAST = (f"2026010{number}" for number in (1, 2, 3))


@pytest.fixture
def nights(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three incremental runs: of three videos, of a new and of a changed one, and one with nothing new."""
    factory.commit_run(tmp_path, 1, [Video("a"), Video("b"), Video("c")])
    changed = [Video("b", "right", version="mtime:2.0"), Video("d", "right")]
    factory.commit_run(tmp_path, 2, changed, skipped={"already_labeled": 2})
    factory.commit_run(tmp_path, 3, [], skipped={"already_labeled": 4})
    return tmp_path


def changes(output: pathlib.Path, against: str, run: str | None = None) -> Changes:
    opened = Output.read(str(output))
    rows = ShownRows.current(opened) if run is None else ShownRows.of_runs(opened, opened.find(run))
    return find_changes(*select_report_sides(opened, rows, against, run))


def page(output: pathlib.Path, found: Changes) -> str:
    content = make_content(ShownRows.current(Output.read(str(output))))
    return render_page(content, {}, found)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_against_a_run_is_what_changed_since(nights: pathlib.Path, is_compacted: bool) -> None:
    assert not is_compacted or main(["compact", str(nights)]) == 0
    found = changes(nights, FIRST)
    assert (found.before.videos, found.after.videos) == (3, 2)
    assert found.before.name.startswith(f"up to {FIRST}") and found.after.name.startswith(f"since {FIRST}")
    assert (found.new, found.new_examples, found.both, found.relabeled) == (1, ("d",), 1, 1)
    assert [each.video_uri for each in found.changed] == ["b"]
    assert (found.lost, found.lost_examples, found.before.skipped, found.after.skipped) == (None, (), 0, 0)
    shown = page(nights, found)
    assert "<dt>New</dt>" in shown and "<dt>Lost</dt>" not in shown and "Lost videos" not in shown


def test_nothing_was_labeled_since(nights: pathlib.Path) -> None:
    found = changes(nights, SECOND)
    assert (found.before.videos, found.after.videos, found.new, found.relabeled) == (4, 0, 0, 0)
    shown = page(nights, found)
    assert f"No video was labeled since {SECOND}" in shown and "<dt>Relabeled</dt>" not in shown


def test_the_rows_before_a_run_with_another_model_are_those_of_then(nights: pathlib.Path) -> None:
    factory.commit_run(nights, 4, [Video("a", "right")], model="m1")
    found = changes(nights, LAST)
    assert (found.before.videos, found.after.videos, found.relabeled) == (4, 1, 1)
    assert found.drift.verdict == "not comparable"


def test_against_a_run_for_a_report_of_one_run(nights: pathlib.Path) -> None:
    found = changes(nights, FIRST, SECOND)
    assert (found.before.videos, found.after.videos, found.new, found.lost) == (3, 2, 1, 2)
    assert (found.relabeled, found.after.skipped) == (1, 2)


def test_against_another_output(nights: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    factory.commit_run(other, 1, [Video("a"), Video("z")])
    found = changes(nights, str(other))
    assert (found.before.videos, found.after.videos, found.new, found.lost) == (2, 4, 3, 1)
    with pytest.raises(ConfigError, match="--against 1999 is neither a run of .* nor an output"):
        changes(nights, "1999")
    with pytest.raises(ConfigError, match="matches several runs"):
        changes(nights, "2026")
