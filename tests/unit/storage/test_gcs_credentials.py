"""Google's credentials: one look-up, with or without credentials. The metadata server is a real one, on loopback."""

from __future__ import annotations

import http.server
import logging
import pathlib
import socketserver
import threading
from collections.abc import Iterator

import pytest
from apache_beam.internal.gcp import auth
from apache_beam.options.pipeline_options import PipelineOptions
from google.auth.compute_engine import _metadata
from google.auth.compute_engine.credentials import Credentials

from reelbeam.transforms.storage.stores.beam import file_system
from reelbeam.transforms.storage.stores.gcs_credentials import settle_credentials


class MetadataServer(http.server.BaseHTTPRequestHandler):
    """Google's server if `flavor` says so, otherwise a foreign server at the same address."""

    flavor = ""
    requests: list[str] = []

    def do_GET(self) -> None:
        """Answers with a project's name."""
        self.requests.append(self.path)
        self.send_response(200)
        self.send_header("Metadata-Flavor", self.flavor)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"my-project")

    def log_message(self, *args: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[MetadataServer]]:
    class Handler(MetadataServer):
        requests: list[str] = []

    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("GCE_METADATA_DETECT_RETRIES", "1")
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    monkeypatch.setattr(auth._Credentials, "_credentials", None)
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
    monkeypatch.setattr(_metadata, "_GCE_PRODUCT_NAME_FILE", str(tmp_path / "no_such_machine"))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as running:
        place = f"127.0.0.1:{running.server_address[1]}"
        monkeypatch.setenv("GCE_METADATA_IP", place)
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", place)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield Handler
        running.shutdown()
        thread.join()


def test_credentials_that_are_not_there_are_looked_for_once(
    server: type[MetadataServer], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "reelbeam.transforms"):
        for _ in range(2):
            file_system("gs://bucket/a.mp4")
            assert auth.get_service_credentials(PipelineOptions()) is None
    assert server.requests == ["/"], "Beam alone asks five times"
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("reelbeam.transforms")]
    assert warning == (
        "no credentials for gs:// (Your default credentials were not found): connecting anonymously, which public "
        "buckets allow; for others, run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS "
        "to a key file"
    )


def test_a_key_file_that_is_missing_is_named(
    server: type[MetadataServer],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with caplog.at_level(logging.WARNING, "reelbeam.transforms"):
        settle_credentials(PipelineOptions())
    assert f"no credentials for gs:// (File {key} was not found" in caplog.text
    assert server.requests == []


def test_the_metadata_server_of_a_machine_of_googles_gives_credentials(
    server: type[MetadataServer], caplog: pytest.LogCaptureFixture
) -> None:
    server.flavor = "Google"
    file_system("gs://bucket/a.mp4")
    found = auth.get_service_credentials(PipelineOptions())
    assert found is not None and isinstance(found.get_google_auth_credentials(), Credentials)
    assert caplog.records == []


def test_an_emulator_needs_no_credentials_and_no_warning(
    server: type[MetadataServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    settle_credentials(PipelineOptions())
    assert [record for record in caplog.records if record.name.startswith("reelbeam.transforms")] == []
    assert auth.get_service_credentials(PipelineOptions()) is None and server.requests == ["/"]
