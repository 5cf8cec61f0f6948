"""Lists without what is bulky, the keys that `fields` asks for, and long stories page by page."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import TWO, house_of
from doors import AS_VIEWER, Doors, doors
from house import House
from sqlalchemy import insert, select

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def house(ledger: Ledger) -> House:
    made = house_of(ledger, TWO)
    made.sync("a", "b", "c")
    made.sync("d", at=60)
    made.work()
    return made


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path, house: House) -> Iterator[Doors]:
    assert house.runs()
    with doors(ledger, tmp_path) as made:
        yield made


def get(web: Doors, path: str, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = web.client.get(f"/v1/{path}", query_string=query, headers=AS_VIEWER)
    assert answer.status_code == status, answer.text
    assert answer.json is not None
    return dict(answer.json)


BULKY = [
    ("runs", {"parameters", "output"}),
    ("plans", {"targets"}),
    ("deliveries", {"notification", "text", "note"}),
]


@pytest.mark.parametrize(("kind", "bulky"), BULKY)
def test_a_list_leaves_out_what_is_bulky_until_all_is_asked_for(
    web: Doors, kind: str, bulky: set[str]
) -> None:
    """The rest is the same."""
    for lean, whole in zip(get(web, kind)[kind], get(web, kind, fields="*")[kind], strict=True):
        assert whole.keys() - lean.keys() == bulky
        assert lean.keys() <= whole.keys()


@pytest.mark.parametrize(
    ("path", "fields", "keys"),
    [
        ("runs", "id,parameters", {"id", "parameters"}),
        ("plans", "rule, targets", {"rule", "targets"}),
        ("syncs", "application", {"application"}),
        ("events", "seq,event,rule", {"seq", "event", "rule"}),
        ("deliveries", "id,outcome.plans.targets", {"id", "outcome"}),
    ],
)
def test_rows_have_the_keys_that_are_asked_for(
    web: Doors, path: str, fields: str, keys: set[str]
) -> None:
    """And the page says how to go on, as ever."""
    page = get(web, path, fields=fields, limit=1)
    assert "next" in page
    assert page[path][0].keys() <= keys
    if path != "events":
        assert page[path][0].keys() == keys


def test_a_key_below_another_is_asked_for_with_a_dot(web: Doors) -> None:
    """Of each row, and of the one thing."""
    (sync, _) = get(web, "syncs", fields="id,plans.rule")["syncs"]
    assert sync == {"id": sync["id"], "plans": [{"rule": "r"}]}
    story = get(web, "syncs/last", fields="plans.runs.state,plans.rule")
    assert story == {
        "plans": [{"rule": "r", "runs": [{"state": "succeeded"}] * 2}], "next": None,
    }  # fmt: skip
    run = get(web, f"runs/{get(web, 'runs')['runs'][0]['id']}", fields="tries.number")
    assert run == {"tries": [{"number": 1}], "next": None}
    (delivery, _) = get(web, "deliveries", fields="outcome.plans.rule")["deliveries"]
    assert delivery == {"outcome": {"plans": [{"rule": "r"}]}}
    assert get(web, "deliveries/last", fields="sender") == {"sender": "argocd"}


@pytest.mark.parametrize(
    ("path", "fields", "detail", "hint"),
    [
        ("runs", "id,stat", "fields: there is no stat; did you mean state?", "parameters"),
        ("syncs", "plans.targets", "fields: there is no plans.targets", "waitsFor"),
        ("syncs", ".", "fields: there is no .", "application"),
        ("syncs", "id.x", "fields: there is no id.x", "no keys"),
        ("syncs/last", "plans.runs.nme", "fields: there is no plans.runs.nme", "tries"),
    ],
)
def test_a_key_that_there_is_not_is_refused(
    web: Doors, path: str, fields: str, detail: str, hint: str
) -> None:
    """With those that there are."""
    problem = get(web, path, 400, fields=fields)
    assert (problem["reason"], problem["detail"]) == ("bad_parameter", detail)
    assert hint in problem["hint"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("runs", "*"), ("plans", "*"), ("deliveries", "*"), ("deliveries", "outcome.plans.targets")],
)
def test_a_page_of_what_is_bulky_ends_where_it_grows_too_large(
    web: Doors, kind: str, fields: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one row at least; the cursor leads to the rest."""
    monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", 1)
    found: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = get(web, kind, fields=fields, cursor=cursor)
        assert len(page[kind]) == 1
        found += page[kind]
        cursor = page["next"]
    monkeypatch.undo()
    assert found == get(web, kind, fields=fields)[kind]


