"""The tab in Argo CD, in a real browser: what a user sees of an Application there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argocd_page import argocd_page
from browser import axe_finds, chromium
from desks import HOLDING, house_of
from doors import Doors
from extension import TOKEN, extension_doors
from house import House
from in_process import threaded
from playwright.sync_api import Browser, Page, expect
from service import ROOT
from werkzeug.serving import make_server

from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.ledger.engine.sqlite import SqliteLedger

SCRIPT = (ROOT / "k8s/overlays/argocd-extension/extension-postsync.js").read_text()
SHOP: Json = {
    "metadata": {"name": "shop", "namespace": "argocd"},
    "spec": {"project": "web"},
    "status": {"operationState": {"phase": "Succeeded", "finishedAt": "2026-06-10T12:00:00Z"}},
}

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def web(file_ledger: SqliteLedger, tmp_path: Path) -> Iterator[Doors]:
    page_url = "https://postsync.example.com/"
    with extension_doors(file_ledger, tmp_path, page_url=page_url) as made:
        yield made


@pytest.fixture
def house(file_ledger: SqliteLedger) -> House:
    return house_of(file_ledger, HOLDING)


@pytest.fixture
def rbac() -> dict[str, bool]:
    return {"denied": False}


@pytest.fixture
def page(browser: Browser, web: Doors, rbac: dict[str, bool]) -> Iterator[Page]:
    """The Application's page, not opened yet."""
    app: Any = argocd_page(web.app, SCRIPT, SHOP, f"Bearer {TOKEN}", lambda: rbac["denied"])
    with threaded(make_server("127.0.0.1", 0, app, threaded=True)) as url:
        context = browser.new_context(base_url=f"{url}/argocd/")
        opened = context.new_page()
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        yield opened
        context.close()
        assert wrong == []


def test_the_panel_counts_the_runs_of_the_newest_sync(page: Page, house: House) -> None:
    """And opens what happened after it."""
    house.sync("a1", "a2", "c1")
    house.work()
    page.goto("applications/argocd/shop")
    item = page.get_by_role("button", name="2 succeeded")
    expect(item).to_have_text("2 succeeded, 1 held")
    item.click()
    expect(page.locator("#flyout")).to_contain_text("Succeeded")
    expect(page.locator("#flyout").get_by_role("row", name="call")).to_contain_text("succeeded")


def test_the_tab_says_what_waits_and_why(page: Page, house: House) -> None:
    """The runs are told when they are asked for; the keyboard is enough."""
    house.sync("b1", "b2")
    house.sync("c1", at=1)
    house.turn()
    page.goto("applications/argocd/shop")
    page.evaluate("openTab()")
    tab = page.locator("#tab")
    expect(tab.get_by_role("row", name="careful")).to_contain_text(
        "waits for the approval of the plan, held since 20"
    )
    button = tab.get_by_role("button", name="Show runs").first
    button.focus()
    page.keyboard.press("Enter")
    row = tab.get_by_role("row", name="log_message (log.message)")
    expect(row).to_contain_text("waits for an approval, held since")
    expect(row).to_contain_text("ask")
    assert axe_finds(page) == []


def test_what_is_tried_again_says_what_went_wrong(page: Page, house: House) -> None:
    """Beside what it waits for."""
    house.sync("a")
    house.answer(Outcome(OutcomeKind.TEMPORARY, "connection refused", delay=600), *house.claim())
    page.goto("applications/argocd/shop")
    page.evaluate("openTab()")
    page.locator("#tab").get_by_role("button", name="Show runs").click()
    row = page.locator("#tab").get_by_role("row", name="log_message (log.message)")
    expect(row).to_contain_text(
        re.compile("waits for its next attempt.*; after: connection refused")
    )


def test_a_sync_leads_to_the_page(page: Page, house: House) -> None:
    """Where there is more, and an operator can act."""
    sync = house.sync("a")
    page.goto("applications/argocd/shop")
    page.evaluate("openTab()")
    link = page.locator("#tab").get_by_role("link", name=sync)
    expect(link).to_have_attribute("href", f"https://postsync.example.com/page/syncs/{sync}")


def test_an_application_without_syncs_says_so(page: Page, house: House) -> None:
    """Another Application's are not shown."""
    house.sync("a", application="blog")
    page.goto("applications/argocd/shop")
    expect(page.locator("#panel")).to_contain_text("no sync yet")
    page.evaluate("openTab()")
    expect(page.locator("#tab")).to_contain_text("No sync of this Application")


def test_who_may_not_use_the_extension_is_told_so(
    page: Page, house: House, rbac: dict[str, bool]
) -> None:
    """By Argo CD's RBAC; the rest of the page goes on."""
    house.sync("a")
    rbac["denied"] = True
    page.goto("applications/argocd/shop")
    page.evaluate("openTab()")
    expect(page.get_by_role("alert")).to_contain_text("you may not use the extension")
    expect(page.locator("#panel")).to_contain_text("cannot be asked")
    expect(page.get_by_role("heading", name="shop")).to_be_visible()


def test_markup_in_a_message_is_only_text(page: Page, house: House) -> None:
    """Whatever an Application or the other side writes."""
    house.sync("a")
    house.end(*house.claim(), fails="<img src=x onerror=alert(1)>")
    house.work()
    page.goto("applications/argocd/shop")
    page.evaluate("openTab()")
    page.locator("#tab").get_by_role("button", name="Show runs").click()
    expect(page.locator("#tab")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#tab img").count() == 0
