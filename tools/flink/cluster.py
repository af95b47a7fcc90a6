"""Start and stop a Flink session cluster on 127.0.0.1. `tools/flink_cluster.sh` calls this module.

The cluster has one JobManager, two TaskManagers and Beam's job server. Each TaskManager starts a Python worker
(tools/flink/worker_boot.py). The configuration of the cluster names the job server and the workers, so `reelbeam label
--runner=FlinkRunner --flink_master=ADDRESS` needs no other flag (pipeline/runners/flink.py reads it).

Environment variables: REELBEAM_FLINK_PORT (the JobManager's, default 8081; the others follow), REELBEAM_FLINK_DIR
(state and logs), REELBEAM_FLINK_CACHE (artifacts), REELBEAM_FLINK_SLOTS (slots of a TaskManager, default 1),
REELBEAM_FLINK_TASKMANAGERS (default 2).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence

from reelbeam.pipeline.runners.flink_cluster import listens
from tools.flink import artifacts, configuration, processes
from tools.flink.worker_boot import LOG_DIR

_SECONDS_TO_COME_UP = 120.0
_JVM_PACKAGES = (
    "lang lang.reflect net io nio text time util util.concurrent util.concurrent.atomic util.concurrent.locks"
)
_JVM_FLAGS = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _JVM_PACKAGES.split()]
"""The packages that Flink reads by reflection, which Java 17 forbids by default."""


class ClusterError(Exception):
    """The cluster did not start. The message has the reason."""


class Cluster:
    """A session cluster on this machine.

    Args:
      folder: the folder of its state: configuration, logs, and Flink's working files.
      port: the port of the JobManager's REST API; the other ports follow.
      slots: the number of slots of each TaskManager.
    """

    def __init__(self, folder: pathlib.Path, port: int = 8081, slots: int = 1) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.slots = slots

    @property
    def address(self) -> str:
        """The value of --flink_master."""
        return f"127.0.0.1:{self.port}"

    @property
    def job_endpoint(self) -> str:
        """The address of Beam's job server."""
        return f"127.0.0.1:{self.port + 3}"

    def up(self, task_managers: int = 2) -> bool:
        """Starts the missing processes and waits until the cluster is ready. Returns whether any was started.

        Raises:
          MissingError: see tools.flink.artifacts.
          ClusterError: a port is taken, or a process ended.
        """
        fetched = artifacts.fetch()
        running = processes.leaders(self.folder)
        if "jobmanager" not in running:
            self._check_port_is_free()
            configuration.write(self.folder, self.port, self.slots, self.job_endpoint)
            self._start_flink("jobmanager", "StandaloneSessionClusterEntrypoint", fetched.flink, [])
        if "jobserver" not in running:
            self._start_job_server(fetched.job_server)
        missing = task_managers - sum(name.startswith("taskmanager") for name in running)
        started = [self._start_task_manager(fetched.flink) for _ in range(missing)]
        self._wait_until_ready()
        return bool(started) or not {"jobmanager", "jobserver"} <= running.keys()

    def add(self) -> str:
        """Starts one more TaskManager, waits until it is registered, and returns its name."""
        name = self._start_task_manager(artifacts.fetch().flink)
        self._wait_until_ready()
        return name

    def down(self) -> list[str]:
        """Ends every process and keeps the logs. Returns the names of the processes that ran."""
        names = processes.stop_all(self.folder)
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        return names

    def get(self, path: str) -> dict:
        """Returns the JobManager's response to a GET request of its REST API."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def _start_flink(self, name: str, entrypoint: str, jars: pathlib.Path, flags: Sequence[str]) -> None:
        package = "org.apache.flink.runtime." + ("entrypoint" if name == "jobmanager" else "taskexecutor")
        conf = self.folder / "conf"
        command = ["java", "-Xms64m", "-Xmx512m", "-XX:MaxDirectMemorySize=640m", "-XX:+UseSerialGC", *_JVM_FLAGS]
        command += [f"-Dlog.file={self.folder}/logs/{name}.log", f"-Dlog4j.configurationFile={conf}/log4j.properties"]
        command += [
            "-cp",
            f"{jars}/*:{artifacts.fetch().job_server}",
            f"{package}.{entrypoint}",
            "--configDir",
            str(conf),
            *flags,
        ]
        log_dir = str(self.folder / "logs")
        processes.start(self.folder, name, command, {"FLINK_CONF_DIR": str(conf), LOG_DIR: log_dir})

    def _start_task_manager(self, jars: pathlib.Path) -> str:
        running = processes.find(self.folder)  # including the children of ended ones, which may still hold ports
        taken = {process.name for process in running}
        number = next(n for n in range(1, 100) if f"taskmanager-{n}" not in taken)
        port = self.port + 10 * number
        flags = [f"-Dtaskmanager.rpc.port={port}", f"-Dtaskmanager.data.port={port + 1}"]
        flags += [f"-Dtaskmanager.resource-id=taskmanager-{number}-{time.time_ns():x}"]
        self._start_flink(f"taskmanager-{number}", "TaskManagerRunner", jars, flags)
        return f"taskmanager-{number}"

    def _start_job_server(self, jar: pathlib.Path) -> None:
        flags = ["--job-host=127.0.0.1", f"--flink-master=http://{self.address}"]
        for offset, service in enumerate(("job", "artifact", "expansion"), start=3):
            flags.append(f"--{service}-port={self.port + offset}")
        flags.append(f"--artifacts-dir={self.folder}/work/artifacts")
        command = ["java", "-Xms64m", "-Xmx768m", "-XX:+UseSerialGC", *_JVM_FLAGS, "-jar", str(jar), *flags]
        processes.start(self.folder, "jobserver", command, {})

    def _check_port_is_free(self) -> None:
        for offset in range(6):
            with socket.socket() as probe, contextlib.suppress(ConnectionRefusedError):
                probe.connect(("127.0.0.1", self.port + offset))
                raise ClusterError(
                    f"port {self.port + offset} is in use: set REELBEAM_FLINK_PORT to the first of thirty free ports"
                )

    def _wait_until_ready(self) -> None:
        started = processes.leaders(self.folder)
        wanted = sum(name.startswith("taskmanager") for name in started)
        deadline = time.monotonic() + _SECONDS_TO_COME_UP
        while not (self._slots() >= wanted * self.slots and listens(self.job_endpoint)):
            ended = started.keys() - processes.leaders(self.folder).keys()
            if ended or time.monotonic() > deadline:
                what = f"{sorted(ended)[0]} ended" if ended else f"not ready after {_SECONDS_TO_COME_UP:.0f} s"
                raise ClusterError(f"the cluster did not start, {what}: see {self.folder}/logs")
            time.sleep(0.25)

    def _slots(self) -> int:
        """Returns the number of slots. The slots of a TaskManager are known shortly after its registration."""
        try:
            return self.get("/overview")["slots-total"]
        except OSError:
            return 0


def from_environment() -> Cluster:
    """Returns the cluster described by the environment variables."""
    state = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state")
    folder = pathlib.Path(os.environ.get("REELBEAM_FLINK_DIR") or state / "reelbeam" / "flink")
    port, slots = os.environ.get("REELBEAM_FLINK_PORT", "8081"), os.environ.get("REELBEAM_FLINK_SLOTS", "1")
    return Cluster(folder, int(port), int(slots))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(prog="flink_cluster.sh", description="A Flink session cluster on 127.0.0.1.")
    parser.add_argument("command", choices=("up", "add", "status", "down"))
    command = parser.parse_args(argv).command
    cluster = from_environment()
    try:
        if command == "up":
            fresh = cluster.up(int(os.environ.get("REELBEAM_FLINK_TASKMANAGERS", "2")))
            overview = cluster.get("/overview")
            print("the cluster is up" if fresh else "the cluster is up already", file=sys.stderr)
            print(
                f"  Flink {overview['flink-version']}, {overview['taskmanagers']} TaskManagers, "
                f"{overview['slots-total']} slots; state and logs in {cluster.folder}\n  for --flink_master:",
                file=sys.stderr,
            )
            print(cluster.address)
        elif command == "add":
            print(f"{cluster.add()} has joined")
        elif command == "down":
            names = cluster.down()
            print("took down " + ", ".join(names) if names else "nothing was running")
        else:
            for process in processes.find(cluster.folder):
                print(f"{process.pid:>8} {process.name:<16} {'' if process.is_leader else '  '}{process.command[:90]}")
    except (artifacts.MissingError, ClusterError) as error:
        print(f"flink_cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
