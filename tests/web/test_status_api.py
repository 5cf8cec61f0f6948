"""`GET /v1/status`: whether all is well, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import ANN, HOLDING, desk, failed, live_house_of, refuse_files
from doors import AS_SENDER, AS_VIEWER, Doors, doors
from house import House

from receiver.core.logs import configure_logs
from receiver.dispatcher.outage import Outage
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queue.pauses import Scope

CONNECTIONS = {
    "argocd": {"server": "https://argocd.example.com", "token": {"file": "argocd"}},
    "other": {"kubernetes": {"inCluster": True}},
}


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path, argocd=CONNECTIONS) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return live_house_of(ledger, HOLDING)


def status(web: Doors) -> Any:
    answer = web.client.get("/v1/status", headers=AS_VIEWER)
    assert answer.status_code == 200, answer.text
    assert answer.json
    assert answer.json["well"] == (not answer.json["needs"])
    return answer.json


def need(web: Doors) -> tuple[str, str, str]:
    """The only thing that needs a person."""
    (one,) = status(web)["needs"]
    return one["about"], one["text"], one["next"]


def outage(house: House, sender: str = "argocd") -> Outage:
    class Named:
        name = "Argo CD's API https://argocd.example.com"

    log = configure_logs("json")
    return Outage.of_connection(sender, Named(), "watch Applications", house.ledger, log)  # type: ignore[arg-type]  # nothing is asked of it


def test_all_is_well_while_nothing_fails(web: Doors, house: House) -> None:
    """Syncs that are planned and acted upon need nobody."""
    house.sync("a")
    house.work()
    found = status(web)
    assert found["well"]
    assert found["rules"]["rules"] == 3
    assert [one["sender"] for one in found["senders"]] == ["argocd"]


@pytest.mark.usefixtures("house")
def test_a_sender_that_has_sent_nothing_is_shown(web: Doors) -> None:
    """That is nothing which needs a person: it may be new."""
    assert status(web)["senders"] == [
        {"sender": "argocd", "lastAt": None, "refused": 0, "reason": ""}
    ]


def test_refused_rules_need_a_person(web: Doors, house: House) -> None:
    """With the first mistake; the older ones are told to be in force."""
    refuse_files(house, "r.yaml:1:2: no such kind", "r.yaml:9:9: another")
    about, text, command = need(web)
    assert (about, command) == ("rules", "postsync check")
    assert "older rules are in force: r.yaml:1:2: no such kind; and 1 more" in text


def test_without_any_rules_or_dispatcher_nothing_is_well(web: Doors) -> None:
    """As before the first start."""
    assert [one["about"] for one in status(web)["needs"]] == ["rules", "dispatcher"]


@pytest.mark.parametrize(
    ("scope", "name", "command"),
    [
        (Scope.ALL, "", "postsync resume --all"),
        (Scope.RULE, "call", "postsync resume --rule call"),
        (Scope.HANDLER, "log.message", "postsync resume --handler log.message"),
    ],
)
def test_a_pause_needs_whoever_set_it(
    web: Doors, house: House, scope: Scope, name: str, command: str
) -> None:
    """Nobody else ends it."""
    desk(house).pause(ANN, scope, name)
    about, text, following = need(web)
    assert (about, following) == ("pause", command)
    assert text.startswith(f"{scope} {name}".strip() + " is paused by ann since ")
    assert text.endswith(": mended")


@pytest.mark.parametrize(
    ("names", "what"), [(("b1", "b2"), "plan"), (("c1",), "run")], ids=["a plan", "a run"]
)
def test_what_is_held_needs_an_approval(
    web: Doors, house: House, names: tuple[str, ...], what: str
) -> None:
    """Plans by `limits`, runs by `suspend`."""
    house.sync(*names)
    house.turn()
    about, text, command = need(web)
    assert (about, command) == (f"{what}s", f"postsync {what}s --state held")
    assert text.startswith(f"1 {what} held for an approval, the oldest {what[0]}-")


def test_failed_runs_need_a_person_until_they_are_retried(web: Doors, house: House) -> None:
    """A handler for each; what is tried again by itself needs nobody."""
    failed(house, "a")
    about, text, command = need(web)
    assert (about, command) == ("handler", "postsync retry --handler log.message --since 1h")
    assert text.endswith("1 run failed for good in the last hour, the newest with: answered 404")
    house.retry(house.runs("id")[0])
    house.end(*house.claim(), fails="answered 503", temporary=True)
    assert status(web)["well"]
    assert status(web)["handlers"][0]["retrying"] == 1


def test_a_run_that_should_have_begun_long_ago_needs_a_person(web: Doors, house: House) -> None:
    """As the alert says: five minutes."""
    house.sync("a")
    house.turn()
    assert status(web)["well"]
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET due_at = due_at - 301000 WHERE state = 'due'")
    about, text, command = need(web)
    run = house.runs("id")[0]
    assert (about, command) == ("backlog", f"postsync show {run}")
    assert f"{run} of call is due since" in text


def test_refused_notifications_need_a_person(web: Doors, house: House) -> None:
    """Of a known sender; one that is understood ends it."""
    assert web.client.post("/v1/notifications", data=b"{", headers=AS_SENDER).status_code == 400
    about, text, command = need(web)
    assert about == "sender"
    assert text.startswith("argocd: 1 notification refused since the last that was understood: ")
    assert command == "postsync tail --event notification.refused --since 1h"
    house.sync("x")
    assert status(web)["well"]


def test_a_connection_is_shown_with_its_ways_and_what_was_seen(web: Doors, house: House) -> None:
    """Nobody has used it: unknown. It fails: that needs a person. It works again: well."""
    assert [(one["sender"], one["ways"], one["works"]) for one in status(web)["connections"]] == [
        ("argocd", ["argocd"], None), ("other", ["kubernetes"], None),
    ]  # fmt: skip
    used = outage(house)
    used.failed("Argo CD's API https://argocd.example.com: nobody answers")
    about, text, command = need(web)
    assert (about, command) == ("connection", "postsync check --cluster")
    assert text.startswith("argocd: cannot watch Applications since 20")
    assert text.endswith("nobody answers")
    used.over()
    assert status(web)["well"]
    assert status(web)["connections"][0]["works"] is True


def test_a_connection_that_the_settings_do_not_have_is_not_shown(web: Doors, house: House) -> None:
    """What was seen of it is history."""
    outage(house, "gone").failed("nobody answers")
    assert status(web)["well"]


def test_a_senders_token_may_not_look(web: Doors) -> None:
    """It is answered as everywhere: a problem, with its reason."""
    answer = web.client.get("/v1/status", headers=AS_SENDER)
    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"
    assert web.client.get("/v1/status?x=1", headers=AS_VIEWER).status_code == 400
