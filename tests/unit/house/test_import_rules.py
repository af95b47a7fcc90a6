"""Which room may import which."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py")])

DATA_MODEL = {
    "beam_compat",
    "errors",
    "records",
    "schemas",
    "reference",
    "metrics",
    "redaction",
    "wording",
    "typed_json",
}
STARTS = {"pipeline.__main__", "pipeline.cli", "pipeline.flex_template"}

MAY_IMPORT = {  # beside its own files
    "data model": "",
    "storage": "data model",
    "inputs": "data model, storage",
    "output": "data model, storage",
    "selection": "data model, storage, inputs, output",
    "media": "data model",
    "media.sampling": "data model",
    "media.container": "data model, media",
    "media.codecs": "media.container",
    "media.timing": "media, media.container, media.codecs",
    "media.decoding": "data model, media, media.sampling, media.container, media.codecs, media.timing",
    "media.sandbox": "data model, media, media.sampling, media.container, media.timing, media.decoding",
    "models.registry": "data model",
    "models.engines": "data model, models.registry",
    "models": "data model, models.registry, models.engines",
    "stored_models": "data model, storage, models.registry",
    "filmstrips": "data model, storage, output, media, media.*",
    "evaluation": "data model, storage, output, models.registry",
    "labeling": "data model, storage, inputs, output, media, media.*, models, models.*, stored_models",
    "steps": "data model, storage, output, media, media.*, models, models.*, stored_models, labeling",
    "pipeline": "",
    "pipeline.demo": "",
    "pipeline.terminal": "data model",
    "pipeline.settings": "data model, storage, selection, output, media, media.*, models, models.*, labeling",
    "pipeline.costs": "data model, output, media.sampling, models.registry, pipeline.settings",
    "pipeline.runners": "data model, media.sandbox, models, pipeline.terminal, pipeline.settings",
    "pipeline.flags": "data model, storage, stored_models, media, media.*, models.*, pipeline.terminal, "
    "pipeline.settings",
    "pipeline.job": "all of transforms, pipeline, pipeline.terminal, pipeline.settings, pipeline.runners, "
    "pipeline.costs",
    "pipeline.reports": "data model, storage, output, evaluation, selection, filmstrips, models, models.*, "
    "stored_models, pipeline, pipeline.terminal, pipeline.settings, pipeline.job, pipeline.reports.page",
    "pipeline.reports.page": "data model, output, evaluation, filmstrips",
    "pipeline.doctor": "all of transforms, pipeline, pipeline.demo, pipeline.terminal, pipeline.settings, "
    "pipeline.runners, pipeline.flags, pipeline.job",
    "pipeline.commands": "all of transforms, pipeline, pipeline.terminal, pipeline.settings, pipeline.runners, "
    "pipeline.costs, pipeline.flags, pipeline.job, pipeline.reports, pipeline.reports.page, pipeline.doctor",
    "pipeline.api": "all of transforms, pipeline, pipeline.terminal, pipeline.settings, pipeline.flags, pipeline.job",
    "start": "data model, storage, pipeline, pipeline.*",
}
MAY_KNOW_BEAM = {"data model", "storage", "inputs", "output", "selection", "stored_models", "steps"}
HEAVY = {"tensorflow", "tensorflow_hub", "openvino"}


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """Returns the name of the room that a module is in, as MAY_IMPORT has it; "" for a room that it does not have."""
    if module in STARTS:
        return "start"
    inner = module.removeprefix("transforms.")
    if inner.partition(".")[0] in DATA_MODEL or module == "transforms":
        return "data model"
    rooms = (name for name in MAY_IMPORT if inner == name or inner.startswith(f"{name}."))
    found = max(rooms, key=len, default="")
    if found in ("media", "models", "pipeline") and is_folder(module) and inner != found:
        return ""
    return found or ("" if "." in inner or is_folder(module) else "steps")


def may_import(own: str, other: str) -> bool:
    allowed = MAY_IMPORT[own].split(", ")
    parent = other.partition(".")[0]
    is_allowed = (
        other in allowed
        or f"{parent}.*" in allowed
        or ("all of transforms" in allowed and parent not in ("pipeline", "start"))
    )
    return other == own or is_allowed


def imports(path: pathlib.Path) -> Iterator[tuple[str, bool]]:
    """Yields each imported module and whether the import is at the top of the file."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = {id(x) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for x in ast.walk(node)}
    for node in ast.walk(tree):
        at_top = id(node) not in inside
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if is_module(inner) else node.module), at_top


def strings(path: pathlib.Path) -> Iterator[str]:
    """Yields the strings of a file that are values: docstrings may refer to any module."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def is_module(name: str) -> bool:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py").exists() or is_folder(name)


def is_folder(name: str) -> bool:
    return ROOT.joinpath(*name.split("."), "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_never_point_upward(path: pathlib.Path) -> None:
    own = room(module_name(path))
    assert own, f"{module_name(path)} is in no room that MAY_IMPORT has"
    for imported, _ in imports(path):
        assert imported.split(".")[0] not in ("pipeline", "transforms"), f"{path}: write reelbeam.{imported}"
        if imported.startswith("reelbeam."):
            imported = imported.removeprefix("reelbeam.")
            assert may_import(own, room(imported)), f"{module_name(path)} ({own}) imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_strings_name_no_module_above(path: pathlib.Path) -> None:
    own = room(module_name(path))
    for text in strings(path):
        for named in re.findall(r"reelbeam\.((?:pipeline|transforms)\.[\w.]+)", text):
            assert may_import(own, room(named)), f"{module_name(path)} ({own}) names {named}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_libraries_stay_in_their_rooms(path: pathlib.Path) -> None:
    own = room(module_name(path))
    for imported, at_top in imports(path):
        library = imported.split(".")[0]
        if library == "av":
            assert own.startswith("media"), f"{module_name(path)} imports av"
        if library in HEAVY:
            assert own.startswith("models"), f"{module_name(path)} imports {library}"
            assert not at_top, f"{module_name(path)} imports {library} at the top"
        if library == "apache_beam":
            knows = own in MAY_KNOW_BEAM or own.startswith("pipeline") or own == "start"
            assert knows, f"{module_name(path)} ({own}) imports Beam"


def test_no_room_is_above_itself() -> None:
    above: dict[str, set[str]] = {
        own: {other for other in MAY_IMPORT if may_import(own, other)} - {own} for own in MAY_IMPORT
    }
    while above:
        ground = {own for own, others in above.items() if not others & above.keys()}
        assert ground, f"a circle of rooms: {sorted(above)}"
        above = {own: others for own, others in above.items() if own not in ground}


def test_every_room_was_read() -> None:
    assert {room(module_name(path)) for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES} - {ROOT / "transforms", ROOT / "pipeline"}))
def test_a_room_says_what_each_of_its_files_is_for(folder: pathlib.Path) -> None:
    text = (folder / "__init__.py").read_text("utf-8")
    assert {path.name for path in folder.glob("*.py") if path.stem not in text} == {"__init__.py"}


def test_no_folder_is_full() -> None:
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 15, f"{folder} has more than 15 files"
