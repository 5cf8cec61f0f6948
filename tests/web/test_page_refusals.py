"""What the page says where something cannot be done: in its own words, and with a way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import refuse_files
from doors import Doors, doors
from house import House
from page import csrf_of, failed_run, fill, id_of, log_in, look, words
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return fill(file_ledger)


def press(web: Doors, path: str) -> TestResponse:
    """Press a button that a page of before has shown."""
    form = {"csrf": csrf_of(look(web, "/rules"))}
    return web.client.post(f"/page{path}", data=form)


def links(page: TestResponse) -> list[str]:
    """Where the page's own part leads."""
    return re.findall(r'href="([^"]+)"', page.text.partition("<main")[2])


@pytest.mark.parametrize(
    ("kind", "condition", "word", "way"),
    [
        ("run", "state = 'succeeded'", "retry", "/page/syncs/{sync}/replay"),
        ("run", "state = 'held'", "retry", "/page/runs/{number}/approve"),
        ("run", "state = 'failed'", "hurry", "/page/runs/{number}/retry"),
        ("run", "state = 'succeeded'", "hurry", "/page/runs/{number}"),
        ("run", "state = 'succeeded'", "approve", "/page/runs?state=held"),
        ("run", "state = 'held'", "acknowledge", "/page/runs?state=failed"),
        ("plan", "state = 'succeeded'", "approve", "/page?outcome=held"),
    ],
)
def test_a_refusal_leads_to_what_helps_and_back(
    web: Doors, house: House, kind: str, condition: str, word: str, way: str
) -> None:
    """By the page's links, where the API and the commands name a request or an option."""
    number = id_of(house, f"{kind}s", condition)
    sync = house.query(f"SELECT sync_id FROM {kind}s WHERE id = '{number}'")[0]
    answer = press(web, f"/{kind}s/{number}/{word}")
    assert answer.status_code == 409
    told = words(answer)
    assert "/v1/" not in told
    assert f"To the {kind} {number}" in told
    assert way.format(number=number, sync=sync) in links(answer)
    assert f"/page/{kind}s/{number}" in links(answer)


def test_under_refused_rule_files_it_names_its_own_box(web: Doors, house: House) -> None:
    """And leads back to the form that has it."""
    refuse_files(house, "r.yaml:1:2: no such kind")
    run = failed_run(house)
    answer = press(web, f"/runs/{run}/retry")
    told = words(answer)
    assert "the box in the form does it all the same" in told
    assert "withRules" not in told
    assert f"/page/runs/{run}/retry" in links(answer)


@pytest.mark.parametrize(
    ("path", "way"),
    [("/syncs/s-1", "/page"), ("/plans/p-1", "/page"), ("/runs/r-1/retry", "/page/runs")],
)
def test_for_what_is_unknown_it_leads_to_the_lists(web: Doors, path: str, way: str) -> None:
    """Not to the page of what there is not."""
    answer = web.client.get(f"/page{path}")
    assert "/v1/" not in words(answer)
    assert way in links(answer)
    assert f"/page{path.removesuffix('/retry')}" not in links(answer)


def test_a_question_about_no_sync_leads_to_the_list_too(web: Doors) -> None:
    """The form of what would happen shows its mistakes itself."""
    form = {"csrf": csrf_of(look(web, "/rules")), "sync": "s-1"}
    answer = web.client.post("/page/rules", data=form)
    assert "there is no sync s-1" in words(answer)
    assert "/v1/" not in words(answer)
