"""A story of many runs, and how many of them are made at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import TWO, house_of
from doors import AS_VIEWER, Doors, doors
from house import House

from receiver.cli.client import in_commands
from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def house(ledger: Ledger) -> House:
    made = house_of(ledger, TWO)
    made.sync("a", "b")
    return made


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture(params=["sync", "plan"])
def asked(request: pytest.FixtureRequest, house: House) -> str:
    return f"/v1/{request.param}s/{house.query(f'SELECT id FROM {request.param}s')[0]}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.web.long_stories.PATIENCE", 0.01)


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.web.long_stories.LONG", 1)


@pytest.mark.usefixtures("long")
def test_one_long_story_is_told_at_a_time(web: Doors, asked: str) -> None:
    """Eight askers of one sync of 10,000 runs took 530 MB at once, more than a pod has."""
    with web.intake.long_story:
        busy = web.client.get(asked, headers=AS_VIEWER)
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
    assert busy.json
    assert busy.json["reason"] == "busy"
    pages = web.client.get(busy.json["hint"].split()[3].removeprefix("GET "), headers=AS_VIEWER)
    assert pages.json
    assert len(pages.json["runs"]) == 3
    for _ in range(2):
        assert web.client.get(asked, headers=AS_VIEWER).status_code == 200


def test_a_short_story_waits_for_no_other(web: Doors, asked: str) -> None:
    """Nor does the answer that there is none."""
    with web.intake.long_story:
        assert web.client.get(asked, headers=AS_VIEWER).status_code == 200
        assert web.client.get(f"{asked}0", headers=AS_VIEWER).status_code == 404


@pytest.mark.usefixtures("long")
def test_a_long_story_that_cannot_be_told_lets_the_next_one_be(
    web: Doors, house: House, asked: str
) -> None:
    """Else nobody would be told one again before a restart."""
    web.app.testing = False
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE audit_events SET data = 'broken'")
    assert web.client.get(asked, headers=AS_VIEWER).status_code == 500
    assert not web.intake.long_story.locked()


@pytest.mark.parametrize("kind", ["sync", "plan"])
def test_the_hint_names_a_command_to_who_types_commands(kind: str) -> None:
    """A path of the API is nothing to type."""
    told = in_commands(f"ask again; GET /v1/runs?{kind}={kind[0]}-1m7y lists its runs by pages")
    assert told == f"ask again; `postsync runs --{kind} {kind[0]}-1m7y` lists its runs by pages"
