"""Prism: Beam's portable runner for one machine. It distributes the job; the workers are threads of this process.

Beam's own start of Prism downloads the program if none is named, makes the given file executable, and replaces the
handler of Ctrl-C. So Prism is started here, for each job, and Beam connects to it as to a job server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, ClassVar

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, PrismRunnerOptions, SetupOptions

from reelbeam.pipeline.runners.runner import Runner, Watch
from reelbeam.pipeline.settings import bounds
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.pipeline.terminal.streams import printable, quiet_root_logger
from reelbeam.transforms.beam_compat import wait_for_loopback_workers
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.sandbox import sandboxed

_LOGGER = logging.getLogger(__name__)

NUM_BUNDLES = 8
"""The number of bundles that Prism executes at once, which no flag changes."""

_BUILD = f"go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.__version__}"
_FLAGS = ["--job_port=0", "--serve_http=false", "--log_kind=text", "--log_level=info"]
_IDLE = "--idle_shutdown_timeout=60s"
"""Ends a Prism without a job, for example after its launcher was killed."""

_ENDPOINT = re.compile(r'msg="Serving JobManagement" endpoint="?(localhost:\d+)')
_WARNING = (
    "Prism listens on every network interface without access control: anyone who can connect to port %s can run "
    "programs as this user; use a firewall, or a Prism built by tools/build_prism.sh, which listens on loopback"
)
_MAX_LOG_BYTES = 1 << 20
_PROBE_SECONDS = 20.0
_START_SECONDS = 60.0
_CLOSE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class PrismRunner(Runner):
    """Prism, as a child process for the time of each job. The counters of this process are those of the job.

    Attributes:
      options: Beam's options.
      program: the path of Prism's program.
    """

    options: PipelineOptions
    program: str
    is_local: ClassVar[bool] = True

    @classmethod
    def of(cls, beam_flags: Sequence[str]) -> PrismRunner:
        """Returns the runner for Beam's flags.

        Raises:
          ConfigError: no usable program is named, or the workers or the job server would be elsewhere.
        """
        options = PipelineOptions(list(beam_flags))
        portable = options.view_as(PortableOptions)
        if (portable.environment_type or "LOOPBACK") != "LOOPBACK":
            raise ConfigError(
                f"--environment_type={portable.environment_type}: with --runner=PrismRunner, the workers are threads "
                "of this process; pass --environment_type=LOOPBACK, or leave the flag out"
            )
        if portable.job_endpoint:
            raise ConfigError(
                f"--job_endpoint={portable.job_endpoint}: --runner=PrismRunner starts Prism itself; leave the flag "
                "out, or pass --runner=PortableRunner for a server that is running"
            )
        portable.environment_type = "LOOPBACK"
        options.view_as(SetupOptions).requirements_cache = "skip"  # the workers have this process's packages
        return cls(options, _usable(options.view_as(PrismRunnerOptions).prism_location))

    def check_machine(self, config: LabelingConfig) -> None:
        """Checks the address space, and that decoder processes can be confined."""
        bounds.check_address_space(NUM_BUNDLES, config.decoder_limits.memory_bytes)
        sandboxed.check_confinement(config.decoder_limits)

    def watch(self, options: PipelineOptions, tally: Callable[[], Stage]) -> Watch:
        """Starts Prism while the job runs, and watches the job by the counters of this process."""
        return Watch(tally, _serving(self.program, options.view_as(PortableOptions)))


def _usable(location: str | None) -> str:
    """Returns the path of the program that `--prism_location` names.

    Raises:
      ConfigError: it is not a file of this machine, or not Prism.
    """
    if not location:
        raise ConfigError(f"--runner=PrismRunner needs Prism: build it with `{_BUILD}`, and pass --prism_location FILE")
    if "://" in location:
        raise ConfigError(f"--prism_location {location}: a URL is not downloaded; pass a file, built with `{_BUILD}`")
    path = pathlib.Path(location).expanduser()
    name = f"--prism_location {path}"
    if not path.is_file():
        raise ConfigError(f"{name} is not a file; pass Prism's program, built with `{_BUILD}`")
    if zipfile.is_zipfile(path):
        raise ConfigError(f"{name} is an archive: unpack it, and pass the program in it")
    if not os.access(path, os.X_OK):
        raise ConfigError(f"{name} is not executable: run `chmod +x {shlex.quote(str(path))}`")
    if not _is_prism(path.absolute()):
        raise ConfigError(f"{name} is not Prism for this machine; build it with `{_BUILD}`")
    return str(path.absolute())


def _is_prism(path: pathlib.Path) -> bool:
    """Returns whether a program can be started here and has Prism's flags."""
    try:
        shown = subprocess.run(
            [path, "-help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    text = shown.stdout + shown.stderr
    return b"-job_port" in text and b"-idle_shutdown_timeout" in text


@contextlib.contextmanager
def _serving(program: str, portable: PortableOptions) -> Iterator[None]:
    """Runs Prism for a block, in which the options name it as the job server.

    Raises:
      RuntimeError: Prism did not start, or ended before the job. Exceptions of the block are passed on.
    """
    with tempfile.TemporaryFile() as log:
        process = _start(program, log)
        try:
            portable.job_endpoint = _endpoint(process, log)
            if _is_open_to_the_network(int(portable.job_endpoint.rpartition(":")[2])):
                _LOGGER.warning(_WARNING, portable.job_endpoint.rpartition(":")[2])
            with quiet_root_logger():
                yield
            wait_for_loopback_workers(_CLOSE_SECONDS)
        except (grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise RuntimeError(
                f"the connection to Prism broke ({_how_it_ended(process, log)}): run it again"
            ) from error
        finally:
            process.kill()
            process.wait()
            wait_for_loopback_workers(_CLOSE_SECONDS)  # while what they print is dropped
            for line in _last_lines(log):
                _LOGGER.info("Prism: %s", line)


def _start(program: str, log: BinaryIO) -> subprocess.Popen[bytes]:
    """Starts Prism in a process group of its own, so that Ctrl-C reaches this process alone."""
    try:
        return subprocess.Popen(
            [program, *_FLAGS, _IDLE], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as error:
        raise RuntimeError(f"Prism ({program}) could not be started: {error.strerror}") from error


def _endpoint(process: subprocess.Popen[bytes], log: BinaryIO) -> str:
    """Waits until Prism has chosen a port, and returns its address."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = _ENDPOINT.search("\n".join(_lines(log)))
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"Prism did not start ({_how_it_ended(process, log)})")


def _how_it_ended(process: subprocess.Popen[bytes], log: BinaryIO) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):  # a connection breaks shortly before its process has ended
        process.wait(timeout=1)
    code = process.returncode
    if code is None:
        return "it is still running"
    how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"
    panic = next((line for line in _last_lines(log) if line.startswith(("panic:", "fatal error:"))), None)
    return f"{how}: {printable(panic)}" if panic else how


def _lines(log: BinaryIO, start: int = 0) -> list[str]:
    # Prism writes at the file's offset, which `read` would move.
    return os.pread(log.fileno(), _MAX_LOG_BYTES, start).decode(errors="replace").splitlines()


def _last_lines(log: BinaryIO) -> list[str]:
    """Returns the end of the log, where Prism writes why it ended."""
    return _lines(log, max(0, os.fstat(log.fileno()).st_size - _MAX_LOG_BYTES))


def _is_open_to_the_network(port: int) -> bool:
    """Returns whether a port of this machine accepts connections from others, as far as Linux shows."""
    if len(socket.if_nameindex()) == 1:
        return False  # loopback is the only interface
    listed = [path.read_text() for path in map(pathlib.Path, ("/proc/net/tcp", "/proc/net/tcp6")) if path.exists()]
    return any(re.search(rf"^ *\d+: 0+:{port:04X} ", text, re.MULTILINE) for text in listed)
