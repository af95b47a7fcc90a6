"""The cache of conversions with real processes: eight at once, one that dies, one without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from processes import wait_until

from reelbeam.transforms.models.registry.catalog import ModelSpec, find

ROOT = pathlib.Path(__file__).resolve().parents[3]

# A worker: blocks TensorFlow, loads a model, prints the seconds of CPU time, its memory, and a sum over its logits.
WORKER = """
import sys, time
sys.modules["tensorflow"] = None
import dataclasses, logging
import numpy as np
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.models.loading import load_engine

logging.basicConfig(level=logging.INFO)
name, handle = sys.argv[1:]
spec = dataclasses.replace(find(name), handle=handle)
engine = load_engine(spec, "openvino", 2)
ready = time.process_time()
preset = spec.preset
clip = np.random.default_rng(1).integers(0, 256, (1, preset.num_frames, preset.size, preset.size, 3), dtype=np.uint8)
logits = engine.classify(clip)
[resident] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(ready, int(resident) * 1024, logits.tobytes().hex())
"""


def start(spec: ModelSpec, cache: pathlib.Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, spec.name, spec.handle],
        env={**os.environ, "REELBEAM_CACHE_DIR": str(cache)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(workers: list[subprocess.Popen[str]]) -> tuple[list[list[str]], str]:
    """Returns what each printed, and all their logs."""
    ends = [worker.communicate(timeout=240) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers), ends
    return [out.split() for out, _ in ends], "".join(log for _, log in ends)


@pytest.fixture
def demo(tmp_path: pathlib.Path) -> ModelSpec:
    folder = shutil.copytree(ROOT / "transforms/models/registry/demo", tmp_path / "demo")
    return dataclasses.replace(find("demo"), handle=str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("before", ["empty", "damaged"])
def test_eight_processes_convert_once(before: str, demo: ModelSpec, tmp_path: pathlib.Path) -> None:
    cache = tmp_path / "cache"
    if before == "damaged":
        finish([start(demo, cache)])
        [entry] = (cache / "openvino").iterdir()
        (entry / "model.bin").write_bytes((entry / "model.bin").read_bytes()[:-100])
        shutil.rmtree(cache / "compiled")  # otherwise the conversion would not be read
    printed, logs = finish([start(demo, cache) for _ in range(8)])
    assert logs.count("Converting") == 1
    assert len({words[2] for words in printed}) == 1
    assert len(list((cache / "openvino").iterdir())) == 1


@pytest.mark.slow
def test_leftovers_of_a_killed_process_do_no_harm(demo: ModelSpec, tmp_path: pathlib.Path) -> None:
    cache = tmp_path / "cache"
    dying = start(demo, cache)
    wait_until(lambda: list(cache.glob("openvino/*.tmp")), 60, interval_seconds=0.001)
    os.kill(dying.pid, signal.SIGKILL)
    dying.communicate()
    (left,) = (cache / "openvino").iterdir()
    assert left.suffix == ".tmp"
    printed, logs = finish([start(demo, cache), start(demo, cache)])
    assert logs.count("Converting") == 1
    assert not left.exists()
    assert printed[0][2] == printed[1][2]


def test_a_warm_worker_is_ready_at_once_and_small(shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """CPU time, not the clock: other tests may be running."""
    with tarfile.open(shared_dir / "models" / "movinet_a0_base.tar.gz") as archive:
        archive.extractall(tmp_path / "a0", filter="data")
    spec = dataclasses.replace(find("a0-base"), handle=str(tmp_path / "a0"))
    finish([start(spec, tmp_path / "cache")])
    [[ready, resident, logits]], logs = finish([start(spec, tmp_path / "cache")])
    assert "Converting" not in logs
    assert float(ready) <= 2
    assert int(resident) <= 600e6
    assert np.isfinite(np.frombuffer(bytes.fromhex(logits), np.float32)).all()
