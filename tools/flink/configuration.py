"""The configuration of the Flink cluster of `tools/flink/cluster.py`: addresses, memory, logs, Python workers."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
_MEMORY = {
    "task.heap.size": "256m",
    "task.off-heap.size": "64m",
    "framework.heap.size": "128m",
    "framework.off-heap.size": "128m",
    "managed.size": "64m",
    "network.min": "256m",
    "network.max": "256m",
    "jvm-metaspace.size": "256m",
    "jvm-overhead.min": "128m",
    "jvm-overhead.max": "128m",
}
"""The memory of a TaskManager. Flink's start scripts compute these values; without the scripts, each is required."""
_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = FILE
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %m%n
"""


def write(folder: pathlib.Path, port: int, slots: int, job_endpoint: str) -> None:
    """Writes the configuration of a new cluster and removes the working files of the previous one.

    Args:
      folder: the folder of the cluster's state: conf/ is written, work/ is emptied.
      port: the port of the JobManager's REST API; the other ports follow.
      slots: the number of slots of each TaskManager.
      job_endpoint: the address of Beam's job server.
    """
    conf, work = folder / "conf", folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for made in (conf, work):
        made.mkdir(parents=True, exist_ok=True)
    boot = conf / "worker_boot.sh"
    command = shlex.join([sys.executable, "-P", str(ROOT / "tools/flink/worker_boot.py")])
    path = shlex.quote(os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    boot.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {command} "$@"\n')
    boot.chmod(0o755)
    (conf / "log4j.properties").write_text(_LOG4J)
    workers = {
        "reelbeam.job-endpoint": job_endpoint,
        "reelbeam.environment-type": "PROCESS",
        "reelbeam.environment-config": json.dumps({"command": str(boot)}),
    }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in (of_flink(port, slots, work) | workers).items()]
    (conf / "config.yaml").write_text("".join(lines))


def of_flink(port: int, slots: int, work: pathlib.Path) -> dict[str, object]:
    """Returns Flink's settings by key."""
    addresses = dict.fromkeys(
        ("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address")
        + ("taskmanager.host", "taskmanager.bind-host"),
        "127.0.0.1",
    )
    ports = {"rest.port": port, "jobmanager.rpc.port": port + 1, "blob.server.port": port + 2}
    return {
        **addresses,
        **ports,
        "rest.bind-port": port,
        "taskmanager.numberOfTaskSlots": slots,
        "taskmanager.cpu.cores": 1.0,
        **{f"taskmanager.memory.{what}": size for what, size in _MEMORY.items()},
        "classloader.resolve-order": "parent-first",
        "io.tmp.dirs": str(work),
        "blob.storage.directory": str(work),
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 12000,
        # A lost task restarts on a remaining or new TaskManager, after the dead worker was forgotten (KEEP_WORKERS_MS).
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 5,
        "restart-strategy.fixed-delay.delay": "5 s",
        "slot.request.timeout": 120_000,
    }
