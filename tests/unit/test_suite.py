"""The suite itself: it leaves the caches of whoever runs it alone."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile

import pytest

from transforms.models import cache

_FOLDERS = """
import json, tempfile
from transforms.models import cache
found = [str(folder) for name in ("hub", "openvino", "compiled") for folder in cache.folders(name)]
print(json.dumps([tempfile.gettempdir(), str(cache.writable_folder("hub")), *found]))
"""


def test_tests_and_the_programs_that_they_start_use_caches_of_the_suite(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    suite = tmp_path_factory.getbasetemp().parent
    here = [pathlib.Path(tempfile.gettempdir()), cache.writable_folder("hub")]
    here += [folder for name in ("hub", "openvino", "compiled", "stored", "unpacked") for folder in cache.folders(name)]
    done = subprocess.run([sys.executable, "-c", _FOLDERS], capture_output=True, text=True, check=True)
    for folder in [*here, *map(pathlib.Path, json.loads(done.stdout))]:
        assert folder.is_relative_to(suite), folder
