"""Handles to folders, against a real HTTP server on the loopback that serves archives the way TensorFlow Hub does."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import logging
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading

import pytest
from model_hub import FILES, Hub, content, cut, make_archive, make_folder, redirect, remains, status, whole
from processes import wait_until
from temporary import use_temporary_folder

from reelbeam.transforms.errors import ModelDownloadError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.registry import cache, resolver, saved_model, unpacking

ROOT = pathlib.Path(__file__).resolve().parents[3]


pytestmark = pytest.mark.usefixtures("hub_cache")


# --- fetching and the cache


def test_a_model_is_fetched_once(hub: Hub, hub_cache: pathlib.Path) -> None:
    url = hub.serve("/movinet/a0/3", whole(make_archive(FILES)))
    assert not resolver.is_cached(url)
    folder = resolver.resolve(url)
    assert content(folder) == FILES
    assert resolver.is_cached(url)
    assert resolver.resolve(url) == folder
    assert hub.requests == ["/movinet/a0/3?tf-hub-format=compressed"]
    name = hashlib.sha1(url.encode()).hexdigest()
    assert remains(hub_cache) == [name, f"{name}.descriptor.txt"]


def test_redirects_are_followed_as_model_pages_answer_with_them(hub: Hub) -> None:
    hub.serve("/archive", whole(make_archive(FILES)))
    page = "/models/google/movinet/TensorFlow2/a0-base-kinetics-600-classification/3"
    url = hub.serve(page, redirect("/archive?tf-hub-format=compressed"))
    assert content(resolver.resolve(url)) == FILES


def test_an_uncompressed_archive_works_as_well(hub: Hub) -> None:
    assert content(resolver.resolve(hub.serve("/model.tar", whole(make_archive(FILES, "w"))))) == FILES


def test_the_cache_is_shared_with_tensorflow_hub(
    hub: Hub, hub_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find what the other fetched: the same folder, from the URL as it was given."""
    import tensorflow_hub

    monkeypatch.setenv("TFHUB_CACHE_DIR", str(hub_cache))
    ours, theirs = (hub.serve(f"/{name}", whole(make_archive(FILES))) for name in ("ours", "theirs"))
    with_query = f"{ours}?version=3"
    fetched = resolver.resolve(with_query)
    theirs_folder = pathlib.Path(tensorflow_hub.resolve(theirs))
    hub.stop()
    assert pathlib.Path(tensorflow_hub.resolve(with_query)) == fetched
    assert resolver.is_cached(theirs)
    assert resolver.resolve(theirs) == theirs_folder


