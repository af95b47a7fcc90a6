"""`reelbeam label` with decoders that crash or are killed: one row each, and the run continues."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
from fractions import Fraction

import data_generation as generate
import processes
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main
from reelbeam.transforms.media.sandbox import sandboxed

ROOT = pathlib.Path(__file__).resolve().parents[3]


def rows(output: pathlib.Path) -> dict[str, tuple[str, str | None, int]]:
    """Status, error code and number of clips of each video, by file name; fails if a video has two rows."""
    found = select(f"SELECT video_uri, status, error_code, num_clips FROM '{output}/videos/*/*.parquet'").fetchall()
    table = {os.path.basename(uri): (status, code, clips) for uri, status, code, clips in found}
    assert len(table) == len(found)
    return table


def killer(victim: str, hit: threading.Event) -> None:
    """Kills the decoder that is busy with `victim`, once, in the middle of it."""
    while not hit.is_set():
        for pid in processes.decoding_of(os.getpid(), victim)[:1]:
            os.kill(pid, signal.SIGKILL)
            hit.set()
        hit.wait(0.01)


@pytest.mark.slow
def test_a_killed_decoder_gives_one_row(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    generate.make_video(folder / "victim.mp4", 2000, 25, 480, 360, options={"preset": "ultrafast"})
    for number in range(6):
        shutil.copy(samples_dir / "growing.mp4", folder / f"{number}.mp4")
    sandboxed.close_idle()
    hit = threading.Event()
    thread = threading.Thread(target=killer, args=("victim.mp4", hit), daemon=True)
    thread.start()
    assert (
        main(["label", "--model=demo", str(folder), "--output", str(tmp_path / "out"), "--direct_num_workers=2"]) == 0
    )
    assert hit.is_set()
    table = rows(tmp_path / "out")
    assert len(table) == 7
    status, code, num_clips = table.pop("victim.mp4")
    assert (status, code) in [("partial", "decoder_crashed"), ("failed", "decoder_crashed")]
    assert (num_clips > 0) == (status == "partial")
    assert {row[:2] for row in table.values()} == {("ok", None)}
    assert capfd.readouterr().err.count("\n") <= 1


@pytest.mark.slow
def test_bombs_and_playlists_give_one_row_each(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples_dir / "growing.mp4", folder / "good.mp4")
    generate.make_video(folder / "absurd.mkv", 2, pts=[0, 39_600], time_base=Fraction(1))
    grey, *_ = generate.solid_colour((90, 90, 90))
    large = {"preset": "ultrafast"}
    generate.make_video(folder / "large.mp4", 6, 5, 6000, 4500, draw=grey, options=large)
    generate.make_video(folder / "huge.mp4", 1, 25, 6400, 4400, draw=grey, options=large)
    (folder / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:2,\n{samples_dir}/growing.mp4\n#EXT-X-ENDLIST\n")
    flags = ["--max_pixels", str(6000 * 4500), "--decoder_memory_bytes", str(64 << 20), "--max_failure_ratio=1"]
    assert main(["label", "--model=demo", str(folder), "--output", str(tmp_path / "out"), *flags]) == 0
    assert {name: row[:2] for name, row in rows(tmp_path / "out").items()} == {
        "good.mp4": ("ok", None),
        "absurd.mkv": ("failed", "over_limit"),
        "large.mp4": ("failed", "decoder_out_of_memory"),
        "huge.mp4": ("failed", "over_limit"),
        "list.mp4": ("failed", "not_a_video"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_decoder_outlives_the_program(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    generate.make_video(tmp_path / "long.mp4", 2000, 25, 480, 360, options={"preset": "ultrafast"})
    inputs = [str(shutil.copy(tmp_path / "long.mp4", tmp_path / f"{i}.mp4")) for i in range(4)]
    command = processes.program("label", "--model=demo", *inputs, "--output", tmp_path / "out", "--summary_json")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # A process group of its own, as a terminal's job has: Ctrl-C goes to all of it.
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        processes.wait_until(lambda: processes.decoding_of(process.pid), 180)
        servers = processes.fork_servers_of(process.pid)
        if number == signal.SIGTERM:
            process.send_signal(number)  # a scheduler knows of one process
        else:
            os.killpg(process.pid, number)
        printed, messages = process.communicate(timeout=60)
    assert len(servers) == 1 and process.returncode == (-number if number == signal.SIGKILL else 130)
    # The server and its decoders are one process group.
    processes.wait_until(lambda: not processes.running_in_group(servers[0]), 5)
    assert not list(tmp_path.rglob("*.parquet"))
    if number != signal.SIGKILL:
        assert json.loads(printed.splitlines()[-1])["error"]["code"] == "interrupted"
        assert not list(temporary.iterdir()) and "Traceback" not in messages and "interrupted" in messages
