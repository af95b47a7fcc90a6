"""`--model s3://…`: fetched once, checked, never stale, the same on launcher and workers; against a real S3 server."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from duckdb_queries import select
from faulty_proxy import FaultyProxy
from object_stores import BUCKET, S3Server, s3_flags

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.flags.options import parse_flags, to_config
from reelbeam.transforms.classify_clips import MoViNetModelHandler
from reelbeam.transforms.errors import ModelDownloadError, ModelError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.manifest import MANIFEST, content_hash, pin
from reelbeam.transforms.stored_models import fetching
from reelbeam.transforms.stored_models.fetching import MOST_FILES

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "transforms/models/registry/demo"
URI = f"s3://{BUCKET}/models/demo [1]"
PRESET_FLAGS = ["--num_frames=8", "--target_fps=4", "--resize=72", "--size=64"]
_OF_ONE_RUN = {"run_id", "labeled_at", "run"}


@pytest.fixture(autouse=True)
def model_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "_found", {})
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("models") / "exported"
    assert main(["models", "export", "demo", "--to", str(folder)]) == 0
    return folder


def put(s3: S3Server, folder: pathlib.Path, uri: str = URI) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put(f"{uri.removeprefix(f's3://{BUCKET}/')}/{path.relative_to(folder)}", path.read_bytes())


def key(name: str) -> str:
    return f"{URI.removeprefix(f's3://{BUCKET}/')}/{name}"


def spec_of(*flags: str) -> ModelSpec:
    args, _ = parse_flags(["in.mp4", "--output=out", *flags])
    return to_config(args).model


def reads(proxy: FaultyProxy) -> int:
    """How many objects of models were read since this was asked last."""
    number = sum("/models/" in request.path and request.method == "GET" for request in proxy.requests)
    proxy.requests.clear()
    return number


def rows(output: pathlib.Path, table: str) -> list[Any]:
    found = select(f"SELECT * FROM '{output}/{table}/*/*.parquet'").to_arrow_table().to_pylist()
    return sorted(str({name: row[name] for name in row if name not in _OF_ONE_RUN}) for row in found)


def load_on_a_worker(spec: ModelSpec) -> Any:
    """Loads a model as a process does that got the step from a launcher elsewhere."""
    fetching._found.clear()
    config = ClassifierConfig(model=spec, labels=tuple("abcdefghi"), engine="openvino", num_threads=1)
    return MoViNetModelHandler(config).load_model()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exported", "SavedModel"])
def test_rows_are_those_of_a_local_run_and_a_second_start_fetches_nothing(
    kind: str,
    s3: S3Server,
    proxy: FaultyProxy,
    exported: pathlib.Path,
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    model_cache: pathlib.Path,
) -> None:
    flags = []
    if kind == "exported":
        put(s3, exported)
    else:
        put(s3, DEMO)
        flags = [f"--labels=s3://{BUCKET}/{key('labels.txt')}", *PRESET_FLAGS]
    assert main(["label", "--model=demo", str(samples_dir), f"--output={tmp_path / 'local'}"]) == 0
    flags += [f"--model={URI}", *s3_flags(proxy.url)]
    assert main(["label", "--model=demo", str(samples_dir), f"--output={tmp_path / 'remote'}", *flags]) == 0
    for table in ("videos", "clips", "errors"):
        named = [row.replace(f"'model': '{URI}'", "'model': 'demo'") for row in rows(tmp_path / "remote", table)]
        assert named == rows(tmp_path / "local", table)
    number = len([path for path in (exported if kind == "exported" else DEMO).rglob("*") if path.is_file()])
    assert reads(proxy) == number + (kind == "SavedModel")  # each file once, and the labels
    assert (
        main(["label", "--model=demo", str(samples_dir / "growing.mp4"), f"--output={tmp_path / 'second'}", *flags])
        == 0
    )
    assert reads(proxy) == (kind == "SavedModel")
    assert len(list((model_cache / "stored").iterdir())) == 1


FETCH = """
import sys
from reelbeam.pipeline.runners.stores import reach_stores
from reelbeam.transforms.stored_models import fetching
reach_stores(sys.argv[2:])
print(fetching.fetch(sys.argv[1]))
"""


@pytest.mark.slow
def test_processes_that_start_at_once_fetch_it_once(s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path) -> None:
    put(s3, exported)
    proxy.fault = lambda request: "slow" if request.path.endswith("model.bin") else ""
    command = [sys.executable, "-c", FETCH, URI, *s3_flags(proxy.url)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    folders = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    (folder,) = folders
    assert content_hash(pathlib.Path(folder)) == content_hash(DEMO)
    assert reads(proxy) == len(list(exported.iterdir()))


def test_a_changed_model_is_noticed_and_the_one_before_is_still_known(
    s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path
) -> None:
    put(s3, exported)
    before = fetching.fetch(URI)
    changed = (exported / MANIFEST).read_text().replace('"name": "demo"', '"name": "new"')
    s3.put(key(MANIFEST), changed.encode())
    assert spec_of(f"--model={URI}").name == "new"
    assert fetching.fetch(URI) != before
    put(s3, exported)
    proxy.requests.clear()
    assert fetching.fetch(f"{URI}/") == before
    assert spec_of(f"--model={URI}").name == "demo"


def test_workers_take_the_launchers_model_or_none(s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path) -> None:
    put(s3, exported)
    spec = spec_of(f"--model={URI}")
    assert (spec.handle, spec.name, spec.pin) == (URI, "demo", pin(exported))
    assert load_on_a_worker(spec).num_classes == 9
    # Exported again from the same SavedModel, for clips of another length.
    changed = json.loads((exported / MANIFEST).read_text())
    changed["preset"]["num_frames"] += 8
    s3.put(key(MANIFEST), json.dumps(changed).encode())
    assert fetching.localized(spec).pin == pin(exported)  # where it was loaded nothing changes
    with pytest.raises(ModelError, match=r"models/demo \[1\] is no longer the model .* run again"):
        load_on_a_worker(spec)


def test_a_stream_models_kind_is_known(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    from tiny_stream_model import tiny_model

    tiny_model(tmp_path / "tiny")
    put(s3, tmp_path / "tiny")
    assert spec_of(f"--model={URI}", "--labels=mine.txt", *PRESET_FLAGS).kind == "stream"


@pytest.mark.parametrize(("kind", "name"), [("exported", "model.bin"), ("SavedModel", "variables/variables.index")])
def test_a_damaged_copy_is_fetched_again(
    kind: str, name: str, s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path
) -> None:
    source = exported if kind == "exported" else DEMO
    put(s3, source)
    folder = fetching.fetch(URI)
    (folder / name).write_bytes(b"")
    assert fetching.fetch(URI) == folder
    assert (folder / name).read_bytes() == (source / name).read_bytes()


def test_only_a_models_own_files_are_fetched(s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path) -> None:
    put(s3, exported)
    for name in ("../escaped", "variables/../../escaped", "deep/er/file", ".hidden", "/absolute"):
        s3.client.put_object(Bucket=BUCKET, Key=key(name), Body=b"x")
    s3.put("models/demo [10]/beside", b"")
    folder = fetching.fetch(URI)
    assert {path.name for path in folder.rglob("*")} == {path.name for path in exported.iterdir()}
    assert not list(folder.parent.parent.rglob("escaped"))


def nothing(s3: S3Server, exported: pathlib.Path) -> None:
    s3.put("models/demo [1].tar.gz", b"")


def a_file(s3: S3Server, exported: pathlib.Path) -> None:
    s3.put("models/demo [1]", b"")


def damaged(s3: S3Server, exported: pathlib.Path) -> None:
    put(s3, exported)
    s3.put(key("model.bin"), b"0" * 100)


def incomplete(s3: S3Server, exported: pathlib.Path) -> None:
    put(s3, DEMO)
    s3.client.delete_object(Bucket=BUCKET, Key=key("variables/variables.index"))


def no_model(s3: S3Server, exported: pathlib.Path) -> None:
    s3.put(key("video.mp4"), b"")


def a_corpus(s3: S3Server, exported: pathlib.Path) -> None:
    for number in range(MOST_FILES + 1):
        s3.put(key(f"{number}.mp4"), b"")


FAULTS: dict[str, tuple[Any, type[ModelError], str]] = {
    "nothing": (
        nothing,
        ModelNotFoundError,
        rf"{URI} does not exist, or is empty; .*`reelbeam models export NAME --to {URI}`",
    ),
    "a file": (a_file, ModelNotFoundError, rf"{URI} is a file, not the folder of a model; check the address"),
    "damaged": (
        damaged,
        ModelError,
        rf"the exported model {URI} is damaged, model.bin is not .* export the model again",
    ),
    "incomplete": (incomplete, NotASavedModelError, rf"{URI} is not a SavedModel: it lacks variables/variables.index"),
    "no model": (no_model, NotASavedModelError, rf"{URI} holds neither reelbeam_model.json nor saved_model.pb; pass"),
    "corpus": (
        a_corpus,
        NotASavedModelError,
        rf"{URI} holds more than {MOST_FILES} files; pass the folder of one",
    ),
}


@pytest.mark.parametrize(("fault", "kind", "message"), FAULTS.values(), ids=FAULTS)
def test_an_invalid_model_is_refused_and_leaves_nothing(
    fault: Any,
    kind: type[ModelError],
    message: str,
    s3: S3Server,
    proxy: FaultyProxy,
    exported: pathlib.Path,
    tmp_path: pathlib.Path,
    model_cache: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault(s3, exported)
    with pytest.raises(kind, match=message.replace("[", r"\[").replace("]", r"\]")) as caught:
        fetching.fetch(URI)
    assert type(caught.value) is kind
    assert not list(model_cache.glob("stored/*"))
    flags = [f"--model={URI}", f"--output={tmp_path / 'out'}", *s3_flags(proxy.url)]
    assert main(["label", "--model=demo", "in.mp4", *flags]) == 2
    assert f"reelbeam: {caught.value}" in capsys.readouterr().err


def test_a_file_in_a_bucket_is_named_for_what_it_is(s3: S3Server, proxy: FaultyProxy) -> None:
    s3.put("models/m.tflite", b"x")
    with pytest.raises(
        NotASavedModelError, match=rf"s3://{BUCKET}/models/m.tflite is a TensorFlow Lite model: pass the"
    ):
        fetching.fetch(f"s3://{BUCKET}/models/m.tflite")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://no-such-bucket/model", "no model can be read at s3://no-such-bucket/model: .*does not exist"),
        ("s3:///model", "no model can be read at s3:///model: .*names no bucket"),
        ("nowhere://bucket/model", "no model can be read at nowhere://bucket/model: no file system"),
    ],
)
def test_places_that_are_none(uri: str, message: str, proxy: FaultyProxy) -> None:
    with pytest.raises(ModelNotFoundError, match=message):
        fetching.fetch(uri)


@pytest.mark.parametrize("place", ["list-type", "model.bin"])
@pytest.mark.parametrize(("status", "code"), [("503", 1), ("403", 2)])
@pytest.mark.parametrize("command", ["label", "plan"])
@pytest.mark.usefixtures("quick_retries")
def test_a_store_that_does_not_respond_is_not_a_wrong_flag(
    command: str,
    status: str,
    code: int,
    place: str,
    s3: S3Server,
    proxy: FaultyProxy,
    exported: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(s3, exported)
    proxy.fault = lambda request: status if place in request.path else ""
    assert main([command, "in.mp4", f"--model={URI}", f"--output={tmp_path / 'out'}", *s3_flags(proxy.url)]) == code
    message = capsys.readouterr().err
    assert URI in message and "Traceback" not in message and ("run again later" in message) == (code == 1)


def test_a_model_that_is_written_while_it_is_fetched(
    s3: S3Server, proxy: FaultyProxy, exported: pathlib.Path, model_cache: pathlib.Path
) -> None:
    put(s3, exported)

    def overwrite(request: Any) -> str:
        if request.path.endswith("model.bin"):
            s3.put(key("model.bin"), b"other")
        return ""

    proxy.fault = overwrite
    with pytest.raises(ModelDownloadError, match=r"model\.bin changed after it was listed; run again"):
        fetching.fetch(URI)
    assert not list(model_cache.glob("stored/*"))


def test_a_saved_model_needs_its_flags(s3: S3Server, proxy: FaultyProxy, capsys: pytest.CaptureFixture[str]) -> None:
    put(s3, DEMO)
    assert (
        main(["label", "--model=demo", "in.mp4", "--output=out", f"--model={URI}", "--labels=x", *s3_flags(proxy.url)])
        == 2
    )
    assert f"--model {URI} is not in the catalog: it needs --num_frames, --target_fps" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("", 2), ("503", 1)])
@pytest.mark.usefixtures("quick_retries")
def test_labels_that_cannot_be_read(
    status: str,
    code: int,
    s3: S3Server,
    proxy: FaultyProxy,
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    proxy.fault = lambda request: status if "mine.txt" in request.path else ""
    flags = [f"--output={tmp_path / 'out'}", f"--labels=s3://{BUCKET}/mine.txt", *s3_flags(proxy.url)]
    assert main(["label", "--model=demo", str(samples_dir), *flags]) == code
    assert f"cannot read the label file s3://{BUCKET}/mine.txt: " in capsys.readouterr().err


def test_an_export_into_a_bucket(
    s3: S3Server,
    proxy: FaultyProxy,
    exported: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "export", "demo", "--to", URI, *s3_flags(proxy.url)]) == 0
    assert capsys.readouterr().out == f"{URI}\n"
    puts = [request.path for request in proxy.requests if request.method in ("PUT", "POST")]
    assert MANIFEST in puts[-1]
    assert main(["models", "fetch", URI, *s3_flags(proxy.url)]) == 0
    fetched = pathlib.Path(capsys.readouterr().out.strip())
    assert {path.name for path in fetched.iterdir()} == {path.name for path in exported.iterdir()}
    assert content_hash(fetched) == content_hash(DEMO)
    assert main(["models", "export", URI, "--to", str(tmp_path / "again"), *s3_flags(proxy.url)]) == 0
    assert f'"source": "{URI}"' in (tmp_path / "again" / MANIFEST).read_text()
    assert main(["models", "export", "demo", "--to", URI, *s3_flags(proxy.url)]) == 2
    assert f"--to {URI}: something is there already; name a new folder" in capsys.readouterr().err
    proxy.fault = lambda request: "403" if request.method == "PUT" else ""
    assert main(["models", "export", "demo", "--to", f"{URI}-2", *s3_flags(proxy.url)]) == 2
    assert f"--to {URI}-2 cannot be written: " in capsys.readouterr().err
