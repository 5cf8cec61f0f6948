"""Tokens that are bound to a tenant's namespaces: they see and act on what is theirs alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desks import refuse_files
from house import NOON
from in_process import Postsync, threaded
from two_teams import OPERATORS_RULES, Teams, bearer, bring, custom, teams, token_of
from werkzeug.serving import make_server

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.inbox.hook_messages import HookMessages, Message
from receiver.ledger.inbox.own_notifications import OwnNotifications

FOREIGN = ("team-b", "elsewhere", "audit", "odd", "OPERATOR", "only-theirs")
"""Words that stand in nothing of team-a's."""


@pytest.fixture
def both(ledger: Ledger, tmp_path: Path) -> Iterator[Teams]:
    with teams(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def one(file_ledger: Ledger, tmp_path: Path) -> Iterator[Teams]:
    with teams(file_ledger, tmp_path) as made:
        yield made


def foreign(text: str) -> list[str]:
    return [word for word in FOREIGN if word in text]


LISTS = ("rules", "syncs", "plans", "runs", "deliveries", "events", "pauses")


def test_every_list_has_what_is_ones_own_alone(both: Teams) -> None:
    """Over both engines; whoever is not bound sees all."""
    for name in LISTS:
        path = f"/v1/{name}" if name in {"rules", "pauses"} else f"/v1/{name}?fields=*"
        mine, all_of_it = (both.get(path, who).text for who in ("a-op", "root"))
        assert foreign(mine) == [], name
        if name != "pauses":
            assert "team-a" in mine, name
            assert "team-b" in all_of_it, name


def test_a_sync_is_told_with_ones_own_plans_and_without_others_counts(both: Teams) -> None:
    """Two rules have matched it, and a third has failed; the team learns of its own."""
    told = both.get(f"/v1/syncs/{both.a}").text
    assert foreign(told) == []
    story = json.loads(told)
    assert [plan["rule"] for plan in story["plans"]] == ["team-a/tell"]
    assert [row["rule"] for row in story["explanation"]] == ["team-a/tell"]
    assert story["reason"] == ""
    assert both.json(f"/v1/syncs/{both.a}", "root")["reason"]
    (planned,) = [line for line in story["events"] if line["event"] == "sync.planned"]
    assert planned.keys().isdisjoint({"rules", "matched", "ruleSet"})


@pytest.mark.parametrize("kind", ["syncs", "plans", "runs", "deliveries"])
def test_an_id_of_anothers_answers_as_one_that_is_not_there(both: Teams, kind: str) -> None:
    theirs = {
        "syncs": both.b, "plans": both.id_of("plans", "team-b/tell"),
        "runs": both.id_of("runs", "team-b/tell"), "deliveries": both.b,
    }[kind]  # fmt: skip
    nobodys = theirs[:-4] + "0000"
    found, missing = (both.get(f"/v1/{kind}/{one}") for one in (theirs, nobodys))
    assert (found.status_code, missing.status_code) == (404, 404)
    assert found.text.replace(theirs, "ID") == missing.text.replace(nobodys, "ID")
    assert both.get(f"/v1/{kind}/{theirs}", "b-op").status_code == 200


def test_the_newest_is_the_newest_of_ones_own(both: Teams) -> None:
    assert both.json("/v1/syncs/last")["id"] == both.a
    assert both.json("/v1/deliveries/last")["sync"] == both.a
    assert both.json("/v1/syncs/last/explanation")["application"] == "argocd/app-team-a"


def test_a_sync_of_a_granted_project_is_seen_wherever_it_goes(both: Teams) -> None:
    granted = bring(both.house, "somewhere", "cm", project="alpha")
    assert both.json(f"/v1/syncs/{granted}")["project"] == "alpha"
    assert both.get(f"/v1/syncs/{granted}", "b-op").status_code == 404


ACTS = (
    ("runs", "retry"), ("runs", "hurry"), ("runs", "acknowledge"), ("runs", "cancel"),
    ("runs", "approve"), ("plans", "cancel"), ("plans", "approve"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "act"), ACTS)
def test_an_act_on_anothers_finds_nothing(both: Teams, kind: str, act: str) -> None:
    """On one's own it is tried: all have ended well, so the state refuses it."""
    theirs, mine = (both.id_of(kind, f"{team}/tell") for team in ("team-b", "team-a"))
    assert both.post(f"/v1/{kind}/{theirs}/{act}").status_code == 404
    assert both.post(f"/v1/{kind}/{mine}/{act}").status_code == 409
    assert both.post(f"/v1/{kind}/{mine}/{act}", "a-view").status_code == 403
    assert both.post(f"/v1/{kind}/{theirs}/{act}", "root").status_code == 409


def test_a_retry_of_many_takes_ones_own_failures_alone(ledger: Ledger, tmp_path: Path) -> None:
    with teams(ledger, tmp_path) as made:
        for team in ("team-a", "team-b"):
            bring(made.house, team, f"again-{team}", minutes=1)
        made.house.end(*made.house.claim(), fails="answered 404")
        done = made.post("/v1/runs/retry", all=True, reason="again").get_json()
        rules = made.house.query("SELECT rule FROM runs WHERE state = 'due' OR state = 'waiting'")
    assert done["retried"] == 1
    assert rules == ["team-a/tell"]


def test_cancelling_a_sync_ends_ones_own_plans_alone(ledger: Ledger, tmp_path: Path) -> None:
    with teams(ledger, tmp_path) as made:
        sync = bring(made.house, "team-a", "open", minutes=1)
        answer = made.post(f"/v1/syncs/{sync}/cancel", reason="not now")
        assert answer.status_code == 200, answer.text
        states = made.house.query(f"SELECT rule, state FROM plans WHERE sync_id = '{sync}'")
        (line,) = made.house.events("plan.cancelled")
    assert sorted(states) == [("audit", "active"), ("team-a/tell", "cancelled")]
    assert (line["by"], line["reason"], line["rule"]) == ("a-op", "not now", "team-a/tell")


def test_a_replay_needs_a_rule_of_ones_own(both: Teams) -> None:
    path = f"/v1/syncs/{both.a}/replay"
    for rule in ("", "audit", "team-b/tell"):
        refused = both.post(path, **({"rule": rule} if rule else {}))
        assert refused.status_code == (404 if rule else 403), refused.text
        assert foreign(refused.text.replace(rule or "-", "")) == []
    assert both.post(path, rule="team-a/tell").status_code == 202
    assert both.post(f"/v1/syncs/{both.b}/replay", rule="team-a/tell").status_code == 404


def test_rules_of_ones_own_alone_are_paused(both: Teams) -> None:
    assert both.post("/v1/pauses/rules/team-a/tell", method="PUT", reason="x").status_code == 200
    for path in ("rules/team-b/tell", "rules/audit", "handlers/log.message", "all"):
        for method in ("PUT", "DELETE"):
            answer = both.post(f"/v1/pauses/{path}", method=method)
            assert answer.status_code == 403, path
            assert "this token is bound to namespace team-a" in answer.get_json()["detail"]
    both.post("/v1/pauses/rules/team-b/tell", "b-op", method="PUT", reason="PRIVATE")
    both.post("/v1/pauses/handlers/log.message", "root", method="PUT", reason="PRIVATE")
    told = both.get("/v1/pauses").text + both.get("/v1/rules").text + both.get("/v1/events").text
    assert "PRIVATE" not in told
    assert "root" not in told
    assert "handler" in told


@pytest.mark.parametrize(
    "query",
    [
        "outcome=succeeded&application=argocd/app-team-b", "text=audit", "text=odd",
        "text=condition",
        "application=app-team-b", "project=default&application=app-elsewhere",
    ],
)  # fmt: skip
def test_a_filter_finds_nothing_by_what_is_not_told(both: Teams, query: str) -> None:
    found = both.json(f"/v1/syncs?{query}")
    assert found["syncs"] == []
    given = query.rpartition("=")[2]
    assert foreign(found["warning"].replace(given, "")) == []


def test_an_outcome_of_anothers_plan_chooses_no_sync(ledger: Ledger, tmp_path: Path) -> None:
    """The operator's plan is open; the team's own has been cancelled."""
    with teams(ledger, tmp_path) as made:
        sync = bring(made.house, "team-a", "open", minutes=1)
        made.post(f"/v1/syncs/{sync}/cancel")
        assert made.json("/v1/syncs?outcome=active")["syncs"] == []
        assert [one["id"] for one in made.json("/v1/syncs?outcome=active", "root")["syncs"]] == [
            sync
        ]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs?rule=team-b/tel", "/v1/runs?rule=audi", "/v1/runs?handler=log.messag",
        "/v1/plans?application=app-team-", "/v1/events?rule=team-b/tell", "/v1/events?sync={b}",
        "/v1/plans?sync={b}", "/v1/runs?plan={plan}", "/v1/events?run={run}",
        "/v1/rules/team-b/tell", "/v1/rules/audit", "/v1/rules/nothing",
    ],
)  # fmt: skip
def test_no_hint_names_what_is_anothers(both: Teams, path: str) -> None:
    """Not even that there is such a thing; only what was asked for is repeated."""
    given = {
        "b": both.b, "plan": both.id_of("plans", "team-b/tell"),
        "run": both.id_of("runs", "team-b/tell"),
    }  # fmt: skip
    told = both.get(path.format(**given)).text
    asked = path.rpartition("=")[2] if "=" in path else path.removeprefix("/v1/rules/")
    assert foreign(told.replace(asked.format(**given), "")) == []