def test_tfhub_cache_dir_is_respected(hub: Hub, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert resolver.resolve(hub.serve("/m", whole(make_archive(FILES)))).parent == tmp_path / "elsewhere"


def test_without_settings_the_cache_is_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBEAM_CACHE_DIR")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.folders("hub")[0] == pathlib.Path("/home/someone/.cache/reelbeam/hub")


def test_a_cache_that_cannot_be_made_is_replaced(
    hub: Hub, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    url = hub.serve("/m", whole(make_archive(FILES)))
    folder = resolver.resolve(url)
    assert folder.is_relative_to(tmp_path / f"reelbeam-cache-{os.getuid()}")
    assert "REELBEAM_CACHE_DIR" in caplog.text
    assert resolver.resolve(url) == folder
    assert len(hub.requests) == 1


def test_threads_that_want_the_same_model_fetch_it_once(hub: Hub) -> None:
    url = hub.serve("/m", whole(make_archive(FILES)))
    found: list[pathlib.Path] = []
    threads = [threading.Thread(target=lambda: found.append(resolver.resolve(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(hub.requests) == 1


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_second_start_needs_neither_network_nor_tensorflow(hub: Hub, shared_dir: pathlib.Path) -> None:
    """The official A0: fetched, then resolved and run in a fresh process while the server is gone."""
    url = hub.serve("/movinet/a0/base/3", whole((shared_dir / "models" / "movinet_a0_base.tar.gz").read_bytes()))
    folder = resolver.resolve(url)
    hub.stop()
    code = """
import dataclasses, sys
import numpy as np
from reelbeam.transforms.models import loading
from reelbeam.transforms.models.registry import catalog, resolver
assert resolver.is_cached(sys.argv[1])
spec = dataclasses.replace(catalog.find("a0-base"), handle=sys.argv[1])
loaded = loading.load_engine(spec, "openvino", 2)
logits = loaded.classify(np.zeros((1, 50, 172, 172, 3), np.uint8))
heavy = [name for name in ("tensorflow", "tensorflow_hub", "av", "apache_beam") if name in sys.modules]
print(resolver.resolve(sys.argv[1]), logits.shape, heavy)
"""
    assert run_python(code, url) == f"{folder} (1, 600) []"


# --- downloads that fail


@pytest.mark.parametrize("announce_length", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("part", [0, 0.0001, 0.5, 0.999])
def test_a_truncated_download_leaves_nothing_and_a_retry_succeeds(
    hub: Hub, hub_cache: pathlib.Path, announce_length: bool, part: float
) -> None:
    archive = make_archive(FILES)
    url = hub.serve("/m", cut(archive, int(len(archive) * part), announce_length), whole(archive))
    with pytest.raises(ModelDownloadError) as caught:
        resolver.resolve(url)
    assert url in str(caught.value)
    assert "reelbeam models export" in str(caught.value)
    assert not resolver.is_cached(url)
    assert remains(hub_cache) == []
    assert content(resolver.resolve(url)) == FILES


def test_a_download_cut_between_two_files_is_noticed(hub: Hub, hub_cache: pathlib.Path) -> None:
    """There tarfile sees nothing but an archive's end, and the hub would cache a model without its variables."""
    archive = make_archive(FILES, "w")
    at = archive.index(b"./variables/variables.data")
    url = hub.serve("/m", cut(archive, at, announce_length=False), whole(archive))
    with pytest.raises(ModelDownloadError, match=r"was interrupted: it lacks variables/variables\.data"):
        resolver.resolve(url)
    assert remains(hub_cache) == []
    assert content(resolver.resolve(url)) == FILES


@pytest.mark.parametrize("code", [404, 410, 403])
def test_a_model_that_is_not_there(hub: Hub, hub_cache: pathlib.Path, code: int) -> None:
    url = hub.serve("/gone", status(code))
    with pytest.raises(ModelNotFoundError, match=f"no model at {url}: HTTP {code}"):
        resolver.resolve(url)
    assert remains(hub_cache) == []


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_that_fails_may_be_asked_again(hub: Hub, hub_cache: pathlib.Path, code: int) -> None:
    url = hub.serve("/m", status(code), whole(make_archive(FILES)))
    with pytest.raises(ModelDownloadError, match=rf"cannot fetch {url}: HTTP {code}.*pass --model DIR") as caught:
        resolver.resolve(url)
    assert caught.value.transient
    assert remains(hub_cache) == []
    assert content(resolver.resolve(url)) == FILES


def test_a_refused_connection() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/model?sig=SECRET"
        with pytest.raises(ModelDownloadError, match=r"/model: .*refused.*machine with network, copy DIR") as caught:
            resolver.resolve(url)
    assert "SECRET" not in str(caught.value)


def test_a_server_that_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ModelDownloadError, match="cannot fetch"):
            resolver.resolve(f"http://127.0.0.1:{listener.getsockname()[1]}/model")


def test_a_web_page_is_not_a_model(hub: Hub, hub_cache: pathlib.Path) -> None:
    url = hub.serve("/page", whole(b"<!doctype html>" + b"<p>Sign in</p>" * 1000))
    with pytest.raises(NotASavedModelError, match="other than a model's tar archive"):
        resolver.resolve(url)
    assert remains(hub_cache) == []


def test_an_archive_of_other_files_is_not_a_model(hub: Hub, hub_cache: pathlib.Path) -> None:
    url = hub.serve("/other", whole(make_archive({"a0/saved_model.pb": b"x", "readme.txt": b"y"})))
    with pytest.raises(NotASavedModelError, match=r"holds no saved_model\.pb \(its subfolder a0 has one"):
        resolver.resolve(url)
    assert remains(hub_cache) == []


def test_an_archive_cannot_write_outside_its_folder(hub: Hub, hub_cache: pathlib.Path) -> None:
    evil = hub.serve("/evil", whole(make_archive(FILES | {"../../escaped": b"x"})))
    with pytest.raises(NotASavedModelError, match="holds what no SavedModel does"):
        resolver.resolve(evil)
    assert not list(hub_cache.parent.rglob("escaped"))
    assert remains(hub_cache) == []


def test_a_signature_is_written_nowhere(hub: Hub, hub_cache: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = hub.serve("/m", status(500), whole(make_archive(FILES))) + "?sig=SECRET&empty="
    with pytest.raises(ModelDownloadError) as caught:
        resolver.resolve(url)
    resolver.resolve(url)
    assert hub.requests[-1] == "/m?sig=SECRET&empty=&tf-hub-format=compressed"
    written = b"".join(path.read_bytes() for path in hub_cache.glob("*.txt"))
    assert b"/m" in written
    for text in (str(caught.value), caplog.text, written.decode()):
        assert "SECRET" not in text


def test_a_damaged_cache_is_fetched_again(hub: Hub) -> None:
    url = hub.serve("/m", whole(make_archive(FILES)))
    folder = resolver.resolve(url)
    (folder / "variables" / "variables.data-00000-of-00001").unlink()
    assert not resolver.is_cached(url)
    assert content(resolver.resolve(url)) == FILES
    assert len(hub.requests) == 2


@pytest.mark.slow
def test_a_killed_download_does_not_block_the_next(hub: Hub, hub_cache: pathlib.Path) -> None:
    """Its lock file names a process that is gone; the hub alone would wait for it for 10 to 20 minutes."""
    archive = make_archive(FILES)
    begun, release = threading.Event(), threading.Event()

    def stall(request: http.server.BaseHTTPRequestHandler) -> None:
        cut(archive, len(archive) // 2)(request)
        request.wfile.flush()
        begun.set()
        release.wait(60)

    url = hub.serve("/m", stall, whole(archive))
    code = "import sys; from reelbeam.transforms.models.registry import resolver; resolver.resolve(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        # The temporary folder comes before the request: a process that is killed between them asks for nothing.
        assert begun.wait(120)
        process.send_signal(signal.SIGKILL)
    release.set()
    assert {pathlib.PurePath(name).suffix for name in remains(hub_cache)} == {".lock", ".tmp"}
    assert not resolver.is_cached(url)
    assert content(resolver.resolve(url)) == FILES
    assert not [name for name in remains(hub_cache) if name.endswith((".lock", ".tmp"))]


@pytest.mark.slow
def test_processes_that_want_the_same_model_fetch_it_once(hub: Hub, tmp_path: pathlib.Path) -> None:
    """One holds the hub's lock while the server does not answer; the other comes and waits for it."""
    archive, log = make_archive(FILES), tmp_path / "log"

    def slow(request: http.server.BaseHTTPRequestHandler) -> None:
        wait_until(lambda: log.read_text("utf-8").count("Fetching") == 2, 120)
        whole(archive)(request)

    url = hub.serve("/m", slow)
    code = (
        "import logging, sys; from reelbeam.transforms.models.registry import resolver\n"
        "logging.basicConfig(level=logging.INFO); print(resolver.resolve(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, url]
    with log.open("a") as errors:
        started = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) for _ in range(2)
        ]
        answers = {process.communicate()[0] for process in started}
    assert answers == {f"{resolver.resolve(url)}\n"}
    assert len(hub.requests) == 1


# --- handles that are local


def test_a_folder_is_returned_as_it_is(tmp_path: pathlib.Path) -> None:
    folder = make_folder(tmp_path / "a model", FILES)
    assert resolver.resolve(str(folder)) == folder
    assert resolver.resolve(folder.as_uri()) == folder
    assert resolver.is_cached(str(folder))


def test_a_model_inside_a_package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "some_package_with_model" / "model", FILES)
    (tmp_path / "some_package_with_model" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert content(resolver.resolve("package:some_package_with_model/model")) == FILES
    assert resolver.is_cached("package:some_package_with_model/model")


def test_local_handles_import_nothing_heavy(tmp_path: pathlib.Path) -> None:
    folder = make_folder(tmp_path / "model", FILES)
    code = """
import sys
from reelbeam.transforms.models import loading
from reelbeam.transforms.models.registry import catalog, resolver
resolver.resolve(sys.argv[1])
print([name for name in ("tensorflow", "tensorflow_hub", "openvino", "av", "apache_beam") if name in sys.modules])
"""
    assert run_python(code, str(folder)) == "[]"


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("/no/such/model", "the model folder /no/such/model does not exist"),
        ("package:no_such_package/model", "no package no_such_package is installed"),
        ("package:reelbeam.transforms.models.registry/no_such_model", "no_such_model does not exist"),
        ("package:transforms", "not of the form package:PACKAGE/PATH"),
        ("gs://bucket/model", r"cannot be read from gs:// \(gs://bucket/model\): copy"),
        ("https:///model", "names no server"),
    ],
)
def test_a_handle_that_leads_nowhere(handle: str, message: str) -> None:
    assert not resolver.is_cached(handle)
    with pytest.raises(ModelNotFoundError, match=message) as caught:
        resolver.resolve(handle)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("saved_model.pb", r"holds no saved_model\.pb"),
        ("variables/variables.index", r"lacks variables/variables\.index"),
        ("variables/variables.data-00000-of-00001", r"lacks variables/variables\.data"),
        ("variables", r"lacks variables/variables\.index"),
    ],
)
def test_an_incomplete_folder_is_not_a_saved_model(tmp_path: pathlib.Path, removed: str, message: str) -> None:
    folder = make_folder(tmp_path / "model", FILES)
    victim = folder / removed
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    assert not resolver.is_cached(str(folder))
    with pytest.raises(NotASavedModelError, match=message) as caught:
        resolver.resolve(str(folder))
    assert str(folder) in str(caught.value)


def test_a_missing_shard_is_named(tmp_path: pathlib.Path) -> None:
    shards = {f"variables/variables.data-0000{k}-of-00003": b"x" for k in (0, 2)}
    files = {"saved_model.pb": b"VarHandleOp", "variables/variables.index": b"x", **shards}
    assert saved_model.fault(make_folder(tmp_path / "m", files)) == "lacks variables/variables.data-00001-of-00003"


@pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt"])
def test_a_graph_without_variables_needs_none(tmp_path: pathlib.Path, name: str) -> None:
    assert saved_model.fault(make_folder(tmp_path / "m", {name: b"a graph of constants"})) is None


def test_an_empty_graph_file_is_none(tmp_path: pathlib.Path) -> None:
    assert saved_model.fault(make_folder(tmp_path / "m", {"saved_model.pb": b""})) == "holds no saved_model.pb"


def test_equal_models_have_equal_hashes_wherever_they_lie(tmp_path: pathlib.Path) -> None:
    first = saved_model.content_hash(make_folder(tmp_path / "a", FILES))
    assert saved_model.content_hash(make_folder(tmp_path / "b", FILES | {"assets/readme": b"x"})) == first
    for changed in FILES:
        other = make_folder(tmp_path / changed.replace("/", "_"), FILES | {changed: FILES[changed] + b"."})
        assert saved_model.content_hash(other) != first


def archive_of_folders(count: int, claimed_bytes: int) -> bytes:
    """Returns an archive that has the same folder again and again, each of which claims a size."""
    member = tarfile.TarInfo("a")
    member.type, member.size = tarfile.DIRTYPE, claimed_bytes
    return gzip.compress(member.tobuf() * count)


@pytest.mark.parametrize(
    ("count", "claimed_bytes"), [(2, unpacking.MOST_BYTES // 2 + 1), (unpacking.MOST_FILES + 1, 0)]
)
def test_an_archive_that_unpacks_to_too_much_is_refused(
    hub: Hub, hub_cache: pathlib.Path, count: int, claimed_bytes: int
) -> None:
    url = hub.serve("/bomb", whole(archive_of_folders(count, claimed_bytes)))
    with pytest.raises(
        NotASavedModelError, match=f"holds what no SavedModel does: more than {unpacking.MOST_BYTES} byt"
    ):
        resolver.resolve(url)
    assert remains(hub_cache) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_holds_files_and_folders_only(hub: Hub, hub_cache: pathlib.Path, kind: bytes) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("saved_model.pb")
        member.type, member.linkname = kind, "/etc/hostname"
        archive.addfile(member)
    with pytest.raises(NotASavedModelError, match="'saved_model.pb' is neither a file nor a folder"):
        resolver.resolve(hub.serve("/links", whole(data.getvalue())))
    assert remains(hub_cache) == []


def no_home(monkeypatch: pytest.MonkeyPatch, temporary: pathlib.Path) -> pathlib.Path:
    """Leaves the user neither a home nor settings; returns where the cache will be.

    Every user of this machine has a home, which pwd knows, so the standard library has to be replaced.
    """

    def home() -> pathlib.Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("REELBEAM_CACHE_DIR")
    monkeypatch.setattr(pathlib.Path, "home", home)
    use_temporary_folder(monkeypatch, temporary)
    return temporary / f"reelbeam-cache-{os.getuid()}"


def test_a_cache_in_the_temporary_folder_is_private(
    hub: Hub, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = no_home(monkeypatch, tmp_path)
    assert resolver.resolve(hub.serve("/m", whole(make_archive(FILES)))).is_relative_to(root / "hub")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (root, root / "hub")] == [0o700, 0o700]
    assert cache.folders("hub") == [root / "hub"]


def make_link(folder: pathlib.Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


CLAIMS = {
    "writable by others": lambda folder: folder.chmod(0o777),
    "writable by its group": lambda folder: folder.chmod(0o770),
    "a link": make_link,
    "another user's": lambda folder: os.chown(folder, 65534, 65534),
}


@pytest.mark.parametrize("place", ["", "hub"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_cache_that_others_could_fill_is_not_trusted(
    hub: Hub, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, place: str, claim: str
) -> None:
    if claim == "another user's" and os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    root = no_home(monkeypatch, tmp_path)
    url = hub.serve("/m", whole(make_archive(FILES)))
    (root / "hub").mkdir(parents=True, mode=0o700)
    root.chmod(0o700)
    make_folder(root / "hub" / resolver.cache_name(url), FILES | {"saved_model.pb": b"planted"})
    CLAIMS[claim](root / place)
    with pytest.raises(ModelDownloadError, match=r"is a link, belongs to another user, or can be written by one"):
        resolver.resolve(url)
    assert hub.requests == []
