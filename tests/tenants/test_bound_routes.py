"""Each route of the app is closed to a bound token, unless it was opened to it on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page import csrf_of, log_in, words
from two_teams import Teams, bearer, teams, token_of
from werkzeug.routing import Rule

from receiver.ledger.engine.ledger import Ledger
from receiver.web import operator_api, read_api
from receiver.web.page.blueprint import BOUND

OPENED = {
    "read.listRules", "read.getRule", "read.listSyncs", "read.getSync", "read.explainSync",
    "read.listDeliveries", "read.getDelivery", "read.listPlans", "read.getPlan", "read.listRuns",
    "read.getRun", "read.listEvents", "read.listPauses",
    "operate.retryRun", "operate.retryRuns", "operate.replaySync", "operate.hurryRun",
    "operate.acknowledgeRun", "operate.cancelRun", "operate.cancelPlan", "operate.cancelSync",
    "operate.approveRun", "operate.approvePlan", "operate.pauseRule", "operate.resumeRule",
}  # fmt: skip
"""Operations of the API that tell and do what is within a token's binding."""

WITHOUT_TOKEN = {
    "openapi.openapi",
    "health.healthy",
    "health.ready",
    "metrics.show",
    "root",
}
"""What needs no token at all, so that a bound one makes no difference."""

OTHER_TOKENS = {
    "intake.notify",
    "intake.notifyChannel",
    "messages.receive",
    "application.list_syncs",
    "application.list_runs",
}
"""What is for a sender's, a messenger's or an extension's token."""


@pytest.fixture
def one(file_ledger: Ledger, tmp_path: Path) -> Iterator[Teams]:
    with teams(file_ledger, tmp_path) as made:
        yield made


def routes(one: Teams) -> list[tuple[str, str, str]]:
    """Each method of each route, with an address that fits it."""
    adapter = one.web.app.url_map.bind("localhost")
    return [
        (rule.endpoint, method, adapter.build(rule.endpoint, values(rule), method=method))
        for rule in one.web.app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def values(rule: Rule) -> dict[str, str]:
    known = {"kind": "run", "word": "cancel", "scope": "all", "name": "x"}
    return {name: known.get(name, "x") for name in rule.arguments} | dict(rule.defaults or {})


def test_what_was_not_opened_is_refused_by_its_address_alone(one: Teams) -> None:
    """A new route is closed until somebody opens it here and there."""
    log_in(one.web.client, token_of("a-op"))
    closed = set()
    for endpoint, method, path in routes(one):
        if endpoint in OPENED | WITHOUT_TOKEN | OTHER_TOKENS | BOUND:
            continue
        answer = one.web.client.open(path, method=method, headers=bearer("a-op"))
        assert answer.status_code == 403, (endpoint, method, path, answer.status_code)
        assert "bound to namespace team-a" in answer.text, endpoint
        closed.add(endpoint)
    assert {"read.getStatus", "operate.pauseAll", "operate.pauseHandler", "page.status"} <= closed
    assert {"page.what_if", "page.backtest", "page.ask_backtest"} <= closed


def test_these_are_opened(one: Teams) -> None:
    opened = {
        f"{room}.{operation.name}"
        for room, made in (("read", read_api.ROUTES), ("operate", operator_api.ROUTES))
        for operation in made.operations if operation.bound
    }  # fmt: skip
    assert opened == OPENED
    endpoints = {rule.endpoint for rule in one.web.app.url_map.iter_rules()}
    assert endpoints >= OPENED | WITHOUT_TOKEN | OTHER_TOKENS | BOUND


FOREIGN = ("team-b", "elsewhere", "audit", "odd", "OPERATOR", "only-theirs")


def test_the_page_shows_ones_own_with_the_tenants_name_in_its_head(one: Teams) -> None:
    front = log_in(one.web.client, token_of("a-op"))
    assert "operator of namespace team-a" in front.text
    assert "/page/status" not in front.text
    plan, run = (one.id_of(kind, "team-a/tell") for kind in ("plans", "runs"))
    for path in (
        "", f"/syncs/{one.a}", f"/syncs/{one.a}/trail", f"/plans/{plan}", f"/runs/{run}", "/runs",
        "/rules", f"/deliveries/{one.a}",
    ):  # fmt: skip
        shown = one.web.client.get(f"/page{path}")
        assert shown.status_code == 200, path
        assert [word for word in FOREIGN if word in shown.text] == [], path
        assert "team-a" in words(shown), path


def test_what_needs_no_token_names_no_team(one: Teams) -> None:
    """Neither its namespace nor its rules, and not those of the operator."""
    for path in ("/metrics", "/readyz", "/healthz", "/"):
        told = one.web.client.get(path).text
        assert told
        assert [word for word in ("team-a", *FOREIGN) if word in told] == [], path


def test_anothers_pages_and_acts_are_not_there(one: Teams) -> None:
    log_in(one.web.client, token_of("a-op"))
    run, plan = one.id_of("runs", "team-b/tell"), one.id_of("plans", "team-b/tell")
    for path in (
        f"/syncs/{one.b}", f"/syncs/{one.b}/trail", f"/plans/{plan}", f"/runs/{run}",
        f"/runs/{run}/cancel", f"/plans/{plan}/cancel", f"/syncs/{one.b}/cancel",
        f"/deliveries/{one.b}",
    ):  # fmt: skip
        assert one.web.client.get(f"/page{path}").status_code == 404, path
    csrf = csrf_of(one.web.client.get("/page"))
    answer = one.web.client.post(f"/page/runs/{run}/cancel", data={"csrf": csrf})
    assert answer.status_code == 404
    for path in ("/pauses/rule/team-b/tell/pause", "/pauses/handler/log.message/pause"):
        assert one.web.client.get(f"/page{path}").status_code == 403
        answer = one.web.client.post(f"/page{path}", data={"csrf": csrf})
        assert answer.status_code == 403
    assert one.house.query("SELECT name FROM pauses") == []


def test_ones_own_rule_is_paused_by_the_page(one: Teams) -> None:
    log_in(one.web.client, token_of("a-op"))
    csrf = csrf_of(one.web.client.get("/page"))
    path = "/page/pauses/rule/team-a/tell/pause"
    assert one.web.client.post(path, data={"csrf": csrf}).status_code == 303
    assert one.house.query("SELECT name, operator FROM pauses") == [("team-a/tell", "a-op")]
