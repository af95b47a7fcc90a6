"""docs/architecture.md lists everything that a call leaves in the process for later calls."""

from __future__ import annotations

import ast
import itertools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
SECTION = (ROOT / "docs/architecture.md").read_text("utf-8").partition("## Process-wide state")[2]

STATELESS = {"Lock", "RLock", "getLogger", "TypeVar", "compile", "CDLL", "PyDLL", "attrgetter"}
"""Functions that make locks, loggers, types and the like."""


def listed() -> set[tuple[str, str]]:
    """Returns the pairs of file and name that the page lists."""
    rows = re.findall(r"^\| (`.+?`) \| (`.+?`) \|", SECTION, re.MULTILINE)
    pairs = [itertools.product(re.findall(r"`(.+?)`", files), re.findall(r"`(.+?)`", names)) for files, names in rows]
    warnings = re.findall(r"`(\S+\.py)` \(`(\w+)`\)", SECTION)
    return {*itertools.chain.from_iterable(pairs), *warnings}


def kept(tree: ast.Module) -> set[str]:
    """Returns the names of a module that hold state: rebound globals, mutable objects and caches.

    Names in capitals are constants. What a module keeps elsewhere, such as in the environment, is not found.
    """
    names = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(
            re.match(r"functools\.(lru_)?cache\b", ast.unparse(each)) for each in node.decorator_list
        ):
            names.add(node.name)
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_mutable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {ast.unparse(target) for target in targets}
    return {name for name in names if not name.startswith("__") and not name.lstrip("_")[0].isupper()}


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] not in STATELESS
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("_found: dict[str, int] = {}", {"_found"}),
        ("_found = weakref.WeakSet()", {"_found"}),
        ("def f():\n    global _server\n    _server = 1", {"_server"}),
        ("@functools.lru_cache(maxsize=8)\ndef store(): ...", {"store"}),
        ("_LIMITS = {}\n_lock = threading.Lock()\n_log = logging.getLogger(__name__)\n_T = TypeVar('_T')", set()),
    ],
)
def test_what_counts_as_state(source: str, names: set[str]) -> None:
    assert kept(ast.parse(source)) == names


def test_the_list_of_process_wide_state_is_complete() -> None:
    found = {(str(path.relative_to(ROOT)), name) for path in FILES for name in kept(ast.parse(path.read_text("utf-8")))}
    assert found - listed() == set()


def test_listed_names_are_in_their_files() -> None:
    names = listed()
    assert len(names) > 30
    for file, name in names:
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text("utf-8")), f"{file} has no {name}"