def test_a_cursor_made_of_anothers_ids_leads_to_ones_own_alone(both: Teams) -> None:
    """Whoever makes one up may begin anywhere, and sees no more."""
    run, plan = both.id_of("runs", "team-b/tell"), both.id_of("plans", "team-b/tell")
    for kind, place in (
        ("syncs", "s-zzz"), ("runs", run), ("plans", plan), ("deliveries", "d-zzz"),
    ):  # fmt: skip
        cursor = base64.urlsafe_b64encode(json.dumps([kind, place]).encode()).decode().rstrip("=")
        assert foreign(both.get(f"/v1/{kind}?cursor={cursor}").text) == []
    about = f"/{plan}/{run}/0"
    cursor = base64.urlsafe_b64encode(json.dumps([both.a, about]).encode()).decode().rstrip("=")
    assert foreign(both.get(f"/v1/syncs/{both.a}?cursor={cursor}").text) == []


def test_messages_of_hooks_are_told_where_no_namesake_can_have_sent_them(both: Teams) -> None:
    """A name alone may be anybody's; and another sender may have an Application of this one's."""
    now = (datetime.now(UTC) - NOON).total_seconds()
    sync = bring(both.house, "team-a", "cm", minutes=now / 60)
    say = HookMessages(both.house.ledger, lambda _at, _events: None)
    for named in ("app-team-a", "argocd/app-team-a"):
        say.store(Message("hook", named, f"by {named}", {}))
    told = both.get(f"/v1/syncs/{sync}").text
    assert "by argocd/app-team-a" in told
    assert "by app-team-a" not in told
    assert "by app-team-a" in both.get(f"/v1/syncs/{sync}", "root").text
    both.house.sync("x", application="app-team-a", sender="other")
    assert "by argocd/app-team-a" not in both.get(f"/v1/syncs/{sync}").text


