"""Fixtures: the folder of shared media, bundled samples, and a run of the program in this process."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import faulty_proxy
import gcs_emulator
import model_hub
import object_stores
import prism
import processes
import pytest
from audit_events import audited
from temporary import use_temporary_folder

from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.storage.stores import retries

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Lets Ctrl-C reach the programs that tests start, although a background shell ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gives the suite its own cache and temporary folder, so that the user's are neither read nor written.

    Processes of one suite share the cache, in which a model is converted once.
    """
    own = tmp_path_factory.getbasetemp()
    suite = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    (own / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBEAM_CACHE_DIR", str(suite / "cache"))
        patch.delenv("TFHUB_CACHE_DIR", raising=False)
        use_temporary_folder(patch, own / "tmp")
        yield


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """Real videos and official-architecture models, which are not part of the project."""
    folder = ROOT.parent / "shared"
    if not (folder / "media").is_dir():
        pytest.skip(f"{folder} is absent: real videos and official models are not part of the project")
    return folder


@pytest.fixture(scope="session")
def official_models() -> pathlib.Path:
    """Folders such as a3-stream with official models that are too large to be shared."""
    named = os.environ.get("REELBEAM_OFFICIAL_MODELS")
    if not named:
        pytest.skip("REELBEAM_OFFICIAL_MODELS names no folder with a1-base ... a5-stream")
    return pathlib.Path(named)


@pytest.fixture(scope="session")
def samples_dir() -> pathlib.Path:
    """The bundled sample videos."""
    return ROOT / "pipeline" / "demo" / "videos"


@pytest.fixture(autouse=True)
def untouched_loggers() -> None:
    """Resets the loggers before every test, because a command sets them for the whole process."""
    logging.getLogger().setLevel(logging.WARNING)
    for name in ("apache_beam", "reelbeam.pipeline", "reelbeam.transforms"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """Starts without a fork server, and asserts that the test leaves none."""
    sandboxed.close_idle()
    yield
    sandboxed.close_idle()
    assert processes.fork_servers_of(os.getpid()) == []


@pytest.fixture
def babbling() -> Iterator[sandboxed.Sandbox]:
    """A sandbox whose processes answer with what is in the file that they read, see babbling_decoder.py."""
    sandbox = sandboxed.Sandbox("babbling_decoder")
    yield sandbox
    sandbox.close_idle()


@pytest.fixture
def hub() -> Iterator[model_hub.Hub]:
    """A server of models."""
    server = model_hub.Hub()
    yield server
    server.stop()


@pytest.fixture
def hub_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A cache of the test's own for fetched models, and no proxy between the test and its server."""
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    use_temporary_folder(monkeypatch, tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    return tmp_path / "cache" / "hub"


@pytest.fixture
def break_writing() -> Iterator[Callable[..., None]]:
    """Returns a function after whose call writing tables fails with a bug; it calls its argument first."""
    with contextlib.ExitStack() as stack:

        def break_from_now_on(before: Callable[[], None] = lambda: None) -> None:
            def on_event(event: str, arguments: tuple[Any, ...]) -> None:
                if event == "os.rename" and str(arguments[1]).endswith(".parquet.staged"):
                    before()
                    raise KeyError("a bug")

            stack.enter_context(audited(on_event, in_all_threads=True))

        yield break_from_now_on


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[object_stores.S3Server]:
    pytest.importorskip("boto3", reason="boto3 is absent: pip install 'reelbeam[aws]'")
    pytest.importorskip("moto", reason="moto is absent: pip install 'reelbeam[dev]'")
    server = object_stores.S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(_s3_server: object_stores.S3Server) -> Iterator[object_stores.S3Server]:
    """A server with an empty bucket."""
    yield _s3_server
    _s3_server.clear()


@pytest.fixture
def quick_retries() -> Iterator[None]:
    """Retries requests to stores as usual, but without waits."""
    with retries.policy_in_force(retries.RetryPolicy(sleep=lambda seconds: None)):
        yield


@pytest.fixture
def proxy(s3: object_stores.S3Server) -> Iterator[faulty_proxy.FaultyProxy]:
    """A proxy before the server, and Beam's file systems behind the proxy."""
    proxy = faulty_proxy.FaultyProxy(s3.port)
    with object_stores.used_by_beam(object_stores.s3_flags(proxy.url)):
        yield proxy
    proxy.close()


@pytest.fixture
def without_aws_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pytest.MonkeyPatch:
    """Removes every place where AWS's clients find credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    return monkeypatch


@pytest.fixture(scope="session")
def _gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gcs_emulator.GcsServer]:
    pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is absent: pip install 'reelbeam[gcp]'")
    try:
        program = gcs_emulator.program()
    except gcs_emulator.MissingError as error:
        pytest.skip(str(error))
    server = gcs_emulator.GcsServer(program, tmp_path_factory.mktemp("gcs"))
    yield server
    server.close()


@pytest.fixture
def gcs(_gcs_server: gcs_emulator.GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[gcs_emulator.GcsServer]:
    """An emulator of Google Cloud Storage with an empty bucket, used by Beam; its first build takes minutes."""
    for name, value in _gcs_server.environment.items():
        monkeypatch.setenv(name, value)
    with object_stores.used_by_beam([]):
        yield _gcs_server
    _gcs_server.clear()


@pytest.fixture(scope="session")
def prism_program() -> str:
    """The path of Prism, Beam's portable runner for one machine; its first build takes minutes."""
    return prism.program()
