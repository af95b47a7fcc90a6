"""`reelbeam models`, `reelbeam probe` and the program's own help."""

from __future__ import annotations

import pathlib

import data_generation as generate
import pytest

from reelbeam.pipeline import __version__
from reelbeam.pipeline.cli import main
from reelbeam.transforms.models.registry.catalog import CATALOG


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def test_models_lists_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert set(CATALOG) <= set(lines)
    assert "72.28" in lines["a0-base"] and "no" in lines["a0-stream"] and "yes" in lines["demo"]


def test_fetching_the_bundled_model_prints_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "demo"]) == 0
    assert (pathlib.Path(capsys.readouterr().out.strip()) / "saved_model.pb").is_file()


def test_fetching_what_is_not_there_is_a_bad_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "a9-base"]) == 2
    assert "a5-base" in capsys.readouterr().err


def test_probe_prints_the_streams_of_files(samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(samples_dir / "moving_left.mp4")]) == 0
    assert "h264" in capsys.readouterr().out
    assert main(["probe", str(samples_dir)]) == 1
    printed = capsys.readouterr().out
    assert "rotated 90°" in printed and "not_a_video" in printed and "vp9" in printed


def test_probe_names_bridged_jumps_of_the_clock(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = generate.make_video(tmp_path / "part.ts", 10)
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 3)
    assert main(["probe", str(tmp_path / "joined.ts")]) == 0
    assert "clock jumps bridged: 2" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["--version"])
    assert exit_info.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["labell"], ["--frobnicate"]])
def test_an_unknown_command_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(argv)
    assert exit_info.value.code == 2
