"""Declare a setting once: a field of a frozen dataclass, with its default, its help text and its bounds.

    top_k: int = setting(5, Flag("Number of labels in a row", "K", Range(1, 1_000_000)))

The name and the type are those of the field. From these, the parsers, the checks, `LabelingConfig`, the run's JSON, the
Flex Template and docs/cli.md are made.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TypeVar, cast

from reelbeam.pipeline.settings.values import (
    Range,
    byte_count,
    byte_text,
    exact_number,
    number_text,
    require_name,
)

_T = TypeVar("_T")
_KEY = "reelbeam"
NESTED = ("decoder_limits.", "skip_rules.")
"""The objects of `LabelingConfig` that are made of settings."""


@dataclasses.dataclass(frozen=True)
class Flag:
    """What a setting has besides its name, type and default.

    Attributes:
      help: its meaning, in sentence case, without its default.
      metavar: the placeholder of its value.
      range: the numbers that it accepts; None: every number, or for integers the default `Range`.
      unset: the effect of None, for the help; "" if the help need not say so.
      show: returns the default as text.
      parse: returns the value for a text, or an iterable of values for a list; None: by its type.
      is_positional: whether it has no flag.
      is_location: whether it names a file, a folder or a URL: it must not be blank or have credentials.
      hint: an addition to the error for leaving it out.
      attribute: the attribute of `LabelingConfig` that has its value, if not one of its own name: "sampling.tail".
      is_recorded: whether the run's JSON has it in `configuration`.
      in_template: whether it is a parameter of the Flex Template.
    """

    help: str
    metavar: str = ""
    range: Range | None = None
    unset: str = ""
    show: Callable[[float], str] = number_text
    parse: Callable[[str], object] | None = None
    is_positional: bool = False
    is_location: bool = False
    hint: str = ""
    attribute: str = ""
    is_recorded: bool = True
    in_template: bool = True


def setting(default: _T, flag: Flag) -> _T:
    """Returns the field of a setting."""
    return dataclasses.field(default=default, metadata={_KEY: flag})


def required(kind: type[_T], flag: Flag) -> _T:
    """Returns the field of a setting without a default, of the type `kind`."""
    return cast(_T, dataclasses.field(metadata={_KEY: flag}))


@dataclasses.dataclass(frozen=True)
class Setting:
    """A declared setting.

    Attributes:
      name: the name of its field and, with two dashes, of its flag.
      kind: its type, without None; the element's type for a list.
      collect: makes the value of a list, `tuple` or `frozenset`; None for a single value.
      default: `dataclasses.MISSING` if it is required.
      flag: the rest of its declaration.
    """

    name: str
    kind: object
    collect: Callable[[Iterable[object]], object] | None
    default: object
    flag: Flag

    @property
    def option(self) -> str:
        """Its name on the command line and in messages."""
        return self.flag.metavar if self.flag.is_positional else f"--{self.name}"

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is dataclasses.MISSING

    @property
    def is_switch(self) -> bool:
        """Whether its flag takes no value."""
        return self.kind is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it accepts; empty if they are not a list."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is typing.Literal else ()

    @property
    def attribute(self) -> str:
        """The attribute of `LabelingConfig` that has its value."""
        return self.flag.attribute or self.name

    @property
    def is_nested(self) -> bool:
        """Whether it is part of an object, which the run's JSON has as a whole."""
        return self.attribute.startswith(NESTED)

    @property
    def range(self) -> Range | None:
        """The numbers that it accepts; None if it is not a number."""
        return self.flag.range or (Range() if self.kind is int else None)

    @property
    def is_bytes(self) -> bool:
        """Whether it is a number of bytes, which may have a unit on a command line."""
        return self.flag.show is byte_text

    @property
    def parse(self) -> Callable[[str], object]:
        """Returns the value for a text, or an iterable of values for a list."""
        if self.flag.parse is not None:
            return self.flag.parse
        parsers: dict[object, Callable[[str], object]] = {
            int: byte_count if self.is_bytes else int,
            float: float,
            Fraction: exact_number,
        }
        return parsers.get(self.kind, str if self.collect is None or self.flag.is_positional else _alone)

    @property
    def help(self) -> str:
        """Its meaning, and its default or that it is required."""
        if self.is_required and not self.flag.is_positional:
            return f"{self.flag.help} (required)"
        default = self.flag.unset
        if isinstance(self.default, str):
            default = self.default
        elif isinstance(self.default, int | float) and not self.is_switch:
            default = self.flag.show(self.default)
        return f"{self.flag.help} (default: {default})" if default else self.flag.help

    def collected(self, value: object) -> object:
        """Returns the value of the field for a value that was parsed."""
        return value if self.collect is None else self.collect(cast(Iterable[object], value))

    def require(self, value: object) -> None:
        """Raises ConfigError if a value is out of range, or a blank name."""
        if self.range is not None and isinstance(value, int | float | Fraction):
            self.range.require(self.option, value)
        if self.flag.is_location:
            for name in [value] if self.collect is None else cast(Iterable[object], value):
                # Files in a list may have any bytes in their names, see `flags.options`.
                require_name(self.option, cast("str | None", name), any_bytes=self.collect is not None)


def _alone(text: str) -> list[str]:
    return [text]


@dataclasses.dataclass(frozen=True)
class Group:
    """Dataclasses whose settings `--help` and the docs show under one title."""

    title: str
    kinds: tuple[type, ...]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings, in their order."""
        return tuple(found for kind in self.kinds for found in settings_of(kind))


def settings_of(kind: type) -> tuple[Setting, ...]:
    """Returns the settings of a dataclass, in their order; fields without a declaration are not among them."""
    hints = typing.get_type_hints(kind)
    fields = (field for field in dataclasses.fields(kind) if _KEY in field.metadata)
    return tuple(Setting(f.name, *_shape(hints[f.name]), f.default, f.metadata[_KEY]) for f in fields)


def _shape(hint: object) -> tuple[object, Callable[[Iterable[object]], object] | None]:
    """Returns the type of a value, and what makes the list of them; None for a single value."""
    args = typing.get_args(hint)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (each for each in args if each is not types.NoneType)
        return hint, None
    if typing.get_origin(hint) is frozenset:
        return args[0], frozenset
    return (args[0], tuple) if typing.get_origin(hint) is tuple and args[-1] is Ellipsis else (hint, None)


def from_values(kind: type[_T], values: Mapping[str, object], **others: object) -> _T:
    """Returns a dataclass of settings from parsed values.

    Args:
      kind: the dataclass.
      values: the values by name; names that `kind` does not have are ignored.
      others: fields that are not settings, and values to use instead.
    """
    found = {each.name: each.collected(values[each.name]) for each in settings_of(kind)}
    return cast(Callable[..., _T], kind)(**found | others)


def assembled(kind: type[_T], part: str, source: object) -> _T:
    """Returns the object that is the attribute `part` of a configuration, from the settings that name it.

    Args:
      kind: its dataclass, whose other fields keep their defaults.
      part: such as "decoder_limits".
      source: has the settings as its attributes.
    """
    prefix = f"{part}."
    named = {
        each.attribute.removeprefix(prefix): each.name for each in settings_of(type(source)) if prefix in each.attribute
    }
    return cast(Callable[..., _T], kind)(**{field: getattr(source, name) for field, name in named.items()})
