"""The folder for temporary files."""

from __future__ import annotations

import pathlib
import tempfile

import pytest


def use_temporary_folder(patch: pytest.MonkeyPatch, folder: pathlib.Path) -> None:
    """Has this process and those that it starts keep temporary files in a folder, which may be missing.

    `tempfile.tempdir` is the documented way: this process has read $TMPDIR before.
    """
    patch.setenv("TMPDIR", str(folder))
    patch.setattr(tempfile, "tempdir", str(folder))
