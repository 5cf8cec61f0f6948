"""The docs site, as `make docs` builds it: it says what GitHub shows, and needs no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import SCRIPTS, axe_finds_in_both, chromium, script
from markdown_it import MarkdownIt
from playwright.sync_api import Page
from service import ROOT
from site_pages import collect

pytestmark = pytest.mark.xdist_group("site")  # built by one worker

CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
PAGES = sorted(file.name for file in (ROOT / "docs").glob("*.md"))
COUNTED = {"li", "pre", "table", "tr", "h2", "h3", "img"}
"""What differs where the site reads a list, a block or a table otherwise than GitHub."""
LOADED = re.compile(
    r"""<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=["']?((?:https?:)?//[^"'>]*)"""
)
"""What a browser fetches by itself, of another host."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site; a link that leads nowhere would be an error here."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    collect(ROOT, folder / CONFIG["docs_dir"], SCRIPTS)
    program = Path(sys.executable).with_name("zensical")
    done = subprocess.run([program, "build", "--strict"], cwd=folder, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder / str(CONFIG["site_dir"])


@pytest.fixture(scope="module")
def opened(site: Path) -> Iterator[tuple[Page, list[str]]]:
    """The first page in a browser without a network, and what it asked of other hosts."""
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.context.set_offline(True)
        page.goto((site / "index.html").as_uri())
        yield page, asked


class Tags(HTMLParser):
    """The tags of a page, and those of its text alone."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def counted(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.tags if tag in COUNTED)


def test_each_page_stands_once_in_the_navigation() -> None:
    """What is in no kind is found by nobody."""

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for one in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(one)

    named = [page for page in pages(CONFIG["nav"]) if "/" not in page]
    assert sorted(named) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_lists_blocks_and_tables_that_github_shows(site: Path, name: str) -> None:
    """Two readers of Markdown agree on what the page says."""
    github = MarkdownIt("commonmark").enable("table").render((ROOT / "docs" / name).read_text())
    shown = (site / name).with_suffix(".html").read_text()
    article = shown[shown.index("<article") : shown.index("</article>")]
    assert Tags(article).counted() == Tags(github).counted()


def test_no_page_loads_anything_of_another_host(site: Path) -> None:
    """Neither a script nor a font nor a picture, so that nobody is told who reads it."""
    files = [*site.rglob("*.html")]
    loaded = {
        f"{file.relative_to(site)}: {address}"
        for file in files
        for address in LOADED.findall(file.read_text())
    }
    assert len(files) > len(PAGES)
    assert loaded == set()
    styles = "".join(file.read_text() for file in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//[^)\"']*", styles) == []


def test_the_search_finds_a_word_with_the_network_off(opened: tuple[Page, list[str]]) -> None:
    """Opened from a folder, as from an unpacked archive."""
    page, asked = opened
    page.keyboard.press("/")
    page.get_by_placeholder("Search").fill("supersede")
    page.get_by_text("A newer one comes").first.click()
    page.wait_for_url("**/rules.html*#a-newer-one-comes-onnewer")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_diagrams_are_drawn_with_the_network_off(
    site: Path, opened: tuple[Page, list[str]]
) -> None:
    """Mermaid comes with the site; the theme would ask another host for it."""
    script("mermaid.min.js")
    page, asked = opened
    page.goto((site / "truth.html").as_uri())
    page.locator("div.mermaid").wait_for()
    assert page.locator("pre.mermaid").count() == 0
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_everybody_can_read_a_page(site: Path, opened: tuple[Page, list[str]]) -> None:
    """Nothing that keeps somebody from it, by axe; with a menu, tables and code."""
    page, _ = opened
    page.goto((site / "intake.html").as_uri())
    assert axe_finds_in_both(page) == []
