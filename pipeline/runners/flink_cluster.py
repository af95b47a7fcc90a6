"""The REST API of a Flink cluster."""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import socket
import urllib.error
import urllib.request
from typing import Any

from reelbeam.transforms.errors import ConfigError, RunError

_TIMEOUT_SECONDS = 10.0


def listens(endpoint: str) -> bool:
    """Returns whether a server accepts connections at HOST:PORT."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


@dataclasses.dataclass(frozen=True)
class ClusterOverview:
    """A cluster, as its JobManager describes it."""

    flink_version: str
    num_slots: int


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The REST API of a Flink JobManager, at `master`: HOST:PORT, with or without http://."""

    master: str

    @property
    def address(self) -> str:
        """The address as shown in messages."""
        return f"--flink_master {self.master}"

    def overview(self) -> ClusterOverview:
        """Returns the version and the numbers of TaskManagers and slots; raises the errors of `FlinkRunner.of`."""
        try:
            found = self.call("/overview")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise RunError(
                f"{self.address}: no Flink JobManager answers there ({reason}). Is it up, and is this the port of its "
                "REST API? `tools/flink_cluster.sh up` brings one up on this machine"
            ) from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or "flink-version" not in found or "slots-total" not in found:
            raise ConfigError(f"{self.address}: the server there is not a Flink JobManager")
        return ClusterOverview(str(found["flink-version"]), int(found["slots-total"]))

    def configuration(self) -> dict[str, str]:
        """Returns the cluster's configuration; raises the errors of `FlinkRunner.of`."""
        try:
            return {entry["key"]: entry["value"] for entry in self.call("/jobmanager/config")}
        except (OSError, http.client.HTTPException) as error:
            raise RunError(f"{self.address} stopped responding: {error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{self.address}: the server there is not a Flink JobManager") from error

    def call(self, path: str, method: str = "GET") -> Any:
        """Returns the parsed response; raises OSError, HTTPException, or ValueError if it is not JSON."""
        base = self.master if re.match("https?://", self.master) else f"http://{self.master}"
        request = urllib.request.Request(base.rstrip("/") + path, method=method)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")
