"""`reelbeam label` with Stream models: a small one whose answers are exact, and the official A0-Stream."""

from __future__ import annotations

import http.server
import io
import json
import pathlib
import tarfile
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import data_generation as generate
import numpy as np
import pandas as pd
import pytest
from duckdb_queries import select
from tiny_stream_model import tiny_model

from reelbeam.pipeline.cli import main
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling import segments
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.video_plan import plan_parts
from reelbeam.transforms.media.sandbox import sandboxed

PRESET = "--num_frames=25 --target_fps=5 --resize=8 --size=6".split()
OFFICIAL = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172".split()


@pytest.fixture(autouse=True, scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBEAM_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "engine_cache"))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags that name the small model."""
    root = tmp_path_factory.mktemp("tiny")
    tiny_model(root / "model")
    (root / "labels.txt").write_text("a\nb\nc\n")
    return [f"--model={root}/model", f"--labels={root}/labels.txt", *PRESET]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Six minutes, with key frames near enough for several segments."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return generate.make_video(path, 2 * 363, 2, 64, 48, gop=19, draw=generate.draw_moving)


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", "--model=demo", *map(str, flags), f"--output={output}"])


def clips(output: pathlib.Path) -> list[dict[str, Any]]:
    query = f"SELECT * EXCLUDE (run, run_id) FROM '{output}/clips/*/*.parquet' ORDER BY video_uri, clip_index"
    return select(query).to_arrow_table().to_pylist()


def summary(output: pathlib.Path) -> dict[str, Any]:
    (path,) = (output / "runs").glob("*.json")
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_film_in_segments_gives_the_rows_of_the_whole(
    tiny: list[str], film: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = sandboxed.probe(str(film), DEFAULT_LIMITS)
    assert len(plan_parts(media, ClipSampling(25, Fraction(5), kind="stream"))) >= 3
    assert label(tmp_path / "parts", film, *tiny, "--save_logits") == 0
    monkeypatch.setattr(segments, "_MIN_SECONDS", 10_000)
    assert label(tmp_path / "whole", film, *tiny, "--save_logits") == 0
    whole, parts = (clips(tmp_path / name) for name in ("whole", "parts"))
    assert len(whole) == 73 and {row["num_frames"] for row in whole} == {25}
    assert parts == whole


@pytest.mark.slow
def test_a_film_in_segments_gives_the_carried_rows_of_the_whole_if_the_warm_up_is_all_before_them(
    tiny: list[str], film: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = (film, *tiny, "--carry_state", "--save_logits")
    assert label(tmp_path / "parts", *carried, "--warm_up_seconds=1000") == 0
    assert label(tmp_path / "again", *carried) == 0
    monkeypatch.setattr(segments, "_MIN_SECONDS", 10_000)
    assert label(tmp_path / "whole", *carried) == 0
    whole, parts, again = (clips(tmp_path / name) for name in ("whole", "parts", "again"))
    assert len(whole) == 73 and [row["num_frames"] for row in whole] == [25] * 72 + [15]
    assert parts == whole
    # With the default warm-up the first segment is the same, and the others forget what was before.
    differing = [row["clip_index"] for row, other in zip(again, whole, strict=True) if row != other]
    assert len(differing) >= 40 and min(differing) >= 12
    prints = [summary(tmp_path / name)["sampling_fingerprint"] for name in ("whole", "parts", "again")]
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "seen"),
    [
        ((), [(0, 25), (25, 50), (35, 60)]),
        (("--tail_policy=keep",), [(0, 25), (25, 50), (50, 60)]),
        (("--carry_state",), [(0, 25), (0, 50), (0, 60)]),
    ],
    ids=["default", "keep", "carried"],
)
def test_answers_are_those_of_the_clip_or_of_everything_seen_so_far(
    flags: tuple[str, ...], seen: list[tuple[int, int]], tiny: list[str], tmp_path: pathlib.Path
) -> None:
    """The small model's answer, by hand: mean colour so far, and the colour two frames ago times the frames so far."""
    grey = [40 * (k % 6) + 20 for k in range(60)]
    path = generate.make_video(
        tmp_path / "grey.mkv", 60, 5, 16, 16, codec="ffv1", draw=lambda k, w, h: np.full((h, w, 3), grey[k], np.uint8)
    )
    assert label(tmp_path / "out", path, *tiny, "--save_logits", *flags) == 0
    rows = clips(tmp_path / "out")
    assert [(row["end_ms"], row["num_frames"]) for row in rows] == [
        (5000, 25),
        (10000, 25),
        (12000, 10 if flags else 25),
    ]
    for row, (first, end) in zip(rows, seen, strict=True):
        wanted = (np.mean(grey[first:end]) + grey[end - 3] * (end - first)) / 255 * np.array([1, 2, 3])
        np.testing.assert_allclose(row["logits"], wanted, rtol=0.02)  # float16, and the way through YUV


