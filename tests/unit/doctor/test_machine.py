"""Checks of the machine: CPU, container, limits, sandbox and shared memory, with the files of other machines."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import resource
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from reelbeam.pipeline.doctor import installation, machine, sandboxing
from reelbeam.pipeline.doctor.subject import Subject, System
from reelbeam.transforms.media.container import decoders

ROOT = pathlib.Path(__file__).resolve().parents[3]

OLD = "processor\t: 0\nmodel name\t: Old CPU\nflags\t\t: fpu sse2 avx\n\nprocessor\t: 1\nflags\t: avx2\n"
WITHOUT_AVX_512 = OLD.replace("sse2 avx", "sse2 avx avx2 fma")


def subject(folder: pathlib.Path, **changes: object) -> Subject:
    system = dataclasses.replace(System(), **changes)  # type: ignore[arg-type]
    return Subject(system=system)


@pytest.mark.parametrize(
    ("text", "status"),
    [(WITHOUT_AVX_512, "ok"), (OLD, "warning"), (OLD.replace(" avx", ""), "error"), ("", "unknown")],
)
def test_instructions_of_a_given_cpu(tmp_path: pathlib.Path, text: str, status: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    name, flags = machine.read_cpuinfo(tmp_path / "cpuinfo")
    found = machine.judge_instructions(name, flags, "x86_64")
    assert found.status == status
    assert "AVX-512" not in found.found and (not text or found.found.startswith("Old CPU"))
    assert (found.remedy == "") == (status == "ok")


def test_arm_has_features() -> None:
    assert machine.judge_instructions("N1", frozenset({"asimd"}), "aarch64") == machine.ok("N1: NEON")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "wanted", "status", "advice"),
    [
        (2.0, 1.0, "float32", "ok", "saves time"),
        (1.0, 1.0, "float32", "ok", "float32 is fast"),
        (1.0, 3.0, "bfloat16", "warning", "0.3 times"),
        (2.0, 1.0, "bfloat16", "ok", "2.0 times"),
        (2.0, float("inf"), "float32", "ok", "does not run"),
        (2.0, float("inf"), "bfloat16", "error", "does not run"),
    ],
)
def test_a_slow_precision_that_is_asked_for_is_a_warning(
    float32: float, bfloat16: float, wanted: str, status: str, advice: str
) -> None:
    found = machine.judge_speeds(float32, bfloat16, wanted)
    assert found.status == status and advice in found.found


def test_the_precision_is_measured() -> None:
    assert "times as fast" in machine.check_precision(Subject()).found


def test_a_cpu_without_avx_512_gives_the_recorded_logits(tmp_path: pathlib.Path) -> None:
    """OpenVINO's convolutions are limited to AVX2, in a cache of their own."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "REELBEAM_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "reelbeam", "doctor", "precision", "demo", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "float32 deviates by" in done.stdout


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1073741824\n"}, 1 << 30),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "536870912\n"}, 1 << 29),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_the_memory_limit_of_a_container(tmp_path: pathlib.Path, files: dict[str, str], limit: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.memory_limit(tmp_path) == limit
    found = machine.check_memory(subject(tmp_path, cgroups=tmp_path))
    assert found.status == ("ok" if limit is None else "warning")


def test_cores_of_a_container(tmp_path: pathlib.Path) -> None:
    assert machine.check_cores(subject(tmp_path, cgroups=tmp_path)).found.endswith("no quota")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    found = machine.check_cores(subject(tmp_path, cgroups=tmp_path))
    assert (found.status, found.found.partition(":")[0]) == ("warning", "1 thread")
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert machine.check_cores(subject(tmp_path, cgroups=tmp_path)).status == "ok"


def test_the_number_of_threads_is_that_of_the_run(tmp_path: pathlib.Path) -> None:
    (tmp_path / "memory.max").write_text("3221225472\n")
    few, many = (
        dataclasses.replace(subject(tmp_path, cgroups=tmp_path), beam_flags=("--direct_num_workers", number))
        for number in ("4", "64")
    )
    assert machine.check_memory(few).status == "ok"
    assert "for 64 threads" in machine.check_memory(many).expected


def test_few_open_files_are_a_warning() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        found = machine.check_limits(Subject())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found.status == "warning" and found.remedy.startswith("ulimit -n ")
    assert machine.check_limits(Subject()).status == "ok" or soft < 400


@pytest.mark.parametrize(
    ("walls", "allowed", "status"),
    [
        (("landlock", "seccomp"), False, "ok"),
        (("seccomp",), False, "ok"),
        (("landlock",), False, "warning"),
        ((), False, "error"),
        ((), True, "warning"),
    ],
)
def test_walls_of_a_decoder(walls: tuple[str, ...], allowed: bool, status: str) -> None:
    assert sandboxing.judge_walls(walls, allowed).status == status


def test_a_real_decoder_is_confined_here() -> None:
    assert sandboxing.check_sandbox(Subject()).status == "ok"


@pytest.mark.parametrize(
    ("forbidden", "flags", "code", "said"),
    [
        ("seccomp", [], 0, "confined by Landlock alone"),
        ("seccomp,landlock", [], 1, "not confined"),
        ("seccomp,landlock", ["--allow_unconfined_decoder"], 0, "not confined"),
        ("seccomp,landlock", ["--allow_unconfined_decoder", "--strict"], 1, "not confined"),
    ],
)
def test_a_system_that_forbids_confinement(forbidden: str, flags: list[str], code: int, said: str) -> None:
    command = [sys.executable, str(ROOT / "tests/support/forbidding.py"), forbidden, sys.executable, "-m", "reelbeam"]
    done = subprocess.run(
        [*command, "doctor", "sandbox", *flags], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, said in done.stdout) == (code, True)


def test_the_memory_for_clips_does_not_depend_on_the_size_of_dev_shm(tmp_path: pathlib.Path) -> None:
    found = sandboxing.check_shared_memory(subject(tmp_path, shared_memory=tmp_path / "absent"))
    assert found.status == "ok" and "is absent, and not needed" in found.found
    script = (
        "mount -t tmpfs -o size=4096 small /dev/shm && exec "
        f"{sys.executable} -m reelbeam doctor shared_memory decoder --json"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if not done.stdout:
        pytest.skip(f"no mount namespace: {done.stderr}")
    assert done.returncode == 0 and "/dev/shm has 0 MiB free" in done.stdout


def test_memory_that_the_system_refuses_is_an_error() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        found = sandboxing.check_shared_memory(Subject())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (found.status, found.found) == ("error", "File too large")


def test_missing_codecs_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.check_codecs(Subject()).status == "ok"
    monkeypatch.setitem(decoders.DECODERS, "H.264", ("no_such_decoder",))
    found = installation.check_codecs(Subject())
    assert found.status == "warning" and found.found.endswith("; not H.264")


def test_packages_that_do_not_fit_are_errors_with_a_command() -> None:
    assert installation.check_packages(Subject()).status == "ok"
    needed = [Requirement("numpy<1"), Requirement("no-such-package==1"), Requirement("pytest")]
    found = installation.compare_versions(needed)
    assert found.status == "error" and found.found.endswith("no-such-package is missing")
    assert found.remedy == "pip install 'numpy<1' 'no-such-package==1'"


def test_python_is_new_enough() -> None:
    assert installation.check_python(Subject()).status == "ok"
    assert os.uname().machine in installation.check_python(Subject()).found
