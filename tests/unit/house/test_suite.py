"""The suite and its Makefile: the user's caches, the newest working Python, and the browser that some tests need."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import browsing
import data_generation as generate
import pytest

from reelbeam.transforms.models.registry import cache

ROOT = pathlib.Path(__file__).resolve().parents[3]
_FOLDERS = """
import json, tempfile
from reelbeam.transforms.models.registry import cache
found = [str(folder) for name in ("hub", "openvino", "compiled") for folder in cache.folders(name)]
print(json.dumps([tempfile.gettempdir(), str(cache.writable_folder("hub")), *found]))
"""


def test_tests_and_the_programs_that_they_start_use_caches_of_the_suite(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    suite = tmp_path_factory.getbasetemp().parent
    here = [pathlib.Path(tempfile.gettempdir()), cache.writable_folder("hub")]
    here += [folder for name in ("hub", "openvino", "compiled", "stored", "unpacked") for folder in cache.folders(name)]
    done = subprocess.run([sys.executable, "-c", _FOLDERS], capture_output=True, text=True, check=True)
    for folder in [*here, *map(pathlib.Path, json.loads(done.stdout))]:
        assert folder.is_relative_to(suite), folder


@pytest.mark.parametrize(
    ("working", "wanted"),
    [
        (["3.11", "3.12", "3.13"], "python3.13"),
        (["3.11", "3.12"], "python3.12"),
        (["3.11"], "python3.11"),
        ([], ""),
    ],
)
def test_make_takes_the_newest_python_that_works(working: list[str], wanted: str, tmp_path: pathlib.Path) -> None:
    """A name on the PATH proves nothing: pyenv has one for each version that is installed, in use or not."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    for version in ("3.11", "3.12", "3.13"):
        program = tmp_path / f"python{version}"
        program.write_text(f"#!/bin/sh\nexit {0 if version in working else 127}\n")
        program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    command = [make, "--dry-run", "--always-make", "demo", "VENV=no-such-folder"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert f"test -x no-such-folder/bin/python || {wanted} -m venv no-such-folder\n" in done.stdout
    named = subprocess.run([*command, "PYTHON=mine"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "|| mine -m venv no-such-folder\n" in named.stdout


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_browser_its_tests_are_skipped_and_fail_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(browsing, "AXE", tmp_path / "axe.min.js")
    with pytest.raises(outcome, match="make browser"), browsing.running_browser():
        pass


def test_the_lock_file_of_npm_fits_any_registry() -> None:
    folder = ROOT / "tests/browser"
    lock = (folder / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock and "://" not in lock
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    assert {f"node_modules/{name}": version for name, version in wanted.items()} == {
        name: entry["version"] for name, entry in json.loads(lock)["packages"].items() if name
    }


def test_an_av1_video_leaves_the_scheduling_of_the_process_as_it_was(tmp_path: pathlib.Path) -> None:
    before = os.sched_getscheduler(0)
    generate.make_video(tmp_path / "a.mkv", 2, codec="libsvtav1")
    assert os.sched_getscheduler(0) == before, "what the tests start later would inherit real-time scheduling"
