"""PrismRunner's flags: each mistake is one message that says what to do, and nothing is downloaded or changed."""

from __future__ import annotations

import pathlib
import socket
import zipfile
from collections.abc import Callable

import pytest
from apache_beam.options.pipeline_options import PortableOptions
from audit_events import audited

from reelbeam.pipeline.runners.prism import PrismRunner, _is_open_to_the_network
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms.errors import ConfigError

BUILD = "go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2"
HAS_FLAGS = "#!/bin/sh\n[ $1 = -help ] && echo ' -job_port -idle_shutdown_timeout' >&2 && exit 0\n"


@pytest.fixture
def script(tmp_path: pathlib.Path) -> Callable[[str], str]:
    """Writes an executable file, and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "prism"
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return write


def runner(location: str, *flags: str) -> PrismRunner:
    found = runner_of(["--runner=PrismRunner", f"--prism_location={location}", *flags])
    assert isinstance(found, PrismRunner)
    return found


@pytest.mark.parametrize("name", ["PrismRunner", "prism", "apache_beam.runners.portability.prism_runner.PrismRunner"])
def test_prism_is_known_by_each_of_its_names(name: str, script: Callable[[str], str]) -> None:
    found = runner_of([f"--runner={name}", f"--prism_location={script(HAS_FLAGS)}"])
    assert isinstance(found, PrismRunner) and found.is_local and found.videos_per_part == 0
    assert found.options.view_as(PortableOptions).environment_type == "LOOPBACK"


def test_without_a_program_nothing_is_downloaded() -> None:
    with pytest.raises(ConfigError, match=f"needs Prism: build it with `{BUILD}.*--prism_location FILE"):
        runner_of(["--runner=PrismRunner"])


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/apache/beam/releases/tag/v2.77.0",
        "https://github.com/apache/beam/releases/download/v2.77.0/apache_beam-v2.77.0-prism-linux-amd64.zip",
        "gs://bucket/prism",
    ],
)
def test_a_url_is_rejected_without_a_request(url: str) -> None:
    asked: list[str] = []
    message = f"a URL is not downloaded; pass a file, built with `{BUILD}"
    with audited(lambda event, _: asked.append(event)), pytest.raises(ConfigError, match=message):
        runner(url)
    asked = [event for event in asked if event.startswith(("socket.", "urllib.", "subprocess."))]
    assert asked == []


def test_a_file_that_is_absent_or_a_folder(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ConfigError, match=f"--prism_location {path} is not a file; .*{BUILD}"):
            runner(str(path))


def test_an_archive_is_not_unpacked(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "prism.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("prism", "")
    with pytest.raises(ConfigError, match="is an archive: unpack it"):
        runner(str(path))


def test_a_file_is_not_made_executable(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "my prism"
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ConfigError, match=f"is not executable: run `chmod \\+x '{path}'`"):
        runner(str(path))
    assert not path.stat().st_mode & 0o111


@pytest.mark.parametrize("text", ["\x7fELF of another machine", "#!/bin/sh\nexit 0\n", "#!/no/such/shell\n"])
def test_another_program_is_rejected(script: Callable[[str], str], text: str) -> None:
    with pytest.raises(ConfigError, match=f"is not Prism for this machine; build it with `{BUILD}"):
        runner(script(text))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--environment_type=DOCKER", "workers are threads of this process; pass --environment_type=LOOPBACK"),
        ("--job_endpoint=localhost:8073", "starts Prism itself; leave the flag out, or pass --runner=PortableRunner"),
        ("--job_endpoint=embed", "opens servers on every network interface"),
        ("--parallelism=2", "Prism executes up to eight bundles at once"),
    ],
)
def test_flags_that_contradict_the_runner(script: Callable[[str], str], flag: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        runner(script(HAS_FLAGS), flag)


@pytest.mark.parametrize("other", [[], ["--runner=FlinkRunner"], ["--runner=DataflowRunner"]])
def test_a_program_that_no_runner_would_use_is_an_error(other: list[str]) -> None:
    with pytest.raises(ConfigError, match="--prism_location /x is for Prism: give --runner=PrismRunner too"):
        runner_of([*other, "--prism_location=/x"])


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("exit 7", r"it ended with exit code 7\)"),
        ("kill -SEGV $$", r"it was ended by SIGSEGV\)"),
        ("echo 'panic: failed to listen' >&2; exit 2", r"it ended with exit code 2: panic: failed to listen\)"),
    ],
)
def test_a_program_that_does_not_start_fails_the_job(script: Callable[[str], str], end: str, how: str) -> None:
    found = runner(script(HAS_FLAGS + end))
    guard = found.watch(found.options, lambda: Stage("")).guard
    with pytest.raises(RuntimeError, match=rf"^Prism did not start \({how}"), guard:
        raise AssertionError("the job must not start")


def test_a_program_that_vanished_fails_the_job(script: Callable[[str], str]) -> None:
    found = runner(script(HAS_FLAGS))
    pathlib.Path(found.program).unlink()
    guard = found.watch(found.options, lambda: Stage("")).guard
    with pytest.raises(RuntimeError, match="could not be started: No such file"), guard:
        raise AssertionError("the job must not start")


@pytest.mark.skipif(len(socket.if_nameindex()) == 1, reason="this machine has no network")
@pytest.mark.parametrize(("address", "is_open"), [("127.0.0.1", False), ("0.0.0.0", True), ("::", True)])
def test_a_port_that_is_open_to_the_network_is_recognized(address: str, is_open: bool) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        assert _is_open_to_the_network(server.getsockname()[1]) == is_open
