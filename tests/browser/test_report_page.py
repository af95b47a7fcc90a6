"""The page of `reelbeam report` in Chromium, without a network: what it does, and what it must not do."""

from __future__ import annotations

import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browsing import DESKTOP, PHONE, axe_violations, running_browser, visit
from output_factory import Video, commit_run

from reelbeam.pipeline.cli import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.slow  # a whole run, and a browser


PAPER = {"width": 695, "height": 1017}
"""A page of A4 within its margins, in pixels."""

OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true })"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> pathlib.Path:
    """A page of two runs of the bundled videos, with everything that a page can show."""
    folder = tmp_path_factory.mktemp("page")
    videos = folder / "in"
    videos.mkdir()
    names = sorted(path.name for path in samples_dir.iterdir())
    for some in (names[:6], names[6:]):
        for name in some:
            shutil.copy(samples_dir / name, videos / name)
        assert main(["label", "--model=demo", str(videos), f"--output={folder / 'out'}"]) == 0
    first, _ = sorted(path.stem for path in (folder / "out/runs").iterdir())
    (folder / "truth.csv").write_text("file,label\ngrowing.mp4,growing\nmoving_up.mp4,moving down\n", "utf-8")
    wanted = ["--video", str(videos / "growing.mp4"), "--against", first, "--truth", str(folder / "truth.csv")]
    assert main(["report", str(folder / "out"), *wanted]) == 0
    return folder / "out/report.html"


def shown(clips: Locator) -> list[str]:
    return [clip.inner_text() for clip in clips.all() if clip.is_visible()]


