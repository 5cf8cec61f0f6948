"""The page in a real browser: clicks, keys, a phone, the dark, no scripts, and who cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import axe_finds, axe_finds_in_both, chromium
from desks import ANN, desk
from doors import OPERATOR, Doors, doors
from house import House
from in_process import threaded
from page import failed_run, fill, id_of
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.queue.pauses import Scope

pytestmark = pytest.mark.xdist_group("browser")

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def web(file_ledger: SqliteLedger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(file_ledger: SqliteLedger) -> House:
    return fill(file_ledger)


@pytest.fixture
def url(web: Doors) -> Iterator[str]:
    with threaded(make_server("127.0.0.1", 0, web.app, threaded=True)) as address:
        yield address


def enter(context: BrowserContext) -> Page:
    """Log in, as a person does."""
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Token").fill(OPERATOR)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Syncs", exact=True)).to_be_visible()
    return page


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """With a session; whatever its policy has stopped fails the test."""
    context = browser.new_context(base_url=url)
    page = enter(context)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert wrong == []


def test_why_a_purge_did_not_run_and_to_do_it_again_takes_three_clicks(
    page: Page, house: House
) -> None:
    """The question of 3 a.m., from the list on."""
    page.goto("/page")
    page.get_by_role("link", name="argocd/shop").first.click()
    row = page.locator(".card").get_by_role("row", name="assets-img")
    expect(row).to_contain_text("answered 404: no such zone")
    row.get_by_role("link", name="Retry").click()
    page.get_by_label("Why, for the trail").fill("the zone is back")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("purge")
    (line,) = house.events("run.retried")
    assert (line["by"], line["reason"]) == ("ann", "the zone is back")


def test_what_happens_is_seen_without_a_reload(page: Page, house: House) -> None:
    """While the page is looked at; what was opened stays so, and the focus where it was."""
    run = id_of(house, "runs", "state = 'held'")
    sync = house.query(f"SELECT sync_id FROM runs WHERE id = '{run}'")[0]
    page.goto(f"/page/syncs/{sync}")
    page.locator("#why-migrate summary").click()
    page.get_by_role("link", name="From its beginning").focus()
    desk(house).approve_run(ANN, run)
    house.work()
    expect(page.locator("section.card")).to_contain_text("succeeded", timeout=30_000)
    assert page.locator("#why-migrate").evaluate("one => one.open")


def test_updates_can_be_stopped(page: Page) -> None:
    """Who reads slowly, or by ear, decides when it changes (WCAG 2.2.2)."""
    expect(page.locator("#live")).to_contain_text("Live.")
    page.get_by_role("button", name="Stop updates").click()
    expect(page.locator("#live")).to_contain_text("Not live.")
    page.get_by_role("button", name="Update live").click()
    expect(page.locator("#live")).to_contain_text("Live.")


def test_the_keyboard_is_enough(page: Page, house: House) -> None:
    """From row to row, to the filter, and past the top of the page."""
    page.goto("/page")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("argocd/api")
    page.goto("/page")
    page.keyboard.press("/")
    page.keyboard.type(failed_run(house))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("purge of purge-shop-assets")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def places(house: House) -> list[str]:
    run = failed_run(house)
    plan, sync = house.query(f"SELECT plan_id, sync_id FROM runs WHERE id = '{run}'")[0]
    return [
        "/page", "/page?text=nothing", f"/page/syncs/{sync}", f"/page/syncs/{sync}/trail",
        f"/page/plans/{plan}", f"/page/runs/{run}", f"/page/runs/{run}/retry",
        f"/page/deliveries/{sync}", "/page/runs", "/page/rules", "/page/status", "/page/nothing",
    ]  # fmt: skip


def test_axe_finds_nothing_serious(browser: Browser, url: str, house: House) -> None:
    """Contrast, names, roles and order, on every page, in light and in the dark."""
    desk(house).pause(ANN, Scope.RULE, "migrate")
    # axe is a script of its own, which the page's policy would stop.
    context = browser.new_context(base_url=url, bypass_csp=True)
    page = context.new_page()
    page.goto("/page/login")
    found = {"/page/login": axe_finds_in_both(page)}
    page.close()
    page = enter(context)
    for place in places(house):
        page.goto(place)
        for summary in page.locator("summary").all():
            summary.click()
        found[place] = axe_finds_in_both(page)
    context.close()
    assert {place: wrong for place, wrong in found.items() if wrong} == {}


def test_what_would_happen_is_asked_on_the_rules_page(
    browser: Browser, url: str, house: House
) -> None:
    """And axe finds nothing in the answer, nor in what is wrong with a rule file."""
    house.sync("asked", at=9e8)
    context = browser.new_context(base_url=url, bypass_csp=True)
    page = enter(context)
    page.goto("/page/rules")
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("argocd/shop")
    for summary in page.locator("summary").all():
        summary.click()
    assert axe_finds(page) == []
    page.get_by_label("By this rule file").fill("version: 2")
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.get_by_role("alert")).to_contain_text("pasted.yaml:1:")
    assert axe_finds(page) == []
    context.close()


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, url: str, house: House) -> None:
    """But the picture of the time, which scrolls by itself."""
    context = browser.new_context(base_url=url, viewport=PHONE)  # type: ignore[arg-type]  # its own dict
    page = enter(context)
    width = "document.documentElement.scrollWidth"
    wide = {}
    for place in places(house):
        page.goto(place)
        wide[place] = page.evaluate(width)
    context.close()
    assert set(wide.values()) == {PHONE["width"]}, wide


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_rule_file_is_back_tested_on_a_phone(
    browser: Browser, url: str, tmp_path: Path, *, scripts: bool
) -> None:
    """By choosing a file; it leads to the syncs, and axe finds nothing in what it tells."""
    rules = "version: 1\nrules:\n- name: purge-shop-assets\n  match: {resources: [{name: other}]}\n"
    file = tmp_path / "edited.yaml"
    file.write_text(f"{rules}  actions: [{{uses: log.message, with: {{text: x}}}}]\n")
    context = browser.new_context(
        base_url=url, java_script_enabled=scripts, bypass_csp=True, viewport=PHONE  # type: ignore[arg-type]  # its own dict
    )  # fmt: skip
    page = enter(context)
    page.goto("/page/rules")
    page.get_by_label("The rule file").set_input_files(file)
    page.get_by_role("button", name="Back-test").click()
    card = page.locator(".card")
    expect(card).to_contain_text("ran for 2 syncs, would for 1")
    expect(card).to_contain_text("+ in addition: 1 sync, 1 resource")
    expect(page.get_by_label("or its text")).to_have_value(file.read_text())
    if scripts:
        assert axe_finds(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.get_by_label("or its text").fill("version: 2")
    page.get_by_role("button", name="Back-test").click()
    expect(page.get_by_role("alert")).to_contain_text("pasted.yaml:1:")
    page.get_by_label("or its text").fill(file.read_text())
    page.get_by_role("button", name="Back-test").click()
    card.get_by_role("link", name="argocd/shop").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("argocd/shop")
    context.close()


def test_all_of_it_works_without_scripts(browser: Browser, url: str, house: House) -> None:
    """As by a text browser, or where scripts are not allowed."""
    context = browser.new_context(base_url=url, java_script_enabled=False)
    page = enter(context)
    run = id_of(house, "runs", "state = 'held'")
    page.goto(f"/page/runs/{run}")
    page.get_by_role("link", name="Approve").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ask of migrate")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto(f"/page/runs/{run}")
    expect(page.get_by_label("Token")).to_be_visible()
    context.close()
    assert len(house.events("run.approved")) == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_link_from_elsewhere_leads_to_its_place(
    browser: Browser, url: str, house: House, *, scripts: bool
) -> None:
    """The cookie does not come along from another site, and need not be asked for again."""
    context = browser.new_context(base_url=url, java_script_enabled=scripts)
    page = enter(context)
    place = f"{url}/page/runs/{failed_run(house)}"
    elsewhere = url.replace("127.0.0.1", "localhost") + "/elsewhere"  # another site, to a browser
    link = f'<!doctype html><a href="{place}">the run</a>'
    page.route("**/elsewhere", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)
    page.get_by_role("link", name="the run").click()
    if not scripts:
        page.get_by_role("link", name="Go on with the session").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("purge of purge-shop-assets")
    context.close()
