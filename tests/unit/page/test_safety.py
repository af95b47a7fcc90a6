"""Nothing in the data can run, load, mislead or leak: the page is text, and data: pictures, and nothing else."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re

import pytest
from html_tree import Element, parse
from page_contents import all_pictures, report_accuracy, report_changes, report_content

from reelbeam.pipeline.reports.page.options import PageOptions
from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip
from reelbeam.transforms.output.report_content.content import Content, Example, FailureGroup
from reelbeam.transforms.output.report_content.shares import Share, Shares

HOSTILE = [
    "</script><!--<script>alert(1)</script>",
    '"onerror=alert(1) x="',
    "'><img src=x onerror=alert(1)>",
    "</style></title></textarea><svg onload=alert(1)>",
    "{{7*7}}{% include 'x' %}{#",
    "&lt;b&gt;&#0;",
    "javascript:alert(1)//",
    "data:text/html,<script>alert(1)</script>",
    "]]><!DOCTYPE x [",
]
INVISIBLE = "\x00\x1b\x7f\x85\u00ad\u200b\u200e\u2028\u2029\u202e\u2066\ufeff\ud800\udcff\U000e0041"
ALLOWED_ELEMENTS = set(
    "html head meta title style script body a svg defs pattern line circle path header div span nav ul li label input "
    "kbd output main section p h1 h2 h3 h4 code bdi dl dt dd b table caption thead tbody tr th td article ol img "
    "figure figcaption details summary rect text foreignobject desc g footer strong".split()
)


def rendered(text: str) -> str:
    """Returns a page that has this text at every place where data can be."""
    content = report_content(f"{text}/{{}}{text}", text, text)
    shares = Shares((Share(text, 1, 1),), 1, Share(text, 1, 1))
    failures = (FailureGroup(text, 1, text, (Example(text, text),)),)
    content = dataclasses.replace(
        content,
        output=text,
        corpus=dataclasses.replace(content.corpus, labels=shares, codecs=shares, containers=shares),
        failures=failures,
        totals=dataclasses.replace(content.totals, skipped={text: 1}, ignored={text: 1}),
        labelings=(
            dataclasses.replace(
                content.labelings[0],
                model=text,
                engine=text,
                precision=text,
                sampling={text: text},
                first_run=text,
                last_run=text,
                started_at=text,
            ),
        ),
    )
    changes = report_changes("drift", f"{text}/{{}}{text}", text)
    side = dataclasses.replace(changes.before, name=text, output=text, models=(text,))
    changes = dataclasses.replace(changes, before=side, after=side)
    pictures = all_pictures(content, changes)
    pictures[content.sheets.undecided[0].key] = NoFilmstrip("unreadable", text)
    return render_page(content, pictures, changes, PageOptions(version=text), report_accuracy(content, text))


def check_is_harmless(page: Element) -> None:
    """Checks elements, attributes and addresses against what the templates have."""
    for each in page.all():
        assert each.name in ALLOWED_ELEMENTS
        assert not [name for name in each.attributes if name.startswith("on") or name in ("style", "srcset", "srcdoc")]
        if "src" in each.attributes:
            assert each.attributes["src"].startswith("data:image/webp;base64,")
        if "href" in each.attributes:
            assert re.match(r"#|file:///|https?://[^/]", each.attributes["href"]), each.attributes["href"]
            assert not re.search(r'[\s"<>\\]', each.attributes["href"])
        if "fill" in each.attributes:
            assert re.fullmatch(r"#\w{3,6}|none|url\(#\w+\)", each.attributes["fill"])
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    page = parse(rendered(text))
    check_is_harmless(page)
    assert " ".join(text.split()) in page.one("h1").text or text in page.one("main").text


def test_characters_that_mislead_are_shown_as_escapes() -> None:
    page = rendered(f"a{INVISIBLE}b")
    page.encode("utf-8")
    assert not set(INVISIBLE) & set(page)
    assert "a\\x00\\x1b\\x7f\\x85\\xad\\u200b" in parse(page).one("main").text
    check_is_harmless(parse(page))


def test_long_texts_are_cut() -> None:
    page = rendered("x" * 1_000_000)
    assert len(page) < 500_000
    check_is_harmless(parse(page))


def test_the_policy_has_the_hashes_of_style_and_script() -> None:
    page = render_page(report_content(), {}, None)
    policy = next(m.attributes for m in parse(page).all("meta") if "http-equiv" in m.attributes)
    assert policy["http-equiv"] == "Content-Security-Policy"
    hashes = []
    for name in ("style", "script"):
        (text,) = re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes.append(f"{name}-src 'sha256-{digest}'")
    assert policy["content"] == "; ".join(
        ["default-src 'none'", "img-src data:", *hashes, "base-uri 'none'", "form-action 'none'"]
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_the_script_is_small_and_makes_no_markup() -> None:
    page = render_page(report_content(), {}, None)
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) < 6000
    assert script.startswith('"use strict";')
    for name in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval",
        "fetch",
        "XMLHttp",
        "import",
    ):
        assert name not in script


def test_signatures_of_addresses_are_nowhere() -> None:
    uri = "https://me:PASSWORD@host/{}.mp4?X-Amz-Signature=SECRET#FRAGMENT"
    message = f"cannot read {uri} (403)"
    content, changes = report_content(uri, message=message), report_changes("drift", uri)
    pictures = all_pictures(content, changes)
    pictures[content.sheets.undecided[0].key] = NoFilmstrip("unreadable", message)
    page = render_page(content, pictures, changes)
    for secret in ("PASSWORD", "SECRET", "FRAGMENT", "X-Amz"):
        assert secret not in page
    assert "https://host/a.mp4#t=0" in page
    assert 'data-search="archery yoga running https://host/a.mp4"' in page


def test_the_same_content_gives_the_same_bytes() -> None:
    content: Content = report_content()
    pages = {render_page(content, all_pictures(content), report_changes()) for _ in range(2)}
    assert len(pages) == 1
    reordered = dict(reversed(all_pictures(content).items()))
    assert render_page(content, reordered, report_changes()) in pages
