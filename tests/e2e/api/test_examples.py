"""The examples run as their texts say, with the bundled samples and the demo model."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from duckdb_queries import select

pytestmark = pytest.mark.slow
EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"


def run(*arguments: str) -> str:
    """Runs an example with Beam's local runner, which is not looked for on the network, and returns what it prints."""
    command = [sys.executable, *arguments, "--runner=FnApiRunner"]
    done = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_labels_are_joined_with_a_table(tmp_path: pathlib.Path) -> None:
    run("examples/join_with_table.py", "--output", str(tmp_path))
    rows = select(f'SELECT "user", status, label FROM \'{tmp_path}/uploads*.parquet\' ORDER BY "user"').fetchall()
    assert rows == [("ada", "ok", "growing"), ("edsger", "failed", ""), ("grace", "ok", "moving left")]
    (error,) = select(f"SELECT code FROM '{tmp_path}/errors*.parquet'").fetchall()
    assert error == ("not_a_video",)


def test_a_streaming_pipeline_labels_each_upload(samples_dir: pathlib.Path) -> None:
    videos = [str(samples_dir / name) for name in ("growing.mp4", "broken.mp4", "shrinking.mp4")]
    rows = [json.loads(line) for line in run("examples/streaming.py", "--videos", *videos).splitlines()]
    assert sorted((row["video_uri"], row["top_label"]) for row in rows) == [
        (videos[1], None),
        (videos[0], "growing"),
        (videos[2], "shrinking"),
    ]


def test_beam_yaml_runs_a_pipeline_with_labels(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("apache_beam.yaml.main", reason="Beam YAML is absent: pip install 'apache-beam[yaml]'")
    text = (EXAMPLES / "label_videos.yaml").read_text("utf-8")
    (tmp_path / "labels.yaml").write_text(text.replace("/tmp/labels", str(tmp_path)), "utf-8")
    run("-m", "apache_beam.yaml.main", f"--yaml_pipeline_file={tmp_path}/labels.yaml")
    query = f"SELECT top_label, metadata[1].value FROM read_parquet('{tmp_path}/videos*') ORDER BY ALL"
    assert select(query).fetchall() == [("growing", "ada"), (None, "edsger")]
    assert select(f"SELECT code FROM read_parquet('{tmp_path}/errors*')").fetchall() == [("not_a_video",)]


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is absent: pip install 'reelbeam[dev]'")
    pytest.importorskip("ipykernel", reason="ipykernel is absent: pip install 'reelbeam[dev]'")
    import nbformat

    monkeypatch.setenv("IPYTHONDIR", os.environ.get("TMPDIR", "/tmp"))
    notebook = nbformat.read(EXAMPLES / "labels.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=240).execute()
    *_, nearest = (output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output)
    assert "growing.mp4" in nearest["text/plain"]  # the other clip of the same video
    pictures = [data for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in (data := o["data"])]
    assert len(pictures) == 1


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads((EXAMPLES / "labels.ipynb").read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
