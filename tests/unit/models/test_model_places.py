"""Where a model may be, besides in a folder: at several addresses, in an archive; and how other files are refused."""

from __future__ import annotations

import pathlib
import re
import socket
import subprocess
from typing import Literal

import pytest
from model_hub import FILES, Hub, content, make_archive, make_zip, remains, status, whole
from processes import program

from reelbeam.pipeline.flags import options
from reelbeam.transforms.errors import ModelDownloadError, ModelError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.registry import resolver

ROOT = pathlib.Path(__file__).resolve().parents[3]


pytestmark = pytest.mark.usefixtures("hub_cache")


# --- models with several addresses


def refused() -> str:
    """An address without a listener."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/model"


@pytest.mark.parametrize("fault", ["refused", "404", "503", "page"])
def test_where_one_address_does_not_answer_the_other_is_tried_and_said(
    fault: str, hub: Hub, hub_cache: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    if fault == "refused":
        first, reason = refused(), "cannot fetch .*refused"
    elif fault == "page":
        first = hub.serve("/first", whole(b"<!doctype html>" + b"<p>We have moved</p>" * 1000))
        reason = "answered with something other than a model's tar archive"
    else:
        first, reason = hub.serve("/first", status(int(fault))), f"HTTP {fault}"
    second = hub.serve("/second", whole(make_archive(FILES)))
    assert resolver.used_address(first, [second]) == first
    assert content(resolver.resolve(f"{first}?sig=SECRET", [second])) == FILES
    (line,) = [
        record.getMessage()
        for record in caplog.records
        if record.name == "reelbeam.transforms.models.registry.resolver"
    ]
    assert re.fullmatch(rf".*{reason}.*; the model was fetched from {second} instead", line)
    assert first in line and "SECRET" not in caplog.text
    assert resolver.used_address(first, [second]) == second
    assert resolver.is_cached(first, [second]) and not resolver.is_cached(first)
    asked = len(hub.requests)
    assert content(resolver.resolve(first, [second])) == FILES
    assert len(hub.requests) == asked


def test_the_first_address_is_enough_where_it_answers(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    first = hub.serve("/first", whole(make_archive(FILES)))
    assert content(resolver.resolve(first, [refused()])) == FILES
    assert resolver.used_address(first, [refused()]) == first
    assert "instead" not in caplog.text


@pytest.mark.parametrize(
    ("codes", "kind"),
    [((404, 503), ModelDownloadError), ((503, 404), ModelDownloadError), ((404, 410), ModelNotFoundError)],
)
def test_where_no_address_answers_all_are_named(
    codes: tuple[int, int], kind: type[ModelError], hub: Hub, hub_cache: pathlib.Path
) -> None:
    first, second = (hub.serve(f"/{number}", status(code)) for number, code in enumerate(codes))
    with pytest.raises(kind, match=rf"{first}: HTTP {codes[0]}.*{second}: HTTP {codes[1]}") as caught:
        resolver.resolve(first, [second])
    assert str(caught.value).count("reelbeam models export") == 1
    assert remains(hub_cache) == []


def test_a_hub_that_cannot_be_reached_is_one_line(hub_cache: pathlib.Path) -> None:
    """TensorFlow, which the hub's client imports, logs lines of its own before its logging can be turned off."""
    command = program("models", "fetch", refused())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("reelbeam: cannot fetch http://127.0.0.1:")


# --- handles that are local


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.tflite", "m.tflite is a TensorFlow Lite model: pass the folder of the SavedModel that it was made from"),
        ("saved_model.pb", "saved_model.pb is the graph of a SavedModel, and its weights .* beside it: pass {folder}"),
        ("frozen.pb", "frozen.pb is a TensorFlow graph without its folder: save it as a SavedModel"),
        ("m.h5", "m.h5 is a Keras model: write it with `model.export"),
        ("m.KERAS", "m.KERAS is a Keras model: "),
        ("m.pt", "m.pt is a PyTorch model: convert it to a SavedModel"),
        ("m.onnx", "m.onnx is an ONNX model: convert it to a SavedModel"),
        ("model.xml", "model.xml is a part of an OpenVINO model: pass .* or one that `reelbeam models export` wrote"),
        (
            "m.dat",
            "m.dat is a file: pass a catalog name, a URL, the folder of a SavedModel or of an exported model, "
            "or a local archive",
        ),
    ],
)
def test_of_a_file_it_is_said_what_it_is_and_what_to_pass(tmp_path: pathlib.Path, name: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    args, _ = options.parse_flags(["a.mp4", "--output=o", f"--model={path}"])
    for refuse in (lambda: resolver.resolve(str(path)), lambda: options.to_config(args)):
        with pytest.raises(NotASavedModelError, match=f"{tmp_path}/{message.format(folder=tmp_path)}"):
            refuse()
    assert not resolver.is_cached(str(path))
    if name not in ("saved_model.pb", "m.dat"):
        with pytest.raises(NotASavedModelError, match=rf"holds no saved_model\.pb \(its {name} is an? "):
            resolver.resolve(str(tmp_path))


@pytest.mark.parametrize("form", ["w:gz", "w", "zip"])
@pytest.mark.parametrize("inner", ["", "a0/"])
def test_an_archive_is_unpacked_once(
    tmp_path: pathlib.Path, form: Literal["w:gz", "w", "zip"], inner: str, hub_cache: pathlib.Path
) -> None:
    files = {f"{inner}{name}": data for name, data in FILES.items()}
    path = tmp_path / {"w:gz": "m.tar.gz", "w": "m.tar", "zip": "m.ZIP"}[form]
    path.write_bytes(make_zip(files) if form == "zip" else make_archive(files, form))
    folder = resolver.resolve(str(path))
    assert content(folder) == FILES
    assert resolver.resolve(path.as_uri()) == folder and resolver.is_cached(str(path))
    assert len(list((hub_cache.parent / "unpacked").iterdir())) == 1
    preset = ["--num_frames=2", "--target_fps=2", "--resize=8", "--size=8", "--labels=l.txt"]
    args, _ = options.parse_flags(["a.mp4", "--output=o", f"--model={path}", *preset])
    spec = options.to_model_spec(args)
    assert (spec.name, spec.handle) == (str(path), str(folder))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.tar.gz", b"no archive", "cannot be unpacked"),
        ("m.zip", b"no archive", "cannot be unpacked"),
        ("m.tar.gz", make_archive(FILES)[:-1000], "cannot be unpacked"),
        ("m.tar", make_archive(FILES | {"../escaped": b"x"}, "w"), "cannot be unpacked: .* leads out of the folder"),
        ("m.tar", make_archive({"a/b/saved_model.pb": b"x"}, "w"), r"is not the archive of a model: it holds no saved"),
        (
            "m.zip",
            make_zip({"../escaped": b"x", "readme.md": b"x"}),
            r"is not the archive of a model: it holds no saved",
        ),
    ],
)
def test_an_archive_that_is_none_or_leads_out_of_its_folder_is_refused(
    tmp_path: pathlib.Path, name: str, data: bytes, message: str, hub_cache: pathlib.Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(NotASavedModelError, match=message):
        resolver.resolve(str(tmp_path / name))
    assert not list((hub_cache.parent / "unpacked").glob("*"))
    assert not list(tmp_path.rglob("escaped"))
