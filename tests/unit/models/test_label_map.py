"""Label files: what is read, what is refused, and what the message says."""

from __future__ import annotations

import hashlib
import pathlib

import pytest

from reelbeam.transforms.errors import LabelMapError
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels


def write(folder: pathlib.Path, content: bytes) -> pathlib.Path:
    path = folder / "labels.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"archery\ntai chi\n",
        b"archery\ntai chi",
        b"archery\r\ntai chi\r\n",
        b"\xef\xbb\xbfarchery\ntai chi\n",
        b"archery  \n\ttai chi\n",
    ],
    ids=["final newline", "no final newline", "windows", "byte order mark", "blanks around"],
)
def test_every_common_form_reads_the_same(tmp_path: pathlib.Path, content: bytes) -> None:
    loaded = LabelMap.load(write(tmp_path, content))
    assert loaded.labels == ("archery", "tai chi")
    assert loaded == LabelMap(("archery", "tai chi"))
    assert loaded.sha256 == hashlib.sha256(b"archery\ntai chi\n").hexdigest()


def test_only_newlines_separate_labels(tmp_path: pathlib.Path) -> None:
    text = "caf\u00e9 crawl\none\u2028label\n"
    assert LabelMap.load(write(tmp_path, text.encode())).labels == ("café crawl", "one\u2028label")


def test_the_digest_follows_the_order() -> None:
    assert LabelMap(("a", "b")).sha256 != LabelMap(("b", "a")).sha256
    assert LabelMap(("a", "b")).sha256 != LabelMap(("ab",)).sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no labels"),
        (b"\n", "line 1: empty"),
        (b"a\n\nb\n", "line 2: empty"),
        (b"a\nb\n\n", "line 3: empty"),
        (b"a\n \nb\n", "line 2: empty"),
        (b"a\nb\nc\nb\n", "line 4: 'b' is on line 2 already"),
        (b"a\nb\na ", "line 3: 'a' is on line 1 already"),
        (b"a\n\xff\n", r"is not UTF-8 text \(byte 2\)"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: pathlib.Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(LabelMapError, match=message) as caught:
        LabelMap.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabelMapError, match=r"gone\.txt: No such file.*--labels"):
        LabelMap.load(tmp_path / "gone.txt")


def test_check_names_both_numbers_and_the_file(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, b"a\nb\nc\n")
    labels = LabelMap.load(path)
    labels.check(3)
    with pytest.raises(LabelMapError) as caught:
        labels.check(600)
    for part in (str(path), "3 labels", "600 scores", "--labels"):
        assert part in str(caught.value)


def test_labels_resolve_from_a_path_a_file_url_and_a_package(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, b"a\n")
    assert resolve_labels(str(path)) == path
    assert resolve_labels(path.as_uri()) == path
    bundled = resolve_labels("package:reelbeam.transforms.models.registry/labels/kinetics_600.txt")
    assert bundled.name == "kinetics_600.txt"
    assert bundled.is_file()


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("kinetics600", r"--labels kinetics600: no such file; did you mean kinetics-600\?"),
        ("/no/such/labels.txt", "--labels /no/such/labels.txt: no such file; correct the path"),
        (
            "package:reelbeam.transforms.models.registry/labels/other.txt",
            "--labels .*other.txt: no such file; correct the path",
        ),
        ("package:no_such_package/labels.txt", "no package no_such_package is installed"),
        ("https://host/labels.txt?sig=SECRET", "cannot be read from https://host/labels.txt: copy"),
    ],
)
def test_labels_that_are_nowhere_are_refused(handle: str, message: str) -> None:
    with pytest.raises(LabelMapError, match=message) as caught:
        resolve_labels(handle)
    assert "SECRET" not in str(caught.value)


def test_a_folder_is_not_a_label_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabelMapError, match="no such file"):
        resolve_labels(str(tmp_path))