def test_commands_work_with_a_bound_token(
    one: Teams, postsync: Postsync, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is not for it is refused with the way out."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"version: 1\nrules:{OPERATORS_RULES}")
    monkeypatch.setenv("POSTSYNC_TOKEN", token_of("a-op"))
    with threaded(make_server("127.0.0.1", 0, one.web.app, threaded=True)) as url:
        monkeypatch.setenv("POSTSYNC_URL", url)
        for command in (
            ("syncs",), ("show", "last"), ("show", one.a), ("rules",), ("runs",), ("plans",),
            ("rules", "team-a/tell"), ("tail",), ("explain", "--sync", one.a), ("export",),
            ("pauses",), ("pause", "--rule", "team-a/tell"),
        ):  # fmt: skip
            code, out, err = postsync(*command)
            assert code == 0, (command, err)
            assert foreign(out + err) == [], command
        files = ("--rules", str(rules))
        for words in (("status",), ("backtest", *files), ("explain", "--sync", one.a, *files)):
            code, _, err = postsync(*words)
            assert code != 0, words
            assert "bound to namespace team-a" in err
            assert "tenants.tokens" in err
        code, _, err = postsync("show", one.b)
        assert (code, f"there is no sync {one.b}" in err) == (1, True)


def test_probes_tell_no_mistakes_of_files_and_no_pauses(one: Teams) -> None:
    one.post("/v1/pauses/rules/team-b/tell", "b-op", method="PUT", reason="PRIVATE")
    refuse_files(one.house, "PRIVATE is no rule")
    told = one.web.client.get("/readyz")
    assert (told.status_code, told.get_json()["rules"]["refused"]) == (200, True)
    assert "PRIVATE" not in told.text


def test_mistakes_of_rule_files_are_not_told_and_hinder_no_act_of_a_team(one: Teams) -> None:
    refuse_files(one.house, "PRIVATE is no rule")
    answer = one.post(f"/v1/syncs/{one.a}/replay", rule="team-a/tell")
    assert answer.status_code == 202, answer.text
    told = one.get("/v1/rules").text + one.get(f"/v1/syncs/{one.a}/explanation").text
    assert "PRIVATE" not in told


def test_a_bound_operator_sends_no_messages_of_hooks(one: Teams) -> None:
    path = "/v1/messages?application=app-team-b"
    sent = one.web.client.post(path, data="forged", headers=bearer("a-op"))
    assert sent.status_code == 403
    assert one.web.client.post(path, data="meant", headers=bearer("root")).status_code == 202


def test_what_is_held_is_seen_by_the_team_whose_plan_it_is(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing of it by another that sees the same sync, nor of what the operator's rules hold."""
    ask = {"uses": "log.message", "suspend": True, "with": {"text": "x"}}
    sets = [custom(team, "asks", {"name": "ask", **ask}) for team in ("team-a", "team-b")]
    with teams(ledger, tmp_path, *sets) as made:
        made.house.tells = OwnNotifications(None, reaches=True)
        sync = bring(made.house, "team-b", "shared", project="alpha", minutes=1)
        told = made.house.query("SELECT id FROM syncs WHERE channel = 'postsync'")
        assert len(told) == 2
        for who in ("a-op", "b-op"):
            team = f"team-{who[0]}"
            assert sync in {one["id"] for one in made.json("/v1/syncs", who)["syncs"]}
            (seen,) = [
                one for one in made.json("/v1/syncs", who)["syncs"] if one["channel"] == "postsync"
            ]
            held = made.json(f"/v1/deliveries/{seen['id']}", who)["notification"]["held"]
            assert held["rule"] == f"{team}/asks"
            answers = [made.get(f"/v1/syncs/{one}", who).status_code for one in sorted(told)]
            assert sorted(answers) == [200, 404]
            assert made.json("/v1/syncs/last", who)["id"] == sync
