"""What a confined process can still do: real system calls from inside one, and what /proc shows of it."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import platform
import resource
import socket
import subprocess
import sys

import pytest

from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sandbox import landlock, sandboxed

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "support" / "confined_calls.py"

GOOD = {"pread64", "fcntl F_DUPFD_CLOEXEC", "sendto", "recvfrom", "getrandom", "mmap"}


def attempted(
    folder: pathlib.Path, walls: str, *names: str, machine: str = platform.machine()
) -> tuple[list[str], dict[str, str]]:
    """Returns the walls that are in force, and how each attempt ended."""
    folder.joinpath("read").write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = [sys.executable, str(SCRIPT), walls, machine, str(folder), port, *names]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    report = json.loads(done.stdout)
    return report.pop("walls"), report


needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are tried by their x86-64 numbers")


@needs_x86_64
@pytest.mark.parametrize("walls", ["seccomp", "landlock,seccomp"])
def test_calls_that_decoding_has_no_use_for_are_refused(tmp_path: pathlib.Path, walls: str) -> None:
    in_force, found = attempted(tmp_path, walls)
    assert ",".join(in_force) == walls
    assert {name for name, end in found.items() if end == "done"} == GOOD
    refused = {name: end for name, end in found.items() if end not in ("done", "ENOSYS")}
    bad_arguments = ["sendto elsewhere", "sendto MSG_OOB", "mprotect PROT_EXEC", "mmap PROT_EXEC"]
    assert refused == dict.fromkeys(bad_arguments, "EPERM")
    assert os.listdir(tmp_path) == ["read"]


@needs_x86_64
def test_landlock_alone_refuses_files_and_tcp(tmp_path: pathlib.Path) -> None:
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)
    if version < 4:
        pytest.skip(f"Landlock {version} does not know TCP")
    in_force, found = attempted(
        tmp_path, "landlock,seccomp", "open", "open to write", "connect", "bind", "pread64", machine="riscv64"
    )
    assert in_force == ["landlock"]
    assert found == {
        **dict.fromkeys(["open", "open to write", "connect", "bind"], "EACCES"),
        "pread64": "done",
    }


@needs_x86_64
def test_without_a_wall_it_says_so(tmp_path: pathlib.Path) -> None:
    assert attempted(tmp_path, "", "pread64") == ([], {"pread64": "done"})
    assert attempted(tmp_path, "seccomp", "pread64", machine="riscv64") == ([], {"pread64": "done"})


def test_each_version_of_landlock_is_asked_for_all_that_it_can_forbid() -> None:
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF, 6: 0xFFFF, 99: 0xFFFF}
    for version, rights in files.items():
        words = memoryview(landlock.ruleset(version)).cast("Q").tolist()
        assert words == [rights, *[3] * (version >= 4), *[3] * (version >= 6)]


def test_a_decoder_process_holds_nothing_but_its_own() -> None:
    with sandboxed.acquire(DEFAULT_LIMITS.memory_bytes, cpu_seconds=17) as process:
        folder = pathlib.Path(f"/proc/{process.pid}")
        status = dict(line.split(":\t", 1) for line in folder.joinpath("status").read_text().splitlines())
        opened = sorted(os.readlink(path) for path in folder.joinpath("fd").iterdir())
        limits = {which: resource.prlimit(process.pid, which) for which in range(8)}
        assert folder.joinpath("oom_score_adj").read_text() == "1000\n"
        assert pathlib.Path(f"/proc/{process.server.pid}/oom_score_adj").read_text() != "1000\n"
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert os.getuid() != 0 or int(status["CapBnd"], 16) == 0
    assert [path.split(":")[0] for path in opened] == [
        *["/dev/null"] * 3,
        "/memfd",
        f"/proc/{process.pid}/status",
        "socket",
    ]
    assert limits[resource.RLIMIT_CPU] == (17, 22)
    for which in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        assert limits[which] == (0, 0)
    assert limits[resource.RLIMIT_NOFILE] == (32, 32)
