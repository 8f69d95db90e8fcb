"""Opening pages in headless Chromium; a page must log nothing and load nothing else."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@contextmanager
def launched() -> Iterator[Browser]:
    """Start headless Chromium, which takes about a second, for all tests of a module."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, page: Path, *, width: int = 1200, height: int = 900, **context: object
) -> Iterator[Page]:
    """Open a page offline in a new browser context; log messages and requests fail the test.

    Args:
        browser: Browser from `launched`.
        page: Path of a self-contained HTML file.
        width: Width of the window, in CSS pixels.
        height: Height of the window, in CSS pixels.
        context: Further settings of Playwright's browser context, such as color_scheme="dark".
    """
    complaints: list[str] = []
    window = browser.new_context(
        viewport={"width": width, "height": height}, offline=True, **context
    )
    tab = window.new_page()
    tab.set_default_timeout(30_000)
    tab.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    tab.on(
        "request",
        lambda request: complaints.append(request.url) if _is_external(request.url) else None,
    )
    tab.goto(page.as_uri())
    try:
        yield tab
    finally:
        window.close()
    assert [line for line in complaints if line != page.as_uri()] == []


def _is_external(url: str) -> bool:
    return not url.startswith(("data:", "blob:"))


def fits(tab: Page) -> bool:
    """Whether the page does not scroll horizontally."""
    return bool(
        tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )
