"""docs/security.md is correct: the commands, flags, limits, permissions and files that it names."""

from __future__ import annotations

import json
import os
import pathlib
import re
import stat

import pytest
from temporary import use_temporary_folder

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.flags.label_parser import label_parser
from reelbeam.transforms.models.registry import cache, unpacking
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.run_files import write_atomically
from reelbeam.transforms.stored_models import fetching

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/security.md").read_text("utf-8")


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.+?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return found


def test_the_readme_links_to_it_and_it_says_how_to_report() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.count("](docs/security.md)") == 1
    assert "](../SECURITY.md)" in TEXT and (ROOT / "SECURITY.md").is_file()
    for anchor in re.findall(r"docs/security\.md#([\w-]+)", readme) + re.findall(r"\]\(#([\w-]+)\)", TEXT):
        assert anchor in {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", TEXT, re.M)}


def test_every_file_and_flag_that_it_names_is_there() -> None:
    named = re.findall(r"`((?:templates|transforms)/[\w/.-]+)`", TEXT)
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []
    flags = {name for action in label_parser()._actions for name in action.option_strings}
    foreign = {
        "--runner",
        "--job_endpoint",
        "--environment_type",
        "--job-host",
        "--serve_http",
        "--net",
        "--version",
        "--to",
        "--reach",
        "--no_images",
        "--truth",
        "--write_thresholds",
        "--thresholds",
    }
    assert set(re.findall(r"--[a-z][\w-]+", TEXT)) - flags - foreign == set()


def test_every_command_is_in_the_table_of_contacts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    (commands,) = re.findall(r"^ +COMMAND +(.+(?:\n {5,}.+)*)", capsys.readouterr().out, re.M)
    known = set(re.findall(r"\w+", commands))
    rows = re.findall(r"^\| (`.+?) \|", section("What contacts whom"), re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == known


def test_the_limits_are_those_of_the_code() -> None:
    models = section("Models are code").replace("\n", " ")
    assert unpacking.MOST_BYTES == fetching._MOST_BYTES == 8 << 30
    assert f"unpack to 8 GiB and {unpacking.MOST_FILES:,} files" in models
    assert f"8 GiB and {fetching.MOST_FILES:,} files" in models
    assert "--allow_unconfined_decoder" in section("The decoder")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_an_output_follows_the_umask(umask: int, mode: int, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    before = os.umask(umask)
    try:
        write_atomically(f"{output}/runs/r1.json", lambda sink: sink.write(json.dumps({}).encode()))
        with OutputLock(LockTicket(str(output), "r1")):
            pass
    finally:
        os.umask(before)
    files = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".guard"]
    assert {path.name for path in files} == {"r1.json", "lock.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {mode}
    assert {stat.S_IMODE(path.stat().st_mode) for path in output.rglob("*") if path.is_dir()} == {0o777 & ~umask}


def test_the_cache_of_the_temporary_folder_is_private_with_any_umask(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_temporary_folder(monkeypatch, tmp_path)
    before = os.umask(0)
    try:
        folder = cache._own_fallback("hub")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]
