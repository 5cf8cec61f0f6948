"""A real browser: Debian's Chromium, and what is loaded into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
SCRIPTS = CACHES / "postsync-tests/npm"
"""Where `make test-deps` puts React and axe."""
SERIOUS = {"serious", "critical"}
"""What axe calls so keeps somebody from using the page."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; skip the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian: chromium)")
    with sync_playwright() as playwright:
        # Root may not use Chromium's sandbox, and nothing but our own pages is opened.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def script(name: str) -> Path:
    """The file of a script; skip the test where it is missing."""
    file = SCRIPTS / name
    if not file.is_file():
        pytest.skip(f"{name} is missing: `make test-deps` gets it by npm")
    return file


def axe_finds_in_both(page: Page) -> list[str]:
    """The same in light and in the dark."""
    page.emulate_media(color_scheme="light")
    found = axe_finds(page)
    page.emulate_media(color_scheme="dark")
    return found + axe_finds(page)


def axe_finds(page: Page) -> list[str]:
    """What keeps somebody from using the page as it is now, with the places."""
    page.add_script_tag(path=script("axe.min.js"))
    found = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {', '.join(str(node['target']) for node in one['nodes'])}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]
