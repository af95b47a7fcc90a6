"""Prism for tests: its program, built with Go once, and a pipeline that runs on it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineResult

from reelbeam.pipeline.runners.loopback import local_server
from reelbeam.pipeline.runners.proxies import keep_loopback_direct
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms.beam_compat import keep_worker_pool_local, staging_below

_SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "build_prism.sh"
_BUILD_SECONDS = 1500


def program() -> str:
    """Returns the path of Prism, which is built now, once, into the user's cache (a minute on an idle machine).

    Skips the test if it cannot be built; in CI, the test fails instead unless Go is absent.
    """
    try:
        done = subprocess.run([_SCRIPT], capture_output=True, text=True, timeout=_BUILD_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        reason = f"Prism could not be built: {error.stderr.strip()}"
    except subprocess.TimeoutExpired as error:
        reason = f"Prism could not be built: {error}"
    else:
        return done.stdout.splitlines()[-1]
    if os.environ.get("CI") == "true" and shutil.which("go"):
        pytest.fail(reason)
    pytest.skip(reason)


class PrismPipeline(beam.Pipeline):
    """Runs at the end of the with block, on Prism, with workers in this process; with further flags of Beam."""

    def __init__(self, prism: str, *flags: str) -> None:
        self._prism = runner_of(["--runner=PrismRunner", f"--prism_location={prism}", *flags])
        super().__init__(options=self._prism.options)

    def run(self, test_runner_api: str | bool = "AUTO") -> PipelineResult:
        """Runs the pipeline to its end, and fetches its counters before Prism ends."""
        keep_loopback_direct()
        keep_worker_pool_local(local_server)
        with self._prism.watch(self.options, lambda: Stage("")).guard:
            with staging_below(self.local_tempdir):
                result = super().run(test_runner_api)
            result.wait_until_finish()
            result.metrics()
        return result
