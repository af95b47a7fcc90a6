"""Open pages in Debian's Chromium, and record what a page that is only a file must not do."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

AXE = pathlib.Path(__file__).resolve().parents[1] / "browser/node_modules/axe-core/axe.min.js"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1440, "height": 900}
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]  # root has no sandbox, and /dev/shm of a container is small


@dataclasses.dataclass
class Visit:
    """An open page, and what it did.

    Attributes:
      page: the page.
      complaints: errors and warnings of the console, among them violations of the policy, and uncaught exceptions.
      requests: everything that was requested, apart from pictures inside the page.
      dialogs: the texts of the dialogs that it opened: a hostile name that is run opens one.
    """

    page: Page
    complaints: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)
    dialogs: list[str] = dataclasses.field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Records an error or a warning."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def on_request(self, request: Request) -> None:
        """Records a request."""
        if not request.url.startswith("data:"):
            self.requests.append(request.url)

    def on_dialog(self, dialog: Dialog) -> None:
        """Records and closes a dialog."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def missing() -> str:
    """Returns why there is no browser for tests; "" if there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install 'reelbeam[dev]'"
    if shutil.which("chromium") is None:
        return "chromium is not installed: make browser"
    return "" if AXE.is_file() else "axe-core is not installed: make browser"


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Starts Chromium; without it, skips the tests, and fails them in CI."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(browser: Browser, path: pathlib.Path, **options: Any) -> Iterator[Visit]:
    """Opens a file without a network, and asserts in the end that it made no request, no complaint and no dialog.

    Args:
      browser: the browser.
      path: the file.
      options: of the context, such as `viewport`, `color_scheme` and `java_script_enabled`.
    """
    with contextlib.closing(browser.new_context(offline=True, **({"viewport": DESKTOP} | options))) as context:
        found = Visit(context.new_page())
        found.page.on("console", found.on_console)
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("dialog", found.on_dialog)
        context.on("request", found.on_request)
        found.page.goto(path.as_uri())
        yield found
        assert found.complaints == []
        assert {url.partition("#")[0] for url in found.requests} == {path.as_uri()}
        assert found.dialogs == []


def axe_violations(page: Page) -> list[str]:
    """Returns what axe finds wrong with a page, one line for each element."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['target']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
