"""Who may import whom. The layout is a promise; this test keeps it."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py")])

GROUND = {f"transforms.{name}" for name in ("records", "errors", "schemas", "time_range", "wording")}
SHARED_BY_STEPS = {
    f"transforms.{name}"
    for name in (
        *(
            "metrics",
            "plain_files",
            "documents",
            "storage",
            "input_list",
            "spool",
            "run_files",
            "commits",
            "latest_run",
            "ledger",
            "row_options",
            "packing",
            "lock_file",
            "output_lock",
            "conditional_files",
            "expansion",
            "ignored",
            "list_rows",
            "local_folders",
            "mentions",
            "video_extensions",
            "tables",
        ),
        *("compaction", "verification", "row_checks", "overview", "comparison", "views"),
    )
}
HEAVY = {"tensorflow", "tensorflow_hub", "openvino"}


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> str:
    if module.startswith("pipeline"):
        return "pipeline"
    if module in GROUND:
        return "ground"
    for package in ("transforms.media", "transforms.models"):
        if module == package or module.startswith(package + "."):
            return package
    if module == "transforms.stored_models":
        return module
    if module.startswith(("transforms.stores", "transforms.spool_")):
        return "helper"
    return "helper" if module in SHARED_BY_STEPS or module == "transforms" else "step"


MAY_IMPORT = {
    "ground": {"ground"},
    "transforms.media": {"ground", "transforms.media"},
    "transforms.models": {"ground", "transforms.models"},
    "helper": {"ground", "helper"},
    "transforms.stored_models": {"ground", "helper", "transforms.models"},
    "step": {"ground", "helper", "transforms.media", "transforms.models", "transforms.stored_models"},
    "pipeline": {
        *("ground", "helper", "transforms.media", "transforms.models", "transforms.stored_models"),
        *("step", "pipeline"),
    },
}


def imports(path: pathlib.Path) -> Iterator[tuple[str, bool]]:
    """Yields each imported module and whether the import stands at the top of the file."""
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


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_never_point_upward(path: pathlib.Path) -> None:
    own = layer(module_name(path))
    for imported, _ in imports(path):
        if imported.split(".")[0] in ("pipeline", "transforms"):
            assert layer(imported) in MAY_IMPORT[own], f"{module_name(path)} ({own}) imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_libraries_stay_in_their_rooms(path: pathlib.Path) -> None:
    own = layer(module_name(path))
    for imported, at_top in imports(path):
        library = imported.split(".")[0]
        if library == "av":
            assert own == "transforms.media", f"{module_name(path)} imports av"
        if library in HEAVY:
            assert own == "transforms.models", f"{module_name(path)} imports {library}"
            assert not at_top, f"{module_name(path)} imports {library} at the top"
        if library == "apache_beam":
            assert own in ("helper", "step", "pipeline"), f"{module_name(path)} ({own}) imports Beam"


def test_every_layer_was_read() -> None:
    assert {layer(module_name(path)) for path in FILES} == set(MAY_IMPORT)
