"""The reference of the public names as Markdown, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from fractions import Fraction

import reelbeam
from benchmarks.doc_tables import table
from reelbeam.pipeline.api.options import all_options
from reelbeam.pipeline.settings.declaration import Setting

GROUPS: dict[str, tuple[str, ...]] = {
    "In a Beam pipeline": ("LabelVideos", "LabeledVideos", "as_dict", "bigquery_schema"),
    "In a script or a notebook": (
        "label",
        "LabelTables",
        "decode_clips",
        "DecodedClip",
        "load_model",
        "Model",
        "ClassifiedClip",
    ),
    "Rows": ("VideoRow", "ClipRow", "ErrorRow"),
    "Types of options": ("LabelOptions", "DecodeOptions", "ModelOptions"),
    "Errors": (
        "ReelbeamError",
        "ConfigError",
        "ModelError",
        "MediaError",
        "InferenceError",
        "StorageError",
        "RunError",
    ),
}
"""The public names in the order of the page."""

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises):")
_ENTRY = re.compile(r"([\w, *]+): (.+)")


def reference() -> str:
    """Returns the reference of the public names.

    Raises:
      AssertionError: a public name is in no group.
    """
    grouped = {name for names in GROUPS.values() for name in names}
    assert grouped | {"__version__"} == set(reelbeam.__all__), "GROUPS of docs_api.py has other names"
    return "\n\n".join(
        f"## {title}\n\n" + "\n\n".join(map(_entry, names)) + (f"\n\n{options()}" if "options" in title else "")
        for title, names in GROUPS.items()
    )


def options() -> str:
    """Returns the table of all options."""
    hints = typing.get_type_hints(reelbeam.LabelOptions)
    rows = [
        (f"`{name}`", f"`{_type(hints[name])}`", _default(setting), _cell(setting.flag.help))
        for name, setting in all_options().items()
    ]
    return table(("option", "type", "default", "meaning"), rows)


def _default(setting: Setting) -> str:
    if setting.default is None:
        return f"None: {setting.flag.unset}" if setting.flag.unset else "None"
    return f"`{setting.default!r}`"


def _entry(name: str) -> str:
    found = getattr(reelbeam, name)
    parts = [f"### {name}", *_signature(name, found), _markdown(inspect.getdoc(found) or "")]
    if inspect.isclass(found) and not issubclass(found, Exception) and not typing.is_typeddict(found):
        fields = getattr(found, "_fields", ()) if "Row" in name else ()
        hints = typing.get_type_hints(found) if fields else {}
        parts += (
            [table(("field", "type"), [(f"`{each}`", f"`{_type(hints[each])}`") for each in fields])] if fields else []
        )
        parts += (_method(name, *each) for each in _methods(found))
    return "\n\n".join(part for part in parts if part)


def _signature(name: str, found: object) -> Iterator[str]:
    if inspect.isfunction(found) or name == "LabelVideos":
        text = str(inspect.signature(typing.cast(typing.Any, found)))
        yield f"```python\nreelbeam.{name}{_short(text)}\n```"


def _methods(found: type) -> Iterator[tuple[str, object]]:
    for name, value in vars(found).items():
        is_member = inspect.isfunction(value) or isinstance(value, property)
        if is_member and not name.startswith("_") and name not in ("expand", "of") and inspect.getdoc(value):
            yield name, value


def _method(owner: str, name: str, value: object) -> str:
    text = "" if isinstance(value, property) else _short(str(inspect.signature(typing.cast(typing.Any, value))))
    text = re.sub(r"\(self(, )?", "(", text)
    return f"**`{owner}.{name}{text}`** {_markdown(inspect.getdoc(value) or '')}"


def _short(text: str) -> str:
    """Returns a signature without the quotes and the modules of its annotations."""
    return re.sub(
        r"\b(?:reelbeam|pyarrow|numpy|collections|typing|apache_beam)(?:\.\w+)*\.(?=\w)", "", text.replace("'", "")
    )


def _type(hint: object) -> str:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return " | ".join(_type(each) for each in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(repr(each) for each in typing.get_args(hint))
    if typing.get_args(hint):
        return f"Sequence[{_type(typing.get_args(hint)[0])}]"
    names = {types.NoneType: "None", Fraction: "Fraction"}
    return names.get(typing.cast(type, hint), getattr(hint, "__name__", str(hint)))


def _markdown(doc: str) -> str:
    """Returns a docstring with its sections as lists and its indented lines as code."""
    blocks = re.split(r"\n{2,}", doc)
    return "\n\n".join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = block.split("\n")
    section = _SECTION.fullmatch(lines[0])
    if section:
        return f"{section[1]}:\n\n" + "\n".join(_items(lines[1:]))
    if all(line.startswith("    ") for line in lines):
        return f"```python\n{textwrap.dedent(block)}\n```"
    return block


def _items(lines: Iterable[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        entry = _ENTRY.fullmatch(line.strip())
        if line.startswith("  ") and not line.startswith("    ") and entry:
            items.append(f"- `{entry[1]}`: {entry[2]}")
        elif items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    return items


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
