"""Make docs/report.webp, the picture of a report in the README: the bundled videos, labeled by the bundled model.

make browser && .venv/bin/python -m tools.make_report_picture
"""

from __future__ import annotations

import io
import pathlib
import shutil

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from reelbeam.pipeline.cli import main as reelbeam

ROOT = pathlib.Path(__file__).resolve().parents[1]
VIDEOS = ROOT / "pipeline" / "demo" / "videos"
PICTURE = ROOT / "docs" / "report.webp"
FOLDER = pathlib.Path("/tmp/demo")
"""Where the videos and the output are: its name is in the picture."""
_WIDTH, _HEIGHT = 1280, 900
_PARTS = (("#overview", 0, 475), ("#labels", 30, 800))
"""What the picture shows: the element, where it begins above it, and its height, in pixels."""
_QUALITY = 82


def main() -> None:
    """Writes the picture."""
    FOLDER.mkdir()
    try:
        shutil.copytree(VIDEOS, FOLDER / "videos")
        flags = ["--model=demo", "--output", str(FOLDER / "out"), "--report"]
        assert reelbeam(["label", str(FOLDER / "videos"), *flags]) == 0
        shots = screenshots(FOLDER / "out/report.html")
    finally:
        shutil.rmtree(FOLDER)
    picture = Image.new("RGB", (_WIDTH, sum(shot.height for shot in shots)))
    top = 0
    for shot in shots:
        picture.paste(shot, (0, top))
        top += shot.height
    picture.save(PICTURE, "WEBP", quality=_QUALITY, method=6)
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


def screenshots(path: pathlib.Path) -> list[Image.Image]:
    """Returns pictures of the parts of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        page.goto(path.as_uri())
        shots = [_screenshot(page, *part) for part in _PARTS]
        browser.close()
    return shots


def _screenshot(page: Page, selector: str, above: int, height: int) -> Image.Image:
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    top = 0 if selector == _PARTS[0][0] else box["y"] - above
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": top, "width": _WIDTH, "height": height})
    return Image.open(io.BytesIO(shot))


if __name__ == "__main__":
    main()
