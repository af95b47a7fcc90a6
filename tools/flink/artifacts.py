"""The artifacts of the cluster: Flink's jars and Beam's job server, fetched once by Maven into a cache folder.

Maven uses the repository, the mirrors and the proxies of this machine (settings.xml), and verifies the repository's
checksums. Later runs verify the checksums that were stored next to the files.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
PUBLISHED_FLINK, ASSEMBLED_FLINK = "1.20.3", "1.19.3"
"""Beam publishes a job server for Flink 1.20. If the repository does not have that jar, one for 1.19 is built from the
library of the runner of an older Beam (tools/flink/job_server/pom.xml).
"""
BEAM_VERSION = "2.77.0"
OPERATOR_VERSION = "1.10.0"
_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_MIN_JAVA = 11
_JOB_SERVER = "flink-job-server.jar"
_SUMS = "SHA256SUMS"


class Artifacts(NamedTuple):
    """The folder of Flink's jars, and the job server's jar."""

    flink: pathlib.Path
    job_server: pathlib.Path

    @property
    def is_whole(self) -> bool:
        """Whether both were fetched and are unchanged."""
        return _is_whole(self.flink) and _is_whole(self.job_server.parent)


class MissingError(Exception):
    """An artifact or a program is missing and cannot be fetched. The message has the remedy."""


def cache_dir() -> pathlib.Path:
    """Returns the cache folder."""
    root = os.environ.get("REELBEAM_FLINK_CACHE")
    if root:
        return pathlib.Path(root)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "reelbeam" / "flink"


def fetch() -> Artifacts:
    """Returns the paths of the jars. The first call fetches them (300 MB, one to two minutes).

    Raises:
      MissingError: Java or Maven is missing, or the repository does not have the jars.
    """
    check_java()
    folder = cache_dir()
    published = Artifacts(folder / f"flink-{PUBLISHED_FLINK}", folder / f"job-server-{BEAM_VERSION}" / _JOB_SERVER)
    pom = hashlib.sha256((HERE / "job_server" / "pom.xml").read_bytes()).hexdigest()[:12]
    assembled = Artifacts(folder / f"flink-{ASSEMBLED_FLINK}", folder / f"job-server-{pom}" / _JOB_SERVER)
    for artifacts in (published, assembled):
        if artifacts.is_whole:
            return artifacts
    try:
        _install(published.job_server.parent, _fetch_job_server)
    except MissingError as error:
        print(f"{error}\nbuilding the job server for Flink {ASSEMBLED_FLINK} instead", file=sys.stderr)
        _install(assembled.job_server.parent, _build_job_server)
        _install(assembled.flink, lambda target: _fetch_flink(target, ASSEMBLED_FLINK))
        return assembled
    _install(published.flink, lambda target: _fetch_flink(target, PUBLISHED_FLINK))
    return published


def fetch_operator_api() -> pathlib.Path:
    """Returns the jar with the schemas of the Flink Kubernetes operator. Raises MissingError, as `fetch`."""
    name = f"flink-kubernetes-operator-api-{OPERATOR_VERSION}"
    jar = cache_dir() / name / f"{name}.jar"
    if not _is_whole(jar.parent):
        _install(jar.parent, _fetch_operator_api)
    return jar


def check_java() -> None:
    """Raises MissingError if there is no Java version that Flink supports."""
    java = shutil.which("java")
    if not java:
        raise MissingError(
            "`java` is not on the PATH: install a JDK 11 or 17 (Debian: apt-get install openjdk-17-jre-headless)"
        )
    text = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True).stderr
    (line,) = [line for line in text.splitlines() if "java.specification.version" in line][:1] or ["= 0"]
    version = line.partition("=")[2].strip()
    if int(version.split(".")[0]) < _MIN_JAVA:
        raise MissingError(f"`java` is version {version}: Flink needs {_MIN_JAVA} or later")


def _fetch_flink(target: pathlib.Path, version: str) -> None:
    shutil.copy(HERE / "jars" / "pom.xml", target.parent)
    goal, flink = f"{_DEPENDENCY_PLUGIN}:copy-dependencies", f"-Dflink.version={version}"
    _maven(target.parent, goal, flink, "-DincludeScope=runtime", f"-DoutputDirectory={target}")


def _fetch_job_server(target: pathlib.Path) -> None:
    minor = PUBLISHED_FLINK.rpartition(".")[0]
    artifact = f"org.apache.beam:beam-runners-flink-{minor}-job-server:{BEAM_VERSION}"
    _maven(target.parent, f"{_DEPENDENCY_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={target}")
    (jar,) = target.glob("*.jar")
    jar.rename(target / _JOB_SERVER)


def _fetch_operator_api(target: pathlib.Path) -> None:
    artifact = f"org.apache.flink:flink-kubernetes-operator-api:{OPERATOR_VERSION}"
    _maven(target.parent, f"{_DEPENDENCY_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={target}")


def _build_job_server(target: pathlib.Path) -> None:
    shutil.copy(HERE / "job_server" / "pom.xml", target.parent)
    _maven(target.parent, "package", f"-Dflink.version={ASSEMBLED_FLINK}")
    shutil.move(target.parent / "target" / _JOB_SERVER, target)


def _maven(folder: pathlib.Path, *goals: str) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise MissingError("`mvn`, which fetches Flink, is not on the PATH: install it (Debian: apt-get install maven)")
    print(f"fetching with Maven into {cache_dir()} (once) …", file=sys.stderr, flush=True)
    command = [maven, "--batch-mode", "--no-transfer-progress", "--quiet", *goals]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = [line.partition("ERROR] ")[2] for line in done.stdout.splitlines() if "ERROR] " in line]
        raise MissingError(f"Maven could not fetch the artifacts: {lines[0] if lines else done.stdout}")


def _install(folder: pathlib.Path, make: Callable[[pathlib.Path], None]) -> None:
    """Creates a folder atomically, with the checksums of its files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        target = pathlib.Path(scratch) / "made"
        target.mkdir()
        make(target)
        (target / _SUMS).write_text("".join(f"{_sha256(jar)}  {jar.name}\n" for jar in sorted(target.glob("*.jar"))))
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)


def _is_whole(folder: pathlib.Path) -> bool:
    sums = folder / _SUMS
    if not sums.is_file():
        return False
    known = [line.split("  ") for line in sums.read_text().splitlines()]
    return bool(known) and all((folder / name).is_file() and _sha256(folder / name) == digest for digest, name in known)


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
