"""The output's lock on an S3 server: moto's, over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.conditional_files import conditional_file
from transforms.errors import OutputLockedError
from transforms.output_lock import LockTicket, OutputLock, read_lock

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    flags = {"s3_endpoint_url": endpoint, "s3_access_key_id": "key", "s3_secret_access_key": "secret"}
    options = PipelineOptions([f"--{name}={value}" for name, value in flags.items()] + ["--s3_region_name=us-east-1"])
    boto3.client(
        "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="secret"
    ).create_bucket(Bucket="bucket")
    before = FileSystems._pipeline_options
    FileSystems.set_options(options)
    yield "s3://bucket"
    FileSystems.set_options(before)
    server.stop()


def test_conditions_hold(bucket: str) -> None:
    file = conditional_file(f"{bucket}/some/object")
    assert file.read() is None
    assert not file.write(b"0", '"0123"')
    assert file.write(b"1", None)
    assert not file.write(b"2", None)
    first = file.read()
    assert first is not None and first.data == b"1"
    assert file.write(b"3", first.version)
    assert not file.write(b"4", first.version)
    found = file.read()
    assert found is not None and found.data == b"3"


def test_one_run_at_a_time(bucket: str) -> None:
    output = f"{bucket}/out"
    with OutputLock(LockTicket(output, "first"), lease_seconds=1.0):
        with pytest.raises(OutputLockedError, match="run first on"):
            OutputLock(LockTicket(output, "second")).__enter__()
        LockTicket(output, "first").require()
    with OutputLock(LockTicket(output, "second")):
        assert read_lock(output)["holder"] == "second"  # type: ignore[index]
