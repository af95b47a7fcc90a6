"""Checks of folders, stores and credentials: real folders, a server on loopback, a closed port."""

from __future__ import annotations

import os
import pathlib
import socket

import object_stores
import pytest

from reelbeam.pipeline.doctor import credentials, places, reaching
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import AccessDeniedError


def test_an_output_is_written_and_nothing_is_left(tmp_path: pathlib.Path) -> None:
    found = places.check_output(Subject(output=str(tmp_path / "new" / "labels")))
    assert (found.status, os.listdir(tmp_path)) == ("ok", [])


def test_an_output_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    assert places.check_output(Subject(output=str(tmp_path / "file" / "labels"))).status == "error"
    found = places.check_output(Subject(output="/proc/labels"))
    assert found.status == "error" and f"user (id {os.getuid()})" in found.remedy


def test_a_remote_output_is_left_to_other_checks() -> None:
    assert "--reach" in places.check_output(Subject(output="s3://bucket/labels")).found


def test_inputs_must_name_a_video(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert places.check_inputs(Subject(inputs=(str(samples_dir),))).status == "ok"
    found = places.check_inputs(Subject(inputs=(str(samples_dir), str(tmp_path))))
    assert found.status == "error" and "the folder holds no file" in found.found


def test_the_disk_is_large_enough(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(inputs=("s3://bucket/**",), output=str(tmp_path / "new"))
    assert "copies of videos" in places.check_disk(subject).found
    monkeypatch.setattr(places, "_SPOOL_BYTES", 1 << 60)
    found = places.check_disk(subject)
    assert found.status == "warning" and "--spool_dir" in found.remedy


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.check_cache(Subject()).status == "ok"
    monkeypatch.setenv("REELBEAM_CACHE_DIR", "/proc/cache")
    found = places.check_cache(Subject())
    assert found.status == "warning" and "REELBEAM_CACHE_DIR" in found.remedy


@pytest.fixture
def bare(without_aws_keys: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pytest.MonkeyPatch:
    """No credentials, neither in the environment nor at home."""
    without_aws_keys.setenv("HOME", str(tmp_path))
    without_aws_keys.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    without_aws_keys.delenv("STORAGE_EMULATOR_HOST", raising=False)
    return without_aws_keys


def test_credentials_are_named_and_not_shown(bare: pytest.MonkeyPatch) -> None:
    subject = Subject(output="s3://bucket/labels", inputs=("gs://bucket/**",), beam_flags=("--s3_access_key_id=KEY",))
    found = credentials.check_credentials(subject)
    assert found.status == "unknown" and found.found == "gs: no variable or file has any; s3: --s3_access_key_id"
    bare.setenv("AWS_PROFILE", "my-secret-profile")
    bare.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/secret.json")
    found = credentials.check_credentials(subject)
    assert (found.status, found.remedy) == ("error", "correct GOOGLE_APPLICATION_CREDENTIALS")
    assert "secret" not in f"{found}" and "KEY" not in found.found.replace("_key_", "")


def test_a_store_on_loopback_responds(s3: object_stores.S3Server) -> None:
    s3.put("videos/a.mp4", b"x")
    with object_stores.used_by_beam(object_stores.s3_flags(s3.url)):
        subject = Subject(inputs=(f"{s3.uri}/videos",), output=f"{s3.uri}/labels", reach=True)
        found = reaching.check_stores(subject)
        assert found.status == "ok" and found.found.count("responds") == 2
        nothing = reaching.check_stores(Subject(inputs=(f"{s3.uri}/nothing/*.mp4",), reach=True))
        assert nothing.status == "error" and "nothing is there" in nothing.found
        lost = reaching.check_stores(Subject(output="s3://no-such-bucket/x", reach=True))
        assert lost.status == "error"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_closed_port_is_an_error(bare: pytest.MonkeyPatch, quick_retries: None) -> None:
    with object_stores.used_by_beam(object_stores.s3_flags(f"http://127.0.0.1:{free_port()}")):
        found = reaching.check_stores(Subject(output="s3://bucket/labels", reach=True))
    assert found.status == "error"
    hub = reaching.check_hub(Subject(model=f"http://127.0.0.1:{free_port()}/m", reach=True))
    assert hub.status == "error" and "refused" in hub.found


def test_a_redirect_counts_and_is_not_followed(monkeypatch: pytest.MonkeyPatch, hub: object) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(10_000))
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")

        import threading

        thread = threading.Thread(target=answer)
        thread.start()
        found = reaching.ask_server(f"http://127.0.0.1:{server.getsockname()[1]}/model")
        thread.join()
    assert found == (True, "HTTP 302") and asked[0].startswith(b"HEAD /model ")


def test_late_answers_are_not_waited_for() -> None:
    import threading

    stop = threading.Event()

    def late() -> tuple[bool, str]:
        stop.wait()
        return True, ""

    def refused() -> tuple[bool, str]:
        raise AccessDeniedError("no")

    answers = reaching.at_once({"a": late, "b": lambda: (True, "x"), "c": refused}, seconds=0.1)
    stop.set()
    assert answers == {"a": (False, "no answer within 0.1 s"), "b": (True, "x"), "c": (False, "no")}
