"""The layout of the code as Markdown for docs/architecture.md: the rooms and the import rules."""

from __future__ import annotations

import ast
import pathlib

from benchmarks.doc_tables import table

ROOT = pathlib.Path(__file__).resolve().parents[1]
_IMPORT_RULES = ROOT / "tests" / "unit" / "house" / "test_import_rules.py"


def rooms() -> str:
    """Returns each folder with the first sentence of its package's docstring."""
    folders = [*sorted(ROOT.glob("pipeline/**/__init__.py")), *sorted(ROOT.glob("transforms/**/__init__.py"))]
    return table(("package", "content"), [(f"`{path.parent.relative_to(ROOT)}/`", _purpose(path)) for path in folders])


def steps() -> str:
    """Returns the modules of transforms/ itself: the data model and the Beam steps."""
    paths = [path for path in sorted(ROOT.glob("transforms/*.py")) if path.name != "__init__.py"]
    return table(("module", "content"), [(f"`{path.relative_to(ROOT)}`", _purpose(path)) for path in paths])


def import_rules() -> str:
    """Returns the import rules from the test of the imports."""
    body = ast.parse(_IMPORT_RULES.read_text("utf-8")).body
    (rules,) = (
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MAY_IMPORT"
    )
    return table(("package", "may import"), [(room, allowed or "nothing of ours") for room, allowed in rules.items()])


def _purpose(path: pathlib.Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|").rstrip(".")