def test_it_opens_from_disk(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        assert "Reelbeam" in visited.page.title()
        assert visited.page.locator("h1").count() == 1
        clips = visited.page.locator("article.clip")
        assert clips.count() > 10
        for picture in visited.page.locator("img").all():
            picture.scroll_into_view_if_needed()
            assert picture.get_attribute("alt") and picture.evaluate("image => image.decode().then(() => true)")


def test_the_search_shows_only_what_matches(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        search, clips = visited.page.locator("#search"), visited.page.locator("article.clip")
        everything = shown(clips)
        search.fill("growing")
        found = shown(clips)
        assert 0 < len(found) < len(everything)
        assert all("growing" in text.lower() for text in found)
        assert re.search(rf"\b{len(found)}\b", visited.page.locator("#shown").inner_text())
        search.fill("no such label")
        assert shown(clips) == []
        search.press("Escape")
        assert search.input_value() == "" and shown(clips) == everything


def test_the_search_compares_labels_uris_and_codes_only(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        search, clips = visited.page.locator("#search"), visited.page.locator("article.clip")
        search.fill("entropy")
        assert shown(clips) == [], "each card has this word"
        search.fill("not_a_video")
        assert visited.page.locator(".failure").first.is_visible()
        search.fill("moving_left.mp4")
        assert all("moving_left.mp4" in text for text in shown(clips)) and shown(clips)
        for label in {
            bar.inner_text() for bar in visited.page.locator("article.clip .label").all() if bar.is_visible()
        }:
            search.fill(label)
            found = shown(clips)
            assert found and all(label in text for text in found)
            assert visited.page.locator("#shown").inner_text() == f"{len(found)} of {clips.count()} shown"


def test_a_name_that_is_cut_is_found(browser: Browser, tmp_path: pathlib.Path) -> None:
    folders = "/".join(f"folder{number}" for number in range(60))
    commit_run(tmp_path, 1, [Video(f"gs://bucket/{folders}/{name}.mp4", "left") for name in "ab"])
    assert main(["report", str(tmp_path), "--no_images"]) == 0
    with visit(browser, tmp_path / "report.html") as visited:
        clips = visited.page.locator("article.clip")
        assert "folder30" not in clips.first.inner_text(), "it is shown without its middle"
        visited.page.locator("#search").fill("folder30/folder31")
        assert len(shown(clips)) == clips.count()
        visited.page.locator("#search").fill(f"{folders[-20:]}/a.mp4")
        assert 0 < len(shown(clips)) < clips.count()


def first_strip(page: Page) -> Locator:
    """Returns the frame of the first strip."""
    reel = page.locator("article.clip .reel").first
    reel.scroll_into_view_if_needed()
    return reel


def tile(reel: Locator) -> str:
    """Returns which part of the strip is shown in its frame."""
    moved: str = reel.locator("img.strip").evaluate("strip => getComputedStyle(strip).translate")
    return moved


def test_a_strip_plays_under_the_mouse_and_by_the_arrow_keys(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        reel = first_strip(visited.page)
        start = tile(reel)
        reel.hover()
        visited.page.wait_for_function(
            "([strip, start]) => getComputedStyle(strip).translate !== start",
            arg=[reel.locator("img.strip").element_handle(), start],
        )
        visited.page.mouse.move(0, 0)
        assert tile(reel) == start
        reel.focus()
        visited.page.keyboard.press("ArrowRight")
        assert tile(reel) != start
        visited.page.keyboard.press("ArrowLeft")
        assert tile(reel) == start


def test_a_run_of_a_timeline_leads_to_its_clip(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        run = visited.page.locator("a.run").first
        target = run.get_attribute("href") or run.get_attribute("xlink:href")
        assert target is not None and target.startswith("#")
        run.focus()
        visited.page.keyboard.press("Enter")
        visited.page.wait_for_url(f"**{target}")
        clip = visited.page.locator(target)
        assert clip.is_visible() and clip.evaluate("clip => clip.matches('article.clip')")


def test_details_open_by_the_keyboard(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        details = visited.page.locator("details").first
        was_open = details.get_attribute("open") is not None
        details.locator("summary").focus()
        visited.page.keyboard.press("Enter")
        assert (details.get_attribute("open") is not None) != was_open


def test_the_first_tab_skips_to_the_content(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page) as visited:
        visited.page.keyboard.press("Tab")
        visited.page.keyboard.press("Enter")
        assert visited.page.evaluate("location.hash.length") > 1


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, page: pathlib.Path, colors: str, size: dict[str, int]) -> None:
    with visit(browser, page, color_scheme=colors, viewport=size) as visited:
        visited.page.evaluate(OPEN_ALL)
        assert axe_violations(visited.page) == []


def test_a_phone_scrolls_in_one_direction(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page, viewport=PHONE) as visited:
        width = "document.documentElement.scrollWidth"
        assert visited.page.evaluate(width) <= PHONE["width"]
        visited.page.evaluate(OPEN_ALL)
        assert visited.page.evaluate(width) <= PHONE["width"]


def test_it_is_readable_without_scripts(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page, java_script_enabled=False) as visited:
        text = visited.page.locator("body").inner_text()
        for wanted in ("growing", "not_a_video", "moving_left.mp4", "demo"):
            assert wanted in text, wanted
        assert visited.page.locator("article.clip img.strip").first.is_visible()
        assert not visited.page.locator("#search").is_visible(), "it would do nothing"


def test_it_is_printed(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page, viewport=PAPER) as visited:
        printed = visited.page.pdf(prefer_css_page_size=True)
        visited.page.emulate_media(media="print")
        clips = visited.page.locator("article.clip")
        clip = visited.page.locator("article.clip", has=visited.page.locator("img.strip")).first
        assert clip.locator(".label").first.is_visible() and clip.locator("img.whole").is_visible()
        strip, frame = clip.locator("img.strip").bounding_box(), clip.locator(".reel").bounding_box()
        assert strip is not None and frame is not None
        assert strip["width"] <= frame["width"] + 1, "all tiles are seen, not one of them"
        assert abs(strip["x"] - frame["x"]) < 1
        assert not visited.page.locator("#search").is_visible()
        assert re.search(r"growing|shrinking|moving|rotating|standing", clip.inner_text())
        num_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
        assert len(re.findall(rb"/Subtype\s*/Image\b", printed)) > 10
        assert 1 < num_pages <= 4 + clips.count() / 6


def test_names_in_a_timeline_end_in_an_ellipsis(browser: Browser, page: pathlib.Path) -> None:
    with visit(browser, page, viewport=PHONE) as visited:
        name = visited.page.locator(".run-name").first
        assert name.is_visible() and name.inner_text()
        style = name.evaluate(
            "name => { const style = getComputedStyle(name); return [style.overflow, style.textOverflow]; }"
        )
        assert style == ["hidden", "ellipsis"]


@pytest.mark.parametrize(("motion", "plays"), [("no-preference", True), ("reduce", False)])
def test_reduced_motion_plays_nothing_by_itself(browser: Browser, page: pathlib.Path, motion: str, plays: bool) -> None:
    with visit(browser, page, reduced_motion=motion) as visited:
        visited.page.clock.install()
        reel = first_strip(visited.page)
        start = tile(reel)
        reel.hover()
        visited.page.clock.run_for(400)
        assert (tile(reel) != start) == plays


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"onmouseover=alert(2) x="',
    "'-alert(3)-'",
    "{{ 7*7 }}${alert(4)}",
    "\u2028alert(5)\u2029\u202egnp",
    "javascript:alert(6)",
    "]]>--!><svg onload=alert(7)>",
)


def test_nothing_that_a_row_holds_is_run(browser: Browser, tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder = tmp_path / "x<" / "script><script>alert(8)<" / "script>"
    folder.mkdir(parents=True)
    for name in HOSTILE:
        shutil.copy(samples_dir / "growing.mp4", folder / f"{name}.mp4")
        shutil.copy(samples_dir / "broken.mp4", folder / f"{name} broken.mp4")
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "".join(
            f"{name}{i}</script><script>alert({i})</script>\n".replace("\u2028", "").replace("\u2029", "")
            for i, name in enumerate([*HOSTILE, "a", "b"])
        )
    )
    flags = [f"--labels={labels}", "--max_failure_ratio=1", f"--output={tmp_path / 'out'}"]
    assert main(["label", "--model=demo", str(tmp_path / "x<"), *flags]) == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    with visit(browser, tmp_path / "out/report.html") as visited:
        clips = visited.page.locator("article.clip")
        assert clips.count() >= len(HOSTILE)
        text = visited.page.locator("body").inner_text()
        assert "<img src=x onerror=alert(1)>" in text and "{{ 7*7 }}${alert(4)}" in text
        for link in visited.page.locator("a").all():
            assert re.match(r"#|file:///|https?://", link.get_attribute("href") or ""), link
        for clip in clips.all()[:5]:
            clip.hover()
        visited.page.locator("#search").fill(f"{HOSTILE[-1]}.mp4")
        assert 0 < len(shown(clips)) < clips.count()


def test_nothing_is_run_of_rows_that_name_no_file(browser: Browser, tmp_path: pathlib.Path) -> None:
    uris = [
        "javascript:alert(1)",
        "data:text/html,<script>alert(2)</script>",
        'https://me:SECRET@host/a.mp4?sig=SECRET"><script>alert(3)</script>',
        "s3://bucket/</title></style></script><script>alert(4)</script>.mp4",
        "vbscript:\x00\x01\x1b]0;owned\x07\u2028\u202e.mp4",
        f"/{'<b onclick=alert(5)>' * 20_000}.mp4",
    ]
    videos = [Video(uri, label) for uri in uris for label in ("left", None)]
    for number in (1, 2):
        commit_run(tmp_path, number, videos if number == 1 else videos[::2])
    assert main(["report", str(tmp_path), "--against", "20260101"]) == 0
    with visit(browser, tmp_path / "report.html") as visited:
        assert visited.page.locator("article.clip").count() >= len(uris)
        for link in visited.page.locator("a").all():
            assert re.match(r"#|file:///|https://host/", link.get_attribute("href") or ""), link
        assert visited.page.locator("[onclick], main script, main style, main iframe").count() == 0
        assert "SECRET" not in visited.page.content()
        visited.page.evaluate(OPEN_ALL)
        assert axe_violations(visited.page) == []
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
