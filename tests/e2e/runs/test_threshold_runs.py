"""`label --thresholds` gives the rows that `sql --thresholds` derives from an unfiltered output, with a real model."""

from __future__ import annotations

import json
import math
import pathlib
import tarfile
from typing import Any

import duckdb
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # real models

FLAGS = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172 --top_k=600".split()
CLIPS = {
    "fencing_sport_1.avi": "fencing (sport)",
    "using_segway_1.mp4": "using segway",
    "juggling_balls_1.mp4": "juggling balls",
    "shot_put_1.avi": "shot put",
}
DENIED, JUST_BELOW, JUST_ENOUGH = "juggling balls", "using segway", "fencing (sport)"

VIDEOS = """
    SELECT video_uri, l.label, l.score, l.max_score FROM (SELECT video_uri, unnest(labels) AS l FROM current_videos)
    ORDER BY 1, {0} DESC, 2
"""
PASSED = "SELECT video_uri, label, score, max_score FROM passed_labels ORDER BY 1, {0} DESC, 2"
ANSWERS = """
    SELECT video_uri, CASE answer WHEN 'recognized' THEN label WHEN 'failed' THEN NULL ELSE answer END, score
    FROM video_answers ORDER BY 1
"""
TOPS = "SELECT video_uri, top_label, top_score FROM current_videos ORDER BY 1"
CLIP_LABELS = """
    SELECT video_uri, start_ms, l.label, l.score FROM (SELECT *, unnest(labels) AS l FROM current_clips) AS each_label
    LEFT JOIN label_thresholds AS own ON own.label = l.label
    CROSS JOIN (SELECT threshold FROM label_thresholds WHERE label IS NULL) AS others
    WHERE l.score::DOUBLE >= coalesce(own.threshold, others.threshold) AND coalesce(own.threshold, others.threshold) < 1
    ORDER BY ALL
"""
ALL_CLIP_LABELS = """
    SELECT video_uri, start_ms, l.label, l.score FROM (SELECT *, unnest(labels) AS l FROM current_clips) AS each_label
    ORDER BY ALL
"""


@pytest.fixture(scope="module")
def model(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    archive = shared_dir / "models/movinet_a0_base_k600.tar.gz"
    if not archive.is_file() or not (shared_dir / "clips/truth.csv").is_file():
        pytest.skip(f"{shared_dir} has no model, or no clips of known classes")
    folder = tmp_path_factory.mktemp("model")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


class Runs:
    """Labels the clips with the model."""

    def __init__(self, clips: pathlib.Path, model: pathlib.Path, folder: pathlib.Path) -> None:
        self._command = ["label", *(str(clips / name) for name in CLIPS), f"--model={model}", *FLAGS]
        self._folder = folder

    def label(self, name: str, *flags: str) -> pathlib.Path:
        """Returns the output of a run."""
        output = self._folder / name
        assert main([*self._command, f"--output={output}", *flags]) == 0
        return output


@pytest.fixture(scope="module")
def runs(model: pathlib.Path, shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shared_dir / "clips", model, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def everything(runs: Runs) -> pathlib.Path:
    """The unfiltered output."""
    return runs.label("everything")


def views(
    output: pathlib.Path, thresholds: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> duckdb.DuckDBPyConnection:
    """Returns a database with the views of an output."""
    capsys.readouterr()
    assert main(["sql", str(output), f"--thresholds={thresholds}"]) == 0
    connection = duckdb.connect()
    connection.execute(capsys.readouterr().out)
    return connection


def write_file(everything: pathlib.Path, ranking: str, to: pathlib.Path) -> pathlib.Path:
    """Writes thresholds that one label reaches exactly, and another one misses by one bit. A third never passes."""
    rows = select(f"SELECT labels FROM '{everything}/videos/*/*.parquet'").fetchall()
    column = "score" if ranking == "mean" else "max_score"
    best = {labels[0]["label"]: labels[0][column] for (labels,) in rows}
    own = {DENIED: 1, JUST_ENOUGH: best[JUST_ENOUGH], JUST_BELOW: math.nextafter(best[JUST_BELOW], 1)}
    to.write_text(json.dumps({"format_version": 1, "default": 0.3, "labels": own, "ranking": ranking}), "utf-8")
    return to


@pytest.mark.parametrize("ranking", ["mean", "max"])
def test_label_keeps_the_rows_that_sql_derives(
    runs: Runs,
    everything: pathlib.Path,
    shared_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    ranking: str,
) -> None:
    thresholds = write_file(everything, ranking, tmp_path / "thresholds.json")
    output = runs.label(ranking, f"--thresholds={thresholds}")
    derived, kept = views(everything, thresholds, capsys), views(output, thresholds, capsys)
    column = "score" if ranking == "mean" else "max_score"

    def same(query: str, of_kept: str | None = None) -> list[Any]:
        found = derived.execute(query).fetchall()
        assert kept.execute(of_kept or query).fetchall() == found
        return found

    same(PASSED.format(column), VIDEOS.format(f"l.{column}"))
    same("SELECT * FROM label_timeline ORDER BY ALL")
    same(CLIP_LABELS, ALL_CLIP_LABELS)
    answers = same(ANSWERS, TOPS)
    found = {uri.rsplit("/", 1)[-1]: label for uri, label, _ in answers}
    assert found == CLIPS | {
        name: "nothing recognized" for name, label in CLIPS.items() if label in (DENIED, JUST_BELOW)
    }
    same("SELECT video_uri, answer, label, score FROM video_answers ORDER BY ALL")
    assert kept.execute("SELECT DISTINCT status FROM current_videos").fetchall() == [("ok",)]

    capsys.readouterr()
    truth = shared_dir / "clips/truth.csv"
    assert main(["evaluate", str(output), f"--truth={truth}", "--json", f"--ranking={ranking}"]) == 0
    videos = json.loads(capsys.readouterr().out)["videos"]
    assert (videos["counts"]["nothing_recognized"], videos["counts"]["failed"]) == (2, 0)
    assert (videos["accuracy"]["top"][0]["with_failed"]["hits"], videos["counts"]["items"]) == (2, 4)
    wrong = {(each["truth"], each["said"], each["answer"]) for each in videos["confusions"]}
    assert wrong == {(label, None, "nothing recognized") for label in (DENIED, JUST_BELOW)}
    assert not [each for each in videos["per_class"]["classes"] if each["label"] == "nothing recognized"]
    assert main(["evaluate", str(everything), f"--truth={truth}", "--json", f"--ranking={ranking}"]) == 0
    videos = json.loads(capsys.readouterr().out)["videos"]
    assert (videos["counts"]["nothing_recognized"], videos["accuracy"]["top"][0]["with_failed"]["hits"]) == (0, 4)
