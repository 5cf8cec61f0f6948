"""The charts of the status: what came and what ran in each of the last 24 hours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doors import AS_SENDER, doors
from house import House
from notifications import notification, resource
from page import fill, log_in, look, words

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries import history
from receiver.ledger.queries.history import HOUR_MS, HOURS, History, read_history
from receiver.web.page.chart import HEIGHT, WIDTH, chart


def read(house: House) -> tuple[History, History]:
    with house.ledger.read() as connection:
        return read_history(connection, house.ledger.now(connection))


def test_the_hours_have_what_came_and_what_ran(ledger: Ledger, tmp_path: Path) -> None:
    """By the verdict, and by the state that a run has now; also as text."""
    house = fill(ledger)
    body = notification(resource("a"))
    with doors(ledger, tmp_path) as web:
        for sent in (body, body, b"{"):
            web.client.post("/v1/notifications", data=sent, headers=AS_SENDER)
        came, ran = read(house)
        assert len(came.hours) == len(ran.hours) == HOURS
        assert came.since is None
        assert {word for _, counts in came.hours for word in counts} == {
            "accepted", "duplicate", "refused",
        }  # fmt: skip
        states = [state for _, counts in ran.hours for state in counts]
        assert {"failed", "held"} <= {*states}
        log_in(web.client)
        page = look(web, "/status")
    told = words(page)
    assert "Notifications of the last 24 hours 6 accepted 1 duplicate 1 refused" in told
    assert re.search(r"<title>from \d\d:00: 1 refused</title>", page.text)
    assert 'role="img" aria-labelledby="about-run"' in page.text
    assert "style=" not in page.text


def test_of_many_the_newest_are_counted(
    file_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the page says since when."""
    monkeypatch.setattr(history, "MOST_DELIVERIES", 2)
    house = fill(file_ledger)
    came, ran = read(house)
    assert sum(sum(counts.values()) for _, counts in came.hours) == 2
    assert came.since is not None
    assert ran.since is None
    with doors(file_ledger, tmp_path) as web:
        log_in(web.client)
        assert "2 accepted not counted is what came before" in words(look(web, "/status"))


def test_before_anything_came_there_is_no_picture(file_ledger: Ledger, tmp_path: Path) -> None:
    """As on the first day."""
    with doors(file_ledger, tmp_path) as web:
        log_in(web.client)
        page = look(web, "/status")
    assert "Runs of the last 24 hours none" in words(page)
    assert "<svg" not in page.text


def test_bars_stay_within_the_picture() -> None:
    """Also the highest, of every word, and few of many are seen."""
    words_of = ["accepted", "duplicate", "refused"]
    many = {"accepted": 9000, "duplicate": 999, "refused": 1}
    drawn = chart(
        "N", "n", History([(number * HOUR_MS, many) for number in range(HOURS)], None), words_of
    )
    assert min(bar.y for bar in drawn.bars) >= 0
    assert max(bar.y + bar.height for bar in drawn.bars) <= HEIGHT + 0.1
    assert max(bar.x + bar.width for bar in drawn.bars) <= WIDTH
    assert min(bar.height for bar in drawn.bars) >= 1.5