def whole(web: Doors, path: str, **query: Any) -> tuple[dict[str, Any], int]:
    """A story, put together of its pages, and how many there are."""
    story, pages = get(web, path, **query), 1
    while story["next"]:
        page = get(web, path, **query, cursor=story["next"])
        for key in {"deliveries", "events", "runs", "tries"} & story.keys():
            story[key] += page[key]
        for plan in page.get("plans", ()):
            same = [one for one in story["plans"] if one["id"] == plan["id"]]
            if same:
                same[0]["runs"] += plan["runs"]
            else:
                story["plans"].append(plan)
        story["next"], pages = page["next"], pages + 1
    return story, pages


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("kind", ["sync", "plan", "run"])
def test_the_pages_of_a_story_have_together_what_one_has(
    web: Doors, house: House, kind: str, limit: int
) -> None:
    """However few rows each has: every run in its turn, every line of the trail, no more."""
    house.replay(house.query("SELECT MIN(id) FROM syncs")[0])
    house.work()
    path = f"{kind}s/{house.query(f'SELECT MIN(id) FROM {kind}s')[0]}"
    a = tables.attempts
    with house.ledger.write() as connection:
        (row,) = connection.execute(select(a).order_by(a.c.run_id).limit(1)).mappings()
        connection.execute(insert(a), [{**row, "number": number} for number in (2, 3, 4, 5, 6)])
    once = get(web, path)
    assert once["next"] is None
    story, pages = whole(web, path, limit=limit)
    assert story == once
    assert pages >= len(once["events"]) / limit


def test_the_first_page_of_a_sync_alone_explains_it(web: Doors) -> None:
    """The explanation is no longer than it may be, and need not be made again."""
    first = get(web, "syncs/last", limit=1)
    assert first["explanation"] is not None
    further = get(web, f"syncs/{first['id']}", limit=1, cursor=first["next"])
    assert (further["explanation"], further["explanationNote"]) == (None, "")


def test_what_is_bulky_of_a_plan_or_a_run_itself_is_on_the_first_page_alone(web: Doors) -> None:
    """It is the same on each."""
    for kind, bulky in (("plans", {"targets"}), ("runs", {"parameters", "output"})):
        path = f"{kind}/{get(web, kind)[kind][0]['id']}"
        first = get(web, path, limit=1)
        further = get(web, path, limit=1, cursor=first["next"])
        assert first.keys() - further.keys() == bulky


def test_the_cursor_of_another_story_is_refused(web: Doors, house: House) -> None:
    """It would lead to runs that are not its own."""
    newest, oldest = house.query("SELECT id FROM syncs ORDER BY id DESC")
    cursor = get(web, f"syncs/{newest}", limit=1)["next"]
    assert get(web, f"syncs/{oldest}", 400, cursor=cursor)["reason"] == "bad_cursor"


@pytest.mark.parametrize(
    "place",
    [
        "",
        "d/p/r/1",
        "////",
        "d/p/r/x/0",
        "d/p/r/-1/0",
        "d/p/r/1_0/0",
        f"d/p/r/{10**18}/0",
        "\0///1/1",
        f"d/p/r/0/{10**9}",
        7,
    ],
)
@pytest.mark.parametrize("kind", ["syncs", "plans", "runs"])
def test_a_cursor_of_a_story_that_nobody_gave_is_refused(web: Doors, kind: str, place: Any) -> None:
    """It is no fault of ours, whatever it says."""
    number = get(web, kind)[kind][0]["id"]
    cursor = urlsafe_b64encode(json.dumps([number, place]).encode()).decode()
    problem = get(web, f"{kind}/{number}", 400, cursor=cursor)
    assert problem["reason"] == "bad_cursor"
    assert problem["detail"] == f"the cursor is none of {number}"


def test_parameters_of_runs_cut_a_page_of_a_story_too(
    web: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one answer holds is bounded in bytes."""
    once = get(web, "syncs/last")
    monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", 1)
    story, pages = whole(web, "syncs/last")
    assert (story, pages) == (once, 2)
