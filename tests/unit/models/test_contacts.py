"""Nothing contacts a host that the user did not name, and only the decoder is started as a process of its own."""

from __future__ import annotations

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

WATCH = """
import sys

WATCHED = {
    "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen",
}
seen = []

def watch(event, arguments):
    if event in WATCHED and "reelbeam.transforms.media.sandbox.child" not in str(arguments):
        seen.append(f"{event} {arguments}")

sys.addaudithook(watch)
"""
LOAD_AND_RUN = """
import numpy as np
from reelbeam.transforms.models import loading
from reelbeam.transforms.models.registry import catalog
spec = catalog.find("demo")
preset = spec.preset
loaded = loading.load_engine(spec, "openvino", 1)
loaded.classify(np.zeros((1, preset.num_frames, preset.size, preset.size, 3), np.uint8))
print(seen)
"""
LABEL = """
from reelbeam.pipeline.cli import main
assert main(sys.argv[1:]) == 0
print(seen)
"""


def last_line(program: str, cache: pathlib.Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCH + program, *arguments],
        env=os.environ | {"REELBEAM_CACHE_DIR": str(cache)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_loading_and_running_a_model_opens_no_socket_and_starts_no_process(tmp_path: pathlib.Path) -> None:
    assert last_line(LOAD_AND_RUN, tmp_path) == "[]"
    assert last_line(LOAD_AND_RUN, tmp_path) == "[]", "with a converted and compiled model in the cache"


@pytest.mark.slow
def test_a_local_run_starts_decoders_only(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    arguments = ["label", str(samples_dir / "growing.mp4"), "--model", "demo", "--output", str(tmp_path / "out")]
    assert last_line(LABEL, tmp_path / "cache", *arguments) == "[]"


def test_openvino_is_imported_in_one_place() -> None:
    """Its telemetry is off only where `import_openvino` imports it first."""
    importers = set()
    for path in [*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "openvino" for name in names):
                importers.add(path.name)
    assert importers == set(), "call reelbeam.transforms.models.engines.openvino_import.import_openvino instead"


def test_other_packages_keep_their_telemetry_of_openvino() -> None:
    program = """
import openvino_telemetry
from reelbeam.transforms.models.engines.openvino_import import import_openvino
import_openvino()
print(sys.modules["openvino_telemetry"] is openvino_telemetry, seen)
"""
    assert last_line(program, ROOT) == "True []"
