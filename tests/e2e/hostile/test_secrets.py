"""Secrets in addresses reach no row, no log, no message and no file."""

from __future__ import annotations

import http.server
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import threading

import pytest
from duckdb_queries import select

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "transforms/models/registry/demo"
CREDENTIALS = "s3://AKIDEXAMPLE:TOP/SECRET+KEY@bucket/x"


def run(*arguments: object, cache: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reelbeam", *map(str, arguments)]
    environment = os.environ | ({"REELBEAM_CACHE_DIR": str(cache)} if cache else {})
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def test_a_models_signed_url_is_written_nowhere(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("saved_model.pb", "variables"):
            archive.add(DEMO / name, name)

    class Archive(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data.getvalue())))
            self.end_headers()
            self.wfile.write(data.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/m?signature=TOPSECRET"
    preset = ["--num_frames=8", "--target_fps=4", "--resize=72", "--size=64", f"--labels={DEMO / 'labels.txt'}"]
    flags = ["--output", tmp_path / "out", "--model", url, *preset, "--verbose", "--summary_json"]
    done = run("label", "--model=demo", samples_dir / "growing.mp4", *flags, cache=tmp_path / "cache")
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Loaded http" in done.stderr
    assert "TOPSECRET" not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"TOPSECRET" not in path.read_bytes(), path


@pytest.mark.parametrize("flag", ["input", "--output", "--input_list", "--model", "--labels"])
def test_credentials_in_a_flag_are_refused_and_not_repeated(flag: str, tmp_path: pathlib.Path) -> None:
    given = {"input": str(tmp_path), "--output": str(tmp_path / "out")} | {flag: CREDENTIALS}
    flags = [word for name, value in given.items() for word in ((value,) if name == "input" else (name, value))]
    done = run("label", "--model=demo", *flags, "--verbose", "--summary_json")
    assert done.returncode == 2
    assert "s3://bucket/x was given with a user name or a password: remove it, and give" in done.stderr
    assert "AKIDEXAMPLE" not in done.stdout + done.stderr and "CRET" not in done.stdout + done.stderr


def test_credentials_in_a_list_are_a_row_without_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "list.txt").write_text(f"{CREDENTIALS}.mp4\n")
    done = run(
        *("label", "--model=demo", "--input_list", tmp_path / "list.txt", "--output", tmp_path / "out"),
        *("--max_failure_ratio=1", "--verbose"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CRET" not in done.stdout + done.stderr
    (row,) = select(f"SELECT video_uri, code, message FROM '{tmp_path}/out/errors/*/*.parquet'").fetchall()
    assert row[:2] == ("s3://bucket/x.mp4", "unsupported_uri")
    assert row[2].startswith("s3://bucket/x.mp4 was given with a user name or a password")
    for path in tmp_path.joinpath("out").rglob("*"):
        assert not path.is_file() or b"CRET" not in path.read_bytes(), path
