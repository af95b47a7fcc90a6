"""Convert frozen dataclasses from and to JSON, with a check of each value, and make the JSON Schema of a dataclass.

The declaration of a field holds its type and the rule for its values (`Annotated[str, Rule(…)]`). A field without a
default is required; null is allowed if the type contains `| None`. A field whose default is None is omitted from the
JSON if it is None. Unknown keys are ignored, because a later release may add some.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, NoReturn, TypeVar, Union, cast, get_args, get_origin

_T = TypeVar("_T")
_JSON_TYPES: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def parse_json(data: str | bytes, allow_nan: bool = False) -> object:
    """Parses JSON. Raises ValueError, also for nesting that is too deep, and for NaN unless it is allowed."""
    try:
        return json.loads(data, parse_constant=float if allow_nan else _refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


@dataclasses.dataclass(frozen=True, eq=False)  # types are hashed, and a schema has no hash
class Rule:
    """A rule for the values of a field, beyond their type: as a check, and as keywords of JSON Schema."""

    holds: Callable[[object], bool]
    schema: Mapping[str, object]


class WrongValueError(ValueError):
    """A value that the dataclass does not allow.

    Args:
      name: its place in the document, such as "counts.videos".
      value: the value; `MISSING` if there is none.
    """

    def __init__(self, name: str, value: object) -> None:
        super().__init__(name)
        self.name = name
        self.value = value


MISSING = object()


def from_json(kind: type[_T], value: object, name: str = "") -> _T:
    """Returns a dataclass from a JSON value.

    Args:
      kind: the dataclass.
      value: a result of `json.loads`.
      name: the place of the value in its document; "" for the document itself.

    Raises:
      WrongValueError: a value is missing, or its field does not allow it.
    """
    return cast(_T, _read(kind, value, name))


def to_json(value: object) -> object:
    """Returns a dataclass, or a collection of dataclasses, as input of `json.dumps`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {f.name: to_json(found) for f, found in fields if found is not None or f.default is not None}
    if isinstance(value, Mapping):  # dicts and lists in it came from JSON, and may be nested deeply
        return {key: entry if isinstance(entry, dict | list) else to_json(entry) for key, entry in value.items()}
    return [to_json(entry) for entry in value] if isinstance(value, tuple) else value


def json_object(value: object) -> dict[str, object]:
    """Returns a dataclass as `to_json` does."""
    return cast(dict[str, object], to_json(value))


@functools.cache
def _types_of(kind: type) -> dict[str, object]:
    return typing.get_type_hints(kind, include_extras=True)


def _read(kind: object, value: object, name: str) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_fields(kind, value, name)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found = _read(args[0], value, name)
        return found if all(rule.holds(found) for rule in args[1:]) else _wrong(name, value)
    if origin in (Union, types.UnionType):  # with None; nothing else is needed
        return None if value is None else _read(args[0], value, name)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        if len(kinds) == len(value):
            return tuple(_read(each, entry, name) for each, entry in zip(kinds, value, strict=True))
    if origin is collections.abc.Mapping and isinstance(value, dict):
        return {key: _read(args[1], entry, _inner(name, key)) for key, entry in value.items()}
    if kind is object:
        return value
    is_number = kind is float and type(value) is int
    return value if type(value) is kind or is_number else _wrong(name, value)


def _read_fields(kind: type, value: object, name: str) -> object:
    if not isinstance(value, dict):
        _wrong(name, value)
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            found[field.name] = _read(_types_of(kind)[field.name], value[field.name], _inner(name, field.name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            _wrong(_inner(name, field.name), MISSING)
    return kind(**found)


def _inner(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _wrong(name: str, value: object) -> typing.NoReturn:
    raise WrongValueError(name, value)


def json_schema(title: str, *kinds: type) -> dict[str, object]:
    """Returns the JSON Schema of a document that is one of some dataclasses."""
    definitions: dict[str, object] = {}
    choices = [_schema(kind, definitions) for kind in kinds]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "oneOf": choices,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(kind: object, definitions: dict[str, object]) -> dict[str, object]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # a dataclass may hold itself
            definitions[kind.__name__] = _schema_of_fields(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return functools.reduce(
            lambda schema, rule: schema | dict(rule.schema), args[1:], _schema(args[0], definitions)
        )
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(args[0], definitions), {"type": "null"}]}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _schema(args[0], definitions)}
    if origin is tuple:
        items = [_schema(each, definitions) for each in args]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _schema(args[1], definitions)}
    return {} if kind is object else {"type": _JSON_TYPES[kind]}


def _schema_of_fields(kind: type, definitions: dict[str, object]) -> dict[str, object]:
    fields = dataclasses.fields(kind)
    needed = [f.name for f in fields if dataclasses.MISSING is f.default and dataclasses.MISSING is f.default_factory]
    return {
        "description": (kind.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": {
            field.name: _schema(_types_of(kind)[field.name], definitions) | _description(kind, field.name)
            for field in fields
        },
        "required": needed,
    }


def _description(kind: type, name: str) -> dict[str, object]:
    """Returns the description of a field below "Attributes:" in the docstring of a dataclass or its base classes."""
    for each in kind.__mro__:
        text = inspect.cleandoc(each.__doc__ or "").partition("Attributes:")[2]
        for names, words in re.findall(r"^  ((?:\w+, )*\w+): (.+(?:\n    .+)*)", text, re.MULTILINE):
            if name in names.split(", "):
                return {"description": " ".join(words.split())}
    return {}