@pytest.mark.slow
def test_both_engines_and_an_export_give_the_same_rows(
    tiny: list[str], samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert main(["models", "export", tiny[0].split("=")[1], "--to", str(tmp_path / "exported"), *tiny[1:]]) == 0
    runs = {
        "openvino": [*tiny],
        "tensorflow": [*tiny, "--engine=tensorflow"],
        "export": [f"--model={tmp_path}/exported"],
    }
    tables = {}
    for name, flags in runs.items():
        assert label(tmp_path / name, samples_dir / "moving_left.mp4", samples_dir / "growing.mp4", *flags) == 0
        tables[name] = clips(tmp_path / name)
        assert summary(tmp_path / name)["configuration"]["model_kind"] == "stream"
    assert tables["export"] == tables["openvino"]
    for ours, theirs in zip(tables["openvino"], tables["tensorflow"], strict=True):
        assert ours["top_label"] == theirs["top_label"]
        assert ours["log_sum_exp"] == pytest.approx(theirs["log_sum_exp"], rel=1e-5)


class _Hub(http.server.BaseHTTPRequestHandler):
    """Serves one model as TensorFlow Hub does."""

    archive = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-tar")
        self.send_header("Content-Length", str(len(self.archive)))
        self.end_headers()
        self.wfile.write(self.archive)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tiny: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The small model's URL."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(tiny[0].split("=")[1], arcname=".")
    handler = type("Handler", (_Hub,), {"archive": buffer.getvalue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mine/1"
        server.shutdown()


def test_what_a_url_brings_is_known_once_it_was_fetched(
    served: str,
    tiny: list[str],
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    video, flags = samples_dir / "growing.mp4", [f"--model={served}", *tiny[1:]]
    assert label(tmp_path / "out", video, *flags, "--carry_state", "--warm_up_seconds=3") == 0
    configuration = summary(tmp_path / "out")["configuration"]
    assert (configuration["model_kind"], configuration["warm_up_seconds"]) == ("stream", "3")
    assert label(tmp_path / "no", video, *flags, "--tail_policy=repeat_last") == 2
    assert "must be one of shift_back, keep, drop for a Stream model" in capsys.readouterr().err
    assert main(["models", "export", served, "--to", str(tmp_path / "exported"), *tiny[1:]]) == 0
    assert (tmp_path / "exported/init.xml").exists()


def test_a_model_without_such_a_layer_has_no_embeddings(
    tiny: list[str], samples_dir: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for engine in ("openvino", "tensorflow"):
        flags = ["--save_embeddings", f"--engine={engine}"]
        assert label(tmp_path / "out", samples_dir / "growing.mp4", *tiny, *flags) == 2
        assert "has no dense layer before its logits" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_logits_and_embeddings_are_columns_that_readers_know(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    video = samples_dir / "moving_left.mp4"
    assert label(tmp_path / "out", video, "--save_logits", "--save_embeddings") == 0
    path = f"{tmp_path}/out/clips/*/*.parquet"
    rows = select(f"SELECT labels, log_sum_exp, logits, embedding FROM '{path}'").fetchall()
    assert len(rows) == 3
    for labels, log_sum_exp, logits, embedding in rows:
        assert (len(logits), len(embedding)) == (9, 1024)
        best = labels[0]
        assert np.log(best["score"]) + log_sum_exp == pytest.approx(logits[best["class_id"]], abs=0.02)
        assert max(logits) == logits[best["class_id"]]
    (part,) = (tmp_path / "out/clips").rglob("*.parquet")
    frame = pd.read_parquet(part)
    assert (frame["logits"][0].dtype, frame["embedding"][0].shape) == (np.float16, (1024,))
    assert label(tmp_path / "plain", video) == 0
    assert not {"logits", "embedding"} & set(clips(tmp_path / "plain")[0])


@pytest.fixture(scope="module")
def a0(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags that name the official A0-Stream."""
    folder = tmp_path_factory.mktemp("a0_stream")
    with tarfile.open(shared_dir / "models/movinet_a0_stream.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return [f"--model={folder}", *OFFICIAL]


@pytest.mark.slow
def test_the_official_a0_stream_labels_real_videos(
    a0: list[str], shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    media = shared_dir / "media"
    assert label(tmp_path, media, *a0, "--save_embeddings") == 0
    rows = select(f"SELECT * FROM '{tmp_path}/videos/*/*.parquet' ORDER BY video_uri").to_arrow_table().to_pylist()
    assert [row["status"] for row in rows] == ["ok"] * 8
    counts = {pathlib.Path(row["video_uri"]).name: row["num_clips"] for row in rows}
    assert (counts["long_1080p.mp4"], counts["nasa_13013.mp4"], counts["hevc.mp4"]) == (13, 2, 1)
    shown = {(pathlib.Path(row["video_uri"]).name, row["clip_index"]): row for row in clips(tmp_path)}
    assert len(shown) == 21
    # The pictures end at 122.6 s.
    assert [shown["long_1080p.mp4", 12][name] for name in ("start_ms", "num_frames")] == [112_600, 50]
    assert shown["hevc.mp4", 0]["num_frames"] == 5
    assert all(len(row["embedding"]) == 2048 for row in shown.values())


@pytest.mark.slow
def test_both_engines_name_the_same_labels_for_a_real_video(
    a0: list[str], shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    video = shared_dir / "media/kinetics_style_256p.mp4"
    for engine in ("openvino", "tensorflow"):
        assert label(tmp_path / engine, video, *a0, f"--engine={engine}", "--save_logits") == 0
    (ours,), (theirs,) = clips(tmp_path / "openvino"), clips(tmp_path / "tensorflow")
    assert [x["class_id"] for x in ours["labels"]] == [x["class_id"] for x in theirs["labels"]]
    np.testing.assert_allclose(ours["logits"], theirs["logits"], atol=2e-3, rtol=0)
