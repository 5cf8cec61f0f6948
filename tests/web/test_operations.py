"""The door for what operators do, over a real ledger whose dispatcher's work is done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import put_in_force, refuse_files
from doors import AS_OPERATOR, AS_SENDER, Doors, doors
from house import House

from receiver.ledger.engine.ledger import Ledger

RULES = """
- name: call
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
- name: careful
  match: {resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 1, otherwise: hold}
  actions: [{uses: log.message, with: {text: "3"}}]
"""

NOTHING = "{uses: log.message, target: application, with: {text: x}}"


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES)


def ask(web: Doors, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer = web.client.open(f"/v1{path}", method=method, json=body, headers=AS_OPERATOR)
    assert answer.status_code == status, answer.text
    assert answer.json is not None
    return dict(answer.json)


def id_of(house: House, table: str, condition: str) -> str:
    return str(house.query(f"SELECT id FROM {table} WHERE {condition} ORDER BY id")[0])


def test_a_run_that_failed_is_retried(web: Doors, house: House) -> None:
    """The answer shows the run as it is now; asked again, it says that it was done."""
    house.sync("a")
    house.end(*house.claim(), fails="refused")
    run = id_of(house, "runs", "state = 'failed' AND action = 'one'")
    shown = ask(web, "POST", f"/runs/{run}/retry")["run"]
    assert {key: shown[key] for key in ("id", "state", "rule", "attempts")} == {
        "id": run, "state": "due", "rule": "call", "attempts": 1,
    }  # fmt: skip
    problem = ask(web, "POST", f"/runs/{run}/retry", status=409)
    assert (problem["reason"], problem["state"]) == ("wrong_state", "due")
    assert f"POST /v1/runs/{run}/hurry" in problem["hint"]
    assert house.events("run.retried")[0]["by"] == "ann"


def test_many_are_retried_by_filters(web: Doors, house: House) -> None:
    """Up to a limit, and the answer says whether there are more."""
    house.sync("a", "b", "c")
    house.end(*house.claim(), fails="refused")
    body = {"state": "failed", "rule": "call", "since": "1h", "limit": 2, "reason": "mended"}
    answer = ask(web, "POST", "/runs/retry", body)
    assert (answer["retried"], len(answer["runs"]), answer["more"]) == (2, 2, True)
    answer = ask(web, "POST", "/runs/retry", {"all": True, "until": "2999-01-01T00:00:00Z"})
    assert (answer["retried"], answer["more"]) == (1, False)
    assert [event.get("reason") for event in house.events("run.retried")] == [
        "mended", "mended", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "give rule, handler, application or since"),
        ({"state": "failed"}, "give rule, handler, application or since"),
        ({"state": "skipped", "all": True}, "state: must be failed"),
        ({"rule": "call", "limit": 1001}, "limit: must be at most 1000"),
        ({"rule": "call", "since": "yesterday"}, "since: is no time; write 2h"),
        ({"rule": "call", "since": "2026-06-01T12:00:00"}, "since: is a time without its zone"),
        ({"rule": 7}, "rule: must be a string"),
        ({"rul": "call"}, "did you mean rule?"),
    ],
)
def test_a_body_that_cannot_be_meant_is_named(web: Doors, body: Any, words: str) -> None:
    """Retrying whatever failed has to be said."""
    problem = ask(web, "POST", "/runs/retry", body, status=400)
    assert problem["reason"] == "bad_body"
    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("body", "reason"), [(b"{", "not_json"), (b"[]", "bad_body"), (b'{"reason": 1}', "bad_body")]
)
def test_a_body_is_a_json_object_or_nothing(web: Doors, body: bytes, reason: str) -> None:
    """Whatever its content type says, as curl sends forms by itself."""
    answer = web.client.post("/v1/runs/r-1/cancel", data=body, headers=AS_OPERATOR)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, reason)


def test_runs_plans_and_syncs_are_cancelled(web: Doors, house: House) -> None:
    """Each answer says what that has cancelled."""
    first, second = house.sync("a", "b"), house.sync("c", "d", at=60)
    call = id_of(house, "plans", f"sync_id = '{first}' AND rule = 'call'")
    run = id_of(house, "runs", f"plan_id = '{call}' AND action = 'one'")
    shown = ask(web, "POST", f"/runs/{run}/cancel", {"reason": "wrong zone"})["run"]
    assert (shown["state"], shown["reason"]) == ("cancelled", "cancelled by ann: wrong zone")
    answer = ask(web, "POST", f"/plans/{call}/cancel")
    assert (answer["plan"]["state"], len(answer["runs"])) == ("cancelled", 2)
    answer = ask(web, "POST", f"/syncs/{second}/cancel")
    assert (len(answer["plans"]), len(answer["runs"])) == (2, 5)
    problem = ask(web, "POST", f"/syncs/{second}/cancel", status=409)
    assert "no plan of it is open" in problem["detail"]


def test_a_held_plan_is_approved(web: Doors, house: House) -> None:
    """Once; then it is active."""
    house.sync("a", "b")
    plan = id_of(house, "plans", "state = 'held'")
    answer = ask(web, "POST", f"/plans/{plan}/approve", {"reason": "the bootstrap is meant"})
    assert answer["plan"]["state"] == "active"
    assert ask(web, "POST", f"/plans/{plan}/approve", status=409)["state"] == "active"
    run = id_of(house, "runs", "action = 'two'")
    assert "only what is held" in ask(web, "POST", f"/runs/{run}/approve", status=409)["hint"]


@pytest.mark.parametrize(
    ("path", "scope", "name"),
    [
        ("/pauses/all", "all", ""),
        ("/pauses/rules/call", "rule", "call"),
        ("/pauses/handlers/log.message", "handler", "log.message"),
    ],
)
def test_a_pause_is_set_shown_and_lifted(web: Doors, path: str, scope: str, name: str) -> None:
    """PUT and DELETE may come twice; whoever was first is named."""
    pause = ask(web, "PUT", path, {"reason": "the CDN is down"})["pause"]
    assert ask(web, "PUT", path, {"reason": "again"})["pause"] == pause
    shown = {key: pause[key] for key in ("scope", "name", "by", "reason")}
    assert shown == {"scope": scope, "name": name, "by": "ann", "reason": "the CDN is down"}
    assert ask(web, "GET", "/pauses") == {"pauses": [pause]}
    ready = web.client.get("/readyz").json
    assert ready
    assert ready["pauses"] == [pause]
    assert [ask(web, "DELETE", path)["resumed"] for _ in range(2)] == [True, False]
    assert ask(web, "GET", "/pauses") == {"pauses": []}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/pauses/rules/cal", "no rule cal is in force, and no run of it is open"),
        ("/pauses/rules/cal", "did you mean call?"),
        ("/pauses/handlers/log.mesage", "did you mean log.message?"),
    ],
)
def test_a_pause_of_nothing_is_warned_of(web: Doors, house: House, path: str, words: str) -> None:
    """It is set all the same: the rule of that name may be about to come."""
    put_in_force(house)
    answer = ask(web, "PUT", path)
    assert words in answer["warning"]
    assert answer["pause"]


@pytest.mark.parametrize(
    "path", ["/pauses/all", "/pauses/rules/careful", "/pauses/handlers/log.message"]
)
def test_a_pause_of_what_is_in_force_has_no_warning(web: Doors, house: House, path: str) -> None:
    """Its warning is empty."""
    put_in_force(house)
    assert ask(web, "PUT", path)["warning"] == ""


def test_a_rule_that_is_gone_is_paused_for_its_runs(web: Doors, house: House) -> None:
    """What is still open of it is what an operator wants to stop."""
    house.sync("a")
    house.use("- {name: other, match: {}, actions: [" + NOTHING + "]}")
    put_in_force(house)
    assert ask(web, "PUT", "/pauses/rules/call")["warning"] == ""


@pytest.mark.parametrize("name", ["a b", "%00", "x" * 201, "%C3%A4"])
def test_what_can_be_no_name_is_not_paused(web: Doors, name: str) -> None:
    """A pause that nothing can ever match would look like one."""
    assert ask(web, "PUT", f"/pauses/rules/{name}", status=400)["reason"] == "bad_name"


@pytest.mark.parametrize("reason", ["\ud800", "x" * 501])
def test_a_reason_is_a_short_text(web: Doors, reason: str) -> None:
    """Half a character cannot be stored."""
    problem = ask(web, "PUT", "/pauses/all", {"reason": reason}, status=400)
    assert problem["detail"].startswith("reason: ")


def test_a_replay_is_asked_for(web: Doors, house: House) -> None:
    """It is 202, since the dispatcher does it; the same again is told that it is under way."""
    sync = house.sync("a")
    replay = ask(web, "POST", f"/syncs/{sync}/replay", {"rule": "call"}, status=202)["replay"]
    assert (replay["sync"], replay["rule"], replay["by"]) == (sync, "call", "ann")
    problem = ask(web, "POST", f"/syncs/{sync}/replay", {"rule": "call"}, status=409)
    assert replay["id"] in problem["detail"]
    assert ask(web, "POST", f"/syncs/{sync}/replay", status=202)["replay"]["rule"] is None
    unplanned = house.store("b", at=60)
    assert ask(web, "POST", f"/syncs/{unplanned}/replay", status=409)["state"] == "new"


@pytest.mark.parametrize("act", ["/runs/RUN/retry", "/runs/retry", "/syncs/SYNC/replay"])
def test_while_rule_files_are_refused_nothing_is_repeated_unless_that_is_meant(
    web: Doors, house: House, act: str
) -> None:
    """The problem names the first mistake, and how many more there are."""
    put_in_force(house)
    sync = house.sync("a")
    house.end(*house.claim(), fails="refused")
    path = act.replace("RUN", id_of(house, "runs", "state = 'failed'")).replace("SYNC", sync)
    refuse_files(house, "rules.yaml:3:1: rules[0].matc: unknown key", "rules.yaml:9:1: also wrong")
    body: dict[str, Any] = {"rule": "call"} if path == "/runs/retry" else {}
    problem = ask(web, "POST", path, body, status=409)
    assert problem["reason"] == "rules_refused"
    assert "rules.yaml:3:1: rules[0].matc: unknown key; and 1 more" in problem["detail"]
    assert "--with-rules-in-force" in problem["hint"]
    assert house.events("run.retried") == house.events("sync.replay_asked") == []
    status = 202 if "replay" in act else 200
    ask(web, "POST", path, body | {"withRulesInForce": True}, status=status)
    assert len(house.events("run.retried") + house.events("sync.replay_asked")) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/runs/r-1/retry", "no_such_run"),
        ("/runs/r-1/cancel", "no_such_run"),
        ("/runs/r-1/approve", "no_such_run"),
        ("/runs/r-1/hurry", "no_such_run"),
        ("/runs/r-1/acknowledge", "no_such_run"),
        ("/plans/p-1/cancel", "no_such_plan"),
        ("/plans/p-1/approve", "no_such_plan"),
        ("/syncs/s-1/cancel", "no_such_sync"),
        ("/syncs/s-1/replay", "no_such_sync"),
    ],
)
def test_what_is_unknown_is_a_404(web: Doors, path: str, reason: str) -> None:
    """With the list that has what there is."""
    problem = ask(web, "POST", path, status=404)
    assert (problem["reason"], "lists them" in problem["hint"]) == (reason, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs/r-1/retry"),
        ("POST", "/runs/r-1/hurry"),
        ("POST", "/runs/r-1/acknowledge"),
        ("POST", "/runs/retry"),
        ("POST", "/syncs/s-1/replay"),
        ("POST", "/plans/p-1/cancel"),
        ("POST", "/plans/p-1/approve"),
        ("PUT", "/pauses/all"),
        ("DELETE", "/pauses/rules/r"),
        ("GET", "/pauses"),
    ],
)
@pytest.mark.parametrize("headers", [{}, AS_SENDER])
def test_only_an_operator_may_act(
    web: Doors, method: str, path: str, headers: dict[str, str]
) -> None:
    """A sender's token is for sending alone."""
    answer = web.client.open(f"/v1{path}", method=method, headers=headers)
    assert answer.status_code == (403 if headers else 401)
