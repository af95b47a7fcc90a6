"""Ctrl-C during `reelbeam.label`: in a script without a main guard, in `python -c`, and in a notebook's kernel."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading

import data_generation as generate
import processes
import pytest

SUPPORT = pathlib.Path(__file__).resolve().parents[2] / "support"

SCRIPT = """
import json, os, sys, threading, time
import reelbeam
sys.path.insert(0, {support!r})
import processes

film, small = {film!r}, {small!r}
seen = {{"interrupted": 0}}
for _ in range(2):
    try:
        reelbeam.label(film, model="demo", clip_stride_seconds=0.1, progress=False)
    except KeyboardInterrupt:
        seen["interrupted"] += 1
    seen["threads"] = [each.name for each in threading.enumerate() if each.name.startswith("reelbeam")]
    seen["children"] = len(processes.children_of(os.getpid()))
seen["videos"] = reelbeam.label(small, model="demo", progress=False).videos.num_rows
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Labeling this takes minutes."""
    return generate.make_video(tmp_path_factory.mktemp("film") / "film.mp4", 9000, 5, 480, 360, gop=50)


def interrupt_while_decoding(program: subprocess.Popen[str], times: int) -> None:
    """Sends SIGINT to a program each time it decodes; each time other decoders than before."""
    seen: set[int] = set()
    for _ in range(times):
        processes.wait_until(lambda: program.poll() is not None or set(processes.decoding_of(program.pid)) - seen, 120)
        seen.update(processes.decoding_of(program.pid))
        program.send_signal(signal.SIGINT)
        processes.wait_until(lambda: not any(map(processes.is_running, seen)), 30)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["script", "-c", "stdin"])
def test_an_interrupted_call_leaves_nothing_and_the_next_one_works(
    way: str, film: pathlib.Path, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """No main guard is needed: decoders come from a fork server, which does not import the script."""
    code = SCRIPT.format(support=str(SUPPORT), film=str(film), small=str(samples_dir / "growing.mp4"))
    script = tmp_path / "script.py"
    script.write_text(code)
    arguments = {"script": [str(script)], "-c": ["-c", code], "stdin": ["-"]}[way]
    with (
        script.open() as source,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=pathlib.Path(__file__).resolve().parents[3],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        interrupt_while_decoding(program, 2)
        out, err = program.communicate(timeout=120)
    assert err == ""
    assert json.loads(out) == {"interrupted": 2, "threads": [], "children": 0, "videos": 1}


@pytest.mark.slow
def test_a_notebook_shows_the_result_and_its_kernel_survives_an_interruption(
    film: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is absent: pip install 'reelbeam[dev]'")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="ipykernel is absent: pip install 'reelbeam[dev]'")
    cells = [
        "import reelbeam, os, threading",
        f"reelbeam.label({str(samples_dir)!r}, model='demo')",
        f"""
        try:
            reelbeam.label({str(film)!r}, model="demo", clip_stride_seconds=0.1)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        "print([each.name for each in threading.enumerate() if each.name.startswith('reelbeam')])",
        f"print(reelbeam.label({str(samples_dir / 'growing.mp4')!r}, model='demo', progress=False))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    client = nbclient.NotebookClient(notebook, timeout=280, kernel_name="python3")
    with client.setup_kernel():
        pid = client.km.provisioner.pid
        for number, cell in enumerate(notebook.cells):
            if number == 2:
                threading.Thread(target=_interrupt_kernel, args=(pid,), daemon=True).start()
            client.execute_cell(cell, number)
        assert processes.fork_servers_of(pid) == []
    shown, stopped, threads, second = (cell.outputs for cell in notebook.cells[1:])
    (result,) = [output.data for output in shown if output.output_type == "execute_result"]
    assert result["text/html"].count("<tr>") == 11 and "LabelTables: 10 videos" in result["text/plain"]
    assert any("interrupted" in output.get("text", "") for output in stopped)
    assert [output.text for output in threads] == ["[]\n"]
    assert "1 video (1 ok" in "".join(output.get("text", "") for output in second)


def _interrupt_kernel(pid: int) -> None:
    processes.wait_until(lambda: processes.decoding_of(pid, "film.mp4"), 120)
    os.kill(pid, signal.SIGINT)
