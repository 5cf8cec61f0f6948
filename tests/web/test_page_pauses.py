"""What is paused and resumed by the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import VIEWER, Doors, doors
from house import House
from page import csrf_of, fill, log_in, look, words
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger

THINGS = [
    ("all", "/status", "all by ann"),
    ("rule/migrate", "/rules", "paused (rule) by ann"),
    ("handler/log.message", "/rules", "log.message paused"),
]
"""Where it is in an address, the page with its button, and what that says when it is paused."""


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return fill(file_ledger)


def press(web: Doors, path: str, reason: str = "") -> TestResponse:
    """Answer the question that a button asks."""
    question = look(web, path)
    return web.client.post(f"/page{path}", data={"csrf": csrf_of(question), "reason": reason})


@pytest.mark.parametrize(("thing", "path", "told"), THINGS)
def test_what_is_paused_is_resumed_where_it_is_seen(
    web: Doors, house: House, thing: str, path: str, told: str
) -> None:
    """Each asks once, and is on the trail with who did it and why."""
    assert f'href="/page/pauses/{thing}/pause"' in look(web, path).text
    answer = press(web, f"/pauses/{thing}/pause", "the <b>CDN</b> is down")
    assert (answer.status_code, answer.location) == (303, f"/page{path}")
    page = look(web, path)
    assert told in words(page)
    assert f'href="/page/pauses/{thing}/pause"' not in page.text
    assert f'href="/page/pauses/{thing}/resume"' in look(web, "/status").text
    assert "the <b>CDN</b> is down" in words(look(web, "/status"))
    assert f'href="/page/pauses/{thing}/resume"' in page.text
    assert press(web, f"/pauses/{thing}/resume").status_code == 303
    assert web.intake.reader.pauses() == []
    lines = [*house.events("pause.set"), *house.events("pause.lifted")]
    assert [line["by"] for line in lines] == ["ann", "ann"]


@pytest.mark.parametrize(("thing", "path", "told"), THINGS)
def test_a_viewer_pauses_nothing(
    web: Doors, house: House, thing: str, path: str, told: str
) -> None:
    """He has no button, and may press none."""
    viewer = web.app.test_client()
    csrf = csrf_of(log_in(viewer, VIEWER))
    page = viewer.get(f"/page{path}")
    assert "/page/pauses/" not in page.text
    assert told not in words(page)
    for word in ("pause", "resume"):
        address = f"/page/pauses/{thing}/{word}"
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, data={"csrf": csrf}).status_code == 403
    assert house.query("SELECT COUNT(*) FROM pauses") == [0]


def test_another_site_pauses_nothing(web: Doors, house: House) -> None:
    """Its form lacks the session's own token, or the session."""
    assert web.client.post("/page/pauses/all/pause").status_code == 403
    assert web.app.test_client().post("/page/pauses/all/pause").status_code == 403
    assert house.query("SELECT COUNT(*) FROM pauses") == [0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pauses/all/explode", 404), ("/pauses/all/x/pause", 404), ("/pauses/rule/pause", 404),
        ("/pauses/world/x/pause", 404), ("/pauses/rule/%3Cb%3E/pause", 400),
    ],
)  # fmt: skip
def test_what_cannot_be_paused_is_told(web: Doors, path: str, status: int) -> None:
    """An unknown scope, a scope without its name, what is no name."""
    csrf = csrf_of(look(web, "/status"))
    answer = web.client.post(f"/page{path}", data={"csrf": csrf})
    assert answer.status_code == status
    assert "<b>" not in answer.text
