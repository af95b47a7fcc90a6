"""Own functions for URIs and patterns agree with Beam's, which they replace where Beam is not needed."""

from __future__ import annotations

import itertools
import re
import warnings

import pytest
from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.storage.uris import Pattern, joined, local_path, scheme_of, sibling

URIS = [
    *("s3://b/k", " s3://b/k", "\u2003gs://b", "hdfs+x.1-y://h/p", "1s3://b", "s3:/b/k", "/a/b.mp4", "a://", "://b"),
    *("", "file:///a", "ſ3://b", "S3://b/k", "a b://c", "x\ny://z", "/x/s3://y"),
]


@pytest.mark.parametrize("uri", URIS)
def test_schemes_are_those_of_beam(uri: str) -> None:
    assert scheme_of(uri) == FileSystems.get_scheme(uri)


@pytest.mark.parametrize("folder", ["/out", "/out/", "/"])
def test_local_paths_are_joined_as_beam_joins_them(folder: str) -> None:
    names = ("videos", "run=1", "part-0.parquet")
    assert joined(folder, *names) == FileSystems.join(folder, *names)
    assert sibling(joined(folder, *names), "x") == FileSystems.join(FileSystems.split(joined(folder, *names))[0], "x")


@pytest.mark.parametrize("folder", ["s3://b", "s3://b/", "s3://b/k", "s3://b/k/", "s3://b/k//"])
def test_remote_paths_are_joined_as_beam_joins_them(folder: str) -> None:
    names = ("videos", "run=1", "part-0.parquet")
    assert joined(folder, *names) == FileSystems.join(folder, *names)
    assert sibling("s3://b/k/a.json", "b") == "s3://b/k/b"


def test_patterns_match_what_beams_patterns_match() -> None:
    parts = ["a", "/", "*", "**", "?", "[", "]", "\\", ".", "\n"]
    parts += ["[ab]", "[!a]", "[^a]", "[]a]", "[!]a]", "[[]", "[\\]"]
    names = ["".join(each) for size in (1, 2, 3) for each in itertools.product("ab/[]\\^!.\n", repeat=size)]
    for pattern in ("".join(each) for size in (1, 2, 3) for each in itertools.product(parts, repeat=size)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            beams = re.compile(FileSystem.translate_pattern(pattern + "*" * pattern.endswith("/")))
        own = Pattern(pattern)
        found = [name for name in names if own.matches(name)]
        assert found == [name for name in names if beams.match(name)], pattern


def test_patterns_compile_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Pattern("s3://b/x[[]1]*[a[b]").matches("s3://b/x[1]z[")
    assert local_path("s3://b/x") is None
