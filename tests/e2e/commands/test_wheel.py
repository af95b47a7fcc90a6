"""The installed package: a wheel, built from the checkout, works outside of the checkout."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile

import pytest
from duckdb_queries import select

ROOT = pathlib.Path(__file__).resolve().parents[3]


def run(*command: object, cwd: pathlib.Path, env: dict[str, str] | None = None) -> str:
    """Returns what a command prints on stdout. PYTHONPATH, which could lead back to the checkout, is not passed on."""
    kept = {name: value for name, value in (env or dict(os.environ)).items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def checked_out(*folders: str) -> list[str]:
    """Returns the files of the checkout that git does not ignore, by their names below its root."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders, cwd=ROOT)
    return [name for name in listed.rstrip("\0").split("\0") if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built from a copy of the checkout, so that it leaves no build/ there, nor takes files of an older one."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in checked_out():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name, follow_symlinks=False)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, f"--wheel-dir={folder}", folder / "source", cwd=folder)
    (built,) = folder.glob("reelbeam-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    linked = {f"reelbeam/{name}" for name in checked_out("pipeline", "transforms")}
    own = {name for name in checked_out("reelbeam") if not (ROOT / name).is_symlink()}
    assert held == linked | own


@pytest.mark.slow
def test_a_source_distribution_gives_the_same_wheel(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Runners send the package to their workers as a source distribution; the links are files in it."""
    run(sys.executable, "setup.py", "--quiet", "sdist", f"--dist-dir={tmp_path}", cwd=wheel.parent / "source")
    (source,) = tmp_path.glob("reelbeam-*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, f"--wheel-dir={tmp_path}", source, cwd=tmp_path)
    (built,) = tmp_path.glob("reelbeam-*.whl")
    with zipfile.ZipFile(wheel) as expected, zipfile.ZipFile(built) as found:
        names = [name for name in expected.namelist() if ".dist-info/" not in name]
        assert [name for name in found.namelist() if ".dist-info/" not in name] == names
        assert all(found.read(name) == expected.read(name) for name in names)


@pytest.mark.slow
def test_an_installed_wheel_labels_the_bundled_videos_far_from_the_checkout(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The environment has the dependencies of this one, and the package from the wheel only."""
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    installed = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*installed, wheel, cwd=tmp_path)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but .pth files in it, such as an editable install's, are not read.
    borrowed = [path for path in sys.path if pathlib.Path(path).name in ("site-packages", "dist-packages")]
    (packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shown = "import reelbeam.pipeline; print(reelbeam.pipeline.__path__[0])"
    found = run(python, "-c", shown, cwd=elsewhere).split()
    assert found == [str(packages / "reelbeam" / "pipeline")]
    assert {path.name for path in packages.iterdir() if path.name.startswith(("pipeline", "transforms"))} == set()

    environment = dict(os.environ) | {"REELBEAM_CACHE_DIR": str(tmp_path / "cache")}
    program = tmp_path / "env" / "bin" / "reelbeam"
    flags = ["--model=demo", f"--output={tmp_path / 'out'}", "--report", "--summary_json"]
    printed = run(
        program, "label", packages / "reelbeam" / "pipeline" / "demo" / "videos", *flags, cwd=elsewhere, env=environment
    )
    counts = json.loads(printed.splitlines()[-1])["counts"]
    assert {name: counts[name] for name in ("videos", "ok", "partial", "failed")} == {
        "videos": 10,
        "ok": 9,
        "partial": 0,
        "failed": 1,
    }
    rows = select(
        f"SELECT parse_filename(video_uri, true), top_label FROM '{tmp_path}/out/videos/*/*.parquet' "
        "WHERE status = 'ok'"
    ).fetchall()
    assert len(rows) == 9 and all(label == name.replace("_", " ") for name, label in rows)
    assert "moving left" in (tmp_path / "out/report.html").read_text("utf-8"), "the page's templates are in the wheel"
    assert not list(elsewhere.iterdir())
