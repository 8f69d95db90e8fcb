"""A real browser for the pages: it must complain of nothing and ask for nothing else."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


@contextmanager
def opened(
    page: Path, *, width: int = 1200, height: int = 900, **context: object
) -> Iterator[Page]:
    """A page in headless Chromium, without a network; whatever goes wrong on it fails the test.

    Args:
        page: of a self-contained HTML file.
        width: of the window, in CSS pixels.
        height: likewise.
        context: further settings of Playwright's browser context, such as color_scheme="dark".
    """
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        window = browser.new_context(
            viewport={"width": width, "height": height}, offline=True, **context
        )
        tab = window.new_page()
        tab.set_default_timeout(30_000)
        tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: said.append(f"error: {error}"))
        tab.on(
            "request", lambda request: said.append(request.url) if _leaves(request.url) else None
        )
        tab.goto(page.as_uri())
        yield tab
        browser.close()
    assert [line for line in said if line != page.as_uri()] == []


def _leaves(url: str) -> bool:
    return not url.startswith(("data:", "blob:"))


def fits(tab: Page) -> bool:
    """Whether the page needs no horizontal scrolling."""
    return bool(
        tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )
