"""The pages of what is large: they read what they show, however much more there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import live_house_of
from doors import Doors, doors
from house import House
from page import RULES, log_in, look, words
from stories import story_of

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.details import EDGE
from receiver.ledger.queries.reader import Reader
from receiver.web.page.story import LINES, RUNS, RUNS_OF_PLAN

MANY = RUNS_OF_PLAN + 60

TURN = "section, wave, step, target_index"


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return live_house_of(file_ledger, RULES)


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


def change(house: House, *statements: str) -> None:
    with house.ledger.write() as connection:
        for one in statements:
            connection.exec_driver_sql(one)


def large(house: House) -> tuple[str, str]:
    """A sync and its plan of many runs, the last of which has failed.

    What the pages do not show of its runs and lines cannot be read.
    """
    sync = house.sync(*[f"assets-{number}" for number in range(MANY)], at=9e8)
    last = "(SELECT MAX(id) FROM runs WHERE action = 'purge')"
    kept = f"(SELECT id FROM runs WHERE id != {last} ORDER BY {TURN} LIMIT {RUNS_OF_PLAN - 1})"
    trail = f"(SELECT seq FROM audit_events ORDER BY seq DESC LIMIT {LINES})"
    change(
        house,
        f"UPDATE runs SET state = 'failed', reason = 'no such zone' WHERE id = {last}",
        f"UPDATE runs SET parameters = 'unread' WHERE id != {last} AND id NOT IN {kept}",
        f"UPDATE audit_events SET data = 'unread' WHERE seq NOT IN {trail}",
    )
    return sync, str(house.plans("id")[0])


def test_a_large_plans_pages_read_the_runs_and_lines_that_they_show(
    web: Doors, house: House
) -> None:
    """What failed is among them, and all are counted."""
    sync, plan = large(house)
    for path, shown in ((f"/syncs/{sync}", RUNS), (f"/plans/{plan}", RUNS_OF_PLAN)):
        page = look(web, path)
        assert page.text.count('data-name="attempts"') == shown
        told = words(page)
        assert "no such zone" in told
        assert f"… {MANY - 1} due" in told
        assert f"Not shown: … {MANY - shown} due … 1 waiting All its runs" in told
        assert f'href="/page/runs?plan={plan}"' in page.text
    assert "cancel" in look(web, f"/plans/{plan}/cancel").text.lower()


def test_of_many_attempts_the_first_and_the_last_are_shown(web: Doors, house: House) -> None:
    """In the picture of their sync, and in the table of their run; how many are between is told."""
    sync = house.sync("assets-a", at=9e8)
    house.end(*house.claim(), fails="answered 503", temporary=True)
    (run,) = house.query("SELECT id FROM runs WHERE action = 'purge'")
    change(
        house,
        "INSERT INTO attempts (run_id, number, owner, started_at, pending, ended_at, outcome,"
        " reason) WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " SELECT run_id, i, owner, started_at + i * 60000, 0, ended_at + i * 60000, outcome, reason"
        " FROM attempts, n WHERE number = 1",
        f"UPDATE runs SET attempts = 1000 WHERE id = '{run}'",
    )
    assert look(web, f"/syncs/{sync}").text.count('class="bar retry"') == 2 * EDGE
    assert f"{1000 - 2 * EDGE} further attempts not drawn" in look(web, f"/syncs/{sync}").text
    page = look(web, f"/runs/{run}")
    assert page.text.count('<th scope="row" class="num">') == 2 * EDGE
    assert f"{1000 - 2 * EDGE} further attempts {1000 - EDGE + 1} " in words(page)


def test_of_each_plan_what_needs_somebody_is_read_first(ledger: Ledger) -> None:
    """On either engine, with the attempts, and in their turn."""
    house = live_house_of(ledger, RULES)
    sync = house.sync(*[f"assets-{number}" for number in range(9)], "other", at=9e8)
    house.work()
    runs = house.query(f"SELECT id FROM runs WHERE action = 'purge' ORDER BY {TURN}")
    change(
        house,
        f"UPDATE runs SET state = 'failed' WHERE id = '{runs[7]}'",
        f"UPDATE runs SET state = 'held' WHERE id = '{runs[5]}'",
        f"UPDATE runs SET state = 'skipped' WHERE id = '{runs[3]}'",
    )
    found = Reader(ledger).sync_excerpt(sync, runs=4, lines=3)
    assert found
    (plan,) = found["plans"]
    assert [one["id"] for one in plan["runs"]] == [runs[0], runs[3], runs[5], runs[7]]
    assert list(plan["counts"])[:2] == ["failed", "held"]
    assert [len(one["tries"]) for one in plan["runs"] if one["state"] != "skipped"] == [1, 1, 1]
    seqs = [one["seq"] for one in found["events"]]
    whole = story_of(Reader(ledger), sync)
    assert whole
    assert seqs == [one["seq"] for one in whole["events"]][-3:]
