"""Clients of stores that are left out of a start are imported for the first remote URI."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib.util, sys
from reelbeam.transforms.storage.stores import optional_modules
optional_modules.leave_out([*optional_modules.UNUSED, *optional_modules.SERVICES, *optional_modules.FILE_SYSTEMS])
try:
    import pandas
except ModuleNotFoundError as error:
    assert error.name == "pandas"
else:
    raise AssertionError("pandas was imported")
from apache_beam.io.filesystem import FileSystem
def schemes():
    return {kind.scheme() for kind in FileSystem.get_all_subclasses()}
assert schemes() == {None}, schemes()
assert "boto3" not in sys.modules
from reelbeam.transforms import errors, storage
try:
    storage.stat(sys.argv[1])
except errors.StorageError as error:
    print(type(error).__name__)
assert {None, "s3", "gs", "hdfs"} <= schemes(), schemes()
"""


@pytest.mark.parametrize(("uri", "error"), [("s3://bucket", "ObjectNotFoundError"), ("x://y/z", "UnsupportedUriError")])
def test_file_systems_are_imported_for_the_first_remote_uri(uri: str, error: str) -> None:
    pytest.importorskip("boto3")
    done = subprocess.run([sys.executable, "-c", PROGRAM, uri], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{error}\n"), done.stderr
