"""Fixtures: the folder of shared media, bundled samples, and a run of the program in this process."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


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
def quiet_ends() -> Iterator[None]:
    """Puts the loggers' levels back: a command of the program sets them for its whole process."""
    loggers = [logging.getLogger(name) for name in (None, "apache_beam", "pipeline", "transforms")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
