"""HTML as a tree of elements, for tests of pages."""

from __future__ import annotations

import dataclasses
import html.parser
from collections.abc import Iterator

_VOID = {"meta", "img", "input", "br", "hr", "link"}


@dataclasses.dataclass
class Element:
    """An element with its attributes, its children and its own text."""

    name: str
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    children: list[Element] = dataclasses.field(default_factory=list)
    parts: list[str | Element] = dataclasses.field(default_factory=list)

    def all(self, name: str = "", class_: str = "") -> list[Element]:
        """Returns the elements below this one, in the order of the page."""
        return [
            each
            for each in self._below()
            if name in ("", each.name) and (not class_ or class_ in each.attributes.get("class", "").split())
        ]

    def one(self, name: str = "", class_: str = "") -> Element:
        """Returns the only such element."""
        (found,) = self.all(name, class_)
        return found

    @property
    def text(self) -> str:
        """The text of the element and of those in it, with single spaces."""
        return " ".join("".join(self._texts()).split())

    def _below(self) -> Iterator[Element]:
        for child in self.children:
            yield child
            yield from child._below()

    def _texts(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, str):
                yield part
            else:
                yield from part._texts()


class _Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._add(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> ends <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    def _add(self, element: Element) -> None:
        self._open[-1].children.append(element)
        self._open[-1].parts.append(element)


def parse(page: str) -> Element:
    """Returns the tree of a page, whose elements are all closed in order."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert len(parser._open) == 1, f"<{parser._open[-1].name}> is open at the end"
    return parser.root
