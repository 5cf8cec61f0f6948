"""What would happen, asked by the form of the rules' page: it tells, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import live_house_of
from doors import VIEWER, Doors, doors
from house import House
from notifications import notification, resource
from page import RULES, csrf_of, log_in, look, words
from werkzeug.test import TestResponse

from receiver.inspection.what_if import LARGEST_RULES
from receiver.ledger.engine.ledger import Ledger

EDITED = """version: 1
rules:
- name: edited
  match: {resources: [{kind: ConfigMap, name: "other"}]}
  actions:
  - name: call
    uses: http.request
    with:
      method: POST
      url: "https://example.com/"
      headers: {X-Token: {env: POSTSYNC_SECRET_NOWHERE}}
"""
MISTAKEN = """version: 1
rules:
- name: edited
  match: {resources: [{kind: ConfigMap, name: "<b>"}]}
  actions: [{uses: log.mesage, with: {text: "${{ resource.nam }}"}}]
"""
MANY = notification(*[{"kind": "A", "name": "a", "version": "v1"}] * 2001).decode()
COUNTED = ("deliveries", "syncs", "plans", "runs", "audit_events", "rule_sets")


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return live_house_of(file_ledger, RULES)


def ask(web: Doors, **form: str) -> TestResponse:
    """Fill in the form of the rules' page."""
    csrf = csrf_of(look(web, "/rules"))
    return web.client.post("/page/rules", data={"csrf": csrf, **form})


def counts(house: House) -> list[object]:
    return [house.query(f"SELECT COUNT(*) FROM {table}") for table in COUNTED]


def test_what_if_a_sync_came_under_an_edited_rule(web: Doors, house: House) -> None:
    """As `postsync explain --rules`; what was filled in stays, and secrets are not looked for."""
    sync = house.sync("assets-img", "other")
    before = counts(house)
    for name in (sync, "last", ""):
        answer = ask(web, sync=name, rules=EDITED)
        assert answer.status_code == 200, answer.text
        told = words(answer)
        assert "wave 0: call http.request for ConfigMap/shop/other" in told
        assert "resources[0].name wants other, saw assets-img : ConfigMap/shop/assets-img" in told
        assert "purge-shop-assets" not in told
        assert "{env: POSTSYNC_SECRET_NOWHERE}" in answer.text
    assert counts(house) == before


def test_what_if_a_notification_came_now(web: Doors, house: House) -> None:
    """Under the rules in force, with what it alone cannot tell."""
    before = counts(house)
    body = notification(resource("web", kind="Deployment"), application="blog").decode()
    answer = ask(web, sync="last", notification=body)
    assert answer.status_code == 200, answer.text
    assert "argocd/blog Succeeded, channel sync, 1 resource" in words(answer)
    assert "wave 0: tell log.message for argocd/blog" in words(answer)
    answer = ask(web, notification=body, rules=EDITED.replace("name: edited\n", "name: x\n", 1))
    assert "Nothing would run" in words(answer)
    assert counts(house) == before


def test_a_viewer_may_ask(web: Doors, house: House) -> None:
    """It changes nothing."""
    house.sync("assets-img")
    viewer = web.app.test_client()
    csrf = csrf_of(log_in(viewer, VIEWER))
    answer = viewer.post("/page/rules", data={"csrf": csrf, "sync": "last"})
    assert answer.status_code == 200
    assert "wave 0: purge log.message for ConfigMap/shop/assets-img" in words(answer)


def test_another_site_cannot_ask(web: Doors, house: House) -> None:
    """Its form lacks the session's own token, or the session."""
    house.sync("assets-img")
    assert web.client.post("/page/rules", data={"sync": "last"}).status_code == 403
    assert web.app.test_client().post("/page/rules", data={"sync": "last"}).status_code == 403


def test_mistakes_of_rules_have_their_places(web: Doors, house: House) -> None:
    """All of them, as `postsync check` tells them."""
    house.sync("assets-img")
    answer = ask(web, rules=MISTAKEN)
    assert answer.status_code == 400
    told = words(answer)
    assert "pasted.yaml:5:14: rules[0].actions[0].uses:" in told
    assert "did you mean log.message?" in told
    assert "resource.nam" in told
    assert "<b>" not in answer.text
    assert ask(web, rules="version: [").status_code == 400


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"notification": "{"}, 400, "JSON"),
        ({"notification": "{}"}, 400, "This cannot be told"),
        ({"notification": MANY}, 503, "lists more than 2000 resources"),
        ({"sync": "s-000000000000000000"}, 404, "there is no sync s-000000000000000000"),
        ({"rules": "#" * (LARGEST_RULES + 1)}, 413, "the rules are larger than"),
    ],
)
def test_what_cannot_be_explained_says_why(
    web: Doors, form: dict[str, str], status: int, told: str
) -> None:
    """And the form is still there, as it was filled in."""
    answer = ask(web, **form)
    assert answer.status_code == status
    assert told in words(answer)
    assert 'name="rules"' in answer.text


@pytest.mark.usefixtures("house")
def test_pasted_words_do_nothing(web: Doors) -> None:
    """Markup, templates and what turns a line, of a notification and of mistaken rules."""
    evil = "</textarea><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[31m"
    body = notification(resource(evil, message=evil), application="blog", phase="Succeeded")
    for form in ({"notification": body.decode()}, {"notification": evil}, {"rules": evil}):
        text = ask(web, sync=evil, sender=evil, **form).text
        assert "<img" not in text
        assert ">49" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text


def test_before_there_are_rules_it_says_so(web: Doors) -> None:
    """As on the first day."""
    answer = ask(web, notification=notification(resource("a")).decode())
    assert answer.status_code == 503
    assert "no rules are in force" in words(answer)


def test_it_is_bounded_in_time_and_to_one_at_once(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notifications are taken by the same process."""
    house.sync("assets-img")
    monkeypatch.setattr("receiver.inspection.explain.PATIENCE", 0.01)
    with web.intake.explainer.lock:
        assert ask(web).status_code == 503
    monkeypatch.setattr("receiver.inspection.what_if.LONGEST", 0)
    answer = ask(web, rules=EDITED)
    assert answer.status_code == 503
    assert "takes more than 0 s of a core" in words(answer)
    assert ask(web).status_code == 200
