"""Start a Python worker for a Flink TaskManager. Beam's PROCESS environment calls it with the addresses as flags.

It replaces the boot program of Beam's containers, except for artifacts: the package is already installed in the
environment of this Python. All output goes to a file of the worker, because no process reads its pipe.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import threading
import time

LOG_DIR = "REELBEAM_WORKER_LOGS"
"""The environment variable that names the folder for the logs of workers."""


def main() -> None:
    """Fetches the pipeline's options from the TaskManager and runs the worker."""
    args = _parse_flags()
    _log_to_file(args.id)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # Beam reads the worker's name when its modules are imported, so it must be set before.
    os.environ["WORKER_ID"] = args.id
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from google.protobuf import json_format

    with grpc.insecure_channel(args.provision_endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = service.GetProvisionInfo(request, timeout=60, metadata=[("worker_id", args.id)]).info
    os.environ["PIPELINE_OPTIONS"] = json_format.MessageToJson(info.pipeline_options)
    os.environ["LOGGING_API_SERVICE_DESCRIPTOR"] = f'url: "{info.logging_endpoint.url}"'
    os.environ["CONTROL_API_SERVICE_DESCRIPTOR"] = f'url: "{info.control_endpoint.url}"'
    os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv[:1])


def _parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Start a Python worker for a Flink TaskManager.", allow_abbrev=False)
    parser.add_argument("--id", required=True, help="the worker's name")
    parser.add_argument(
        "--provision_endpoint", required=True, metavar="HOST:PORT", help="the address of the other options"
    )
    return parser.parse_known_args()[0]


def _end_with_parent(parent: int) -> None:
    """Ends this process after the TaskManager, because Beam's worker would wait for data forever in a bundle.

    The kernel's parent-death signal is not suitable: it is sent when the thread that started the worker ends.
    """
    while os.getppid() == parent:
        time.sleep(1)
    print("the TaskManager has ended", file=sys.stderr, flush=True)
    os._exit(1)


def _log_to_file(worker_id: str) -> None:
    folder = pathlib.Path(os.environ.get(LOG_DIR) or ".")
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / f"worker-{worker_id}-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)


if __name__ == "__main__":
    main()
