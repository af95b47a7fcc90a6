"""Beam's SQL for Python: a Java service, whose jars Maven fetches once into a cache folder (200 MB)."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import apache_beam as beam
import processes
from apache_beam.transforms.external import JavaExternalTransform

_POM = pathlib.Path(__file__).resolve().parent / "beam_sql" / "pom.xml"
_SQL = "org.apache.beam.sdk.extensions.sql.SqlTransform"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_ALLOWED = f"""version: v1
allowedClasses:
- className: {_SQL}
  allowedConstructorMethods: [query]
  allowedBuilderMethods: []
"""


class MissingError(Exception):
    """Java or Maven is absent, or the repository does not have the jars."""


def fetch() -> pathlib.Path:
    """Returns the folder of the jars. Raises MissingError."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(root) / "reelbeam" / "beam-sql-2.62.0"
    maven = shutil.which("mvn")
    if not shutil.which("java") or not maven:
        raise MissingError("Beam's SQL needs `java` and `mvn` on the PATH")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        shutil.copy(_POM, scratch)
        target = pathlib.Path(scratch) / "jars"
        command = [maven, "--batch-mode", "--quiet", _PLUGIN, "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
        done = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise MissingError(f"Maven could not fetch Beam's SQL: {done.stdout[-500:]}")
        with contextlib.suppress(OSError):  # another process was faster
            target.rename(folder)
    return folder


@contextlib.contextmanager
def running(folder: pathlib.Path) -> Iterator[str]:
    """Runs the service, with files in a folder; yields its address."""
    (folder / "allowed.yaml").write_text(_ALLOWED, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = "org.apache.beam.sdk.expansion.service.ExpansionService"
    flags = ["--alsoStartLoopbackWorker", f"--javaClassLookupAllowlistFile={folder}/allowed.yaml"]
    command = ["java", "-cp", f"{fetch()}/*", service, str(port), *flags]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        processes.wait_until(lambda: process.poll() is not None or _listens(port), seconds=240, interval_seconds=0.2)
        assert process.poll() is None, (folder / "service.log").read_text("utf-8")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def query(text: str, address: str) -> beam.PTransform:
    """Returns `SqlTransform(text)`, whose Python class accepts only the service of the published jar."""
    return JavaExternalTransform(_SQL, address).query(text)
