"""The back-test by the form of the rules' page: it tells, nothing is done, and it is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from desks import live_house_of
from doors import VIEWER, Doors, doors
from house import House
from page import RULES, csrf_of, log_in, look, words
from werkzeug.test import TestResponse

from receiver.inspection.what_if import LARGEST_RULES
from receiver.ledger.engine.ledger import Ledger

EDITED = """version: 1
rules:
- name: purge-shop-assets
  match: {resources: [{kind: ConfigMap, name: "other"}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
COUNTED = ("deliveries", "syncs", "plans", "runs", "audit_events", "rule_sets")


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        log_in(made.client)
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return live_house_of(ledger, RULES)


def ask(web: Doors, file: str | bytes = "", **form: str) -> TestResponse:
    """Fill in the form, and choose a file, as a browser sends it."""
    data = file.encode() if isinstance(file, str) else file
    csrf = csrf_of(look(web, "/rules"))
    fields = {"csrf": csrf, "since": "7d", **form, "file": (BytesIO(data), "edited.yaml")}
    return web.client.post("/page/backtest", data=fields)


def test_it_tells_what_would_have_run_and_what_no_longer(web: Doors, house: House) -> None:
    """By rule, with links to the syncs; and nothing is done."""
    sync = house.sync("assets-img", "assets-css", "other")
    house.sync("assets-img", at=1)
    before = [house.query(f"SELECT COUNT(*) FROM {table}") for table in COUNTED]
    answer = ask(web, rules=EDITED)
    assert answer.status_code == 200, answer.text
    told = words(answer)
    assert "2 syncs compared which came from" in told
    assert (
        "purge-shop-assets ran for 2 syncs, would for 1 + in addition : 1 sync, 1 resource" in told
    )
    assert "ConfigMap/shop/other - no longer : 2 syncs, 3 resources" in told
    assert "ConfigMap/shop/assets-css, ConfigMap/shop/assets-img" in told
    assert f'href="/page/syncs/{sync}"' in answer.text
    assert before == [house.query(f"SELECT COUNT(*) FROM {table}") for table in COUNTED]


def test_what_other_rules_ran_counts_where_the_file_has_all(web: Doors, house: House) -> None:
    """Most files have some of the rules only."""
    house.sync("other", application="blog")
    assert "tell-team" not in words(ask(web, rules=EDITED))
    told = words(ask(web, rules=EDITED, whole="yes"))
    assert "tell-team ran for 1 sync, would not: the file has no such rule" in told
    assert "the sync itself" in told


def test_a_file_is_uploaded(web: Doors, house: House) -> None:
    """It counts instead of what is pasted, and is there to be edited further."""
    house.sync("other")
    answer = ask(web, "\ufeff" + EDITED, rules="version: 2")
    assert answer.status_code == 200, answer.text
    assert "+ in addition : 1 sync" in words(answer)
    assert "name: &#34;other&#34;}]}" in answer.text


def test_what_is_not_compared_is_told_in_words(web: Doors, house: House) -> None:
    """A sync that is not planned yet, and a condition that fails, each with its sync."""
    planned, new = house.sync("other"), house.store("other", at=1)
    condition = "condition: \"resource.images[0] == 'x'\""
    told = words(ask(web, rules=EDITED.replace('"other"}]', f'"other"}}], {condition}')))
    assert f"Left out: not planned yet, 1 sync ( {new} )" in told
    assert f"! condition failed, 1 sync ( {planned} : " in told


def test_rules_that_are_the_same_make_no_difference(web: Doors, house: House) -> None:
    """As said at once."""
    house.sync("assets-img")
    told = words(ask(web, rules=f"version: 1\nrules:{RULES}", whole="yes"))
    assert "Nothing is different. The same as before: purge-shop-assets (1 sync)" in told


def test_only_the_syncs_of_the_time_count(web: Doors, house: House) -> None:
    """By when they came."""
    house.sync("other")
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET id = 'd-000000000000000000'")
        connection.exec_driver_sql("UPDATE syncs SET delivery_id = 'd-000000000000000000'")
    assert "0 syncs compared" in words(ask(web, rules=EDITED, since="1h"))


def test_a_viewer_may_ask_and_another_site_may_not(web: Doors, house: House) -> None:
    """The form has the session's own token, also where it brings a file."""
    house.sync("other")
    viewer = web.app.test_client()
    csrf = csrf_of(log_in(viewer, VIEWER))
    form = {"rules": EDITED, "since": "7d", "file": (BytesIO(), "")}
    answer = viewer.post("/page/backtest", data={"csrf": csrf, **form})
    assert "+ in addition : 1 sync" in words(answer)
    form["file"] = (BytesIO(), "")
    assert viewer.post("/page/backtest", data=form).status_code == 403
    stranger = web.app.test_client().post("/page/backtest", data={"rules": EDITED})
    assert stranger.status_code == 403


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("file", "form", "status", "told"),
    [
        ("", {"rules": " "}, 400, "there is no rule file (paste one, or choose a file)"),
        ("", {"rules": EDITED, "since": "1y"}, 400, "the time must be one of 1h, 24h, 7d"),
        (
            "",
            {"rules": EDITED.replace("log.m", "log.n")},
            400,
            "pasted.yaml:5:14: rules[0].actions",
        ),
        ("#" * (LARGEST_RULES + 1), {}, 413, "the rules are larger than"),
        (b"\xff\xfe", {}, 400, "the form cannot be read a file must be text in UTF-8"),
        ("", dict.fromkeys("abcdefghijk", ""), 400, "the form cannot be read open the page again"),
    ],
    ids=["none", "time", "mistake", "rules", "no text", "fields"],
)
def test_what_cannot_be_tested_says_why(
    web: Doors, file: str | bytes, form: dict[str, str], status: int, told: str
) -> None:
    """With the place of a mistake, and the way out."""
    answer = ask(web, file, **form)
    assert answer.status_code == status, answer.text
    assert told in words(answer)


def test_a_form_that_is_larger_than_its_rules_may_be_is_not_read(web: Doors) -> None:
    """Whatever is in it."""
    answer = web.client.post("/page/backtest", data=b"#" * 5 * LARGEST_RULES)
    assert answer.status_code == 413
    assert "take fewer rules, or let `postsync backtest` do it" in words(answer)


def test_it_tells_where_it_stopped(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many syncs, so much of a core, or so long; what was compared until then stays."""
    for at in range(4):
        house.sync("other", at=at)
    bounded = "receiver.inspection.bounded_backtest"
    monkeypatch.setattr(f"{bounded}.AT_ONCE", 2)
    assert "4 syncs compared" in words(ask(web, rules=EDITED))
    monkeypatch.setattr(f"{bounded}.MOST_SYNCS", 3)
    told = words(ask(web, rules=EDITED, since="24h"))
    assert "3 syncs compared" in told
    assert "Older syncs are not looked at, as 3 are the most. postsync backtest" in told
    assert "--since 24h compares them all" in told
    monkeypatch.setattr(f"{bounded}.LONGEST", 0)
    told = words(ask(web, rules=EDITED))
    assert "0 syncs compared" in told
    assert "as it had taken 0 s of a core" in told
    monkeypatch.setattr(f"{bounded}.LONGEST", 5)
    monkeypatch.setattr(f"{bounded}.PATIENCE", 0)
    assert "as it had taken 0 s." in words(ask(web, rules=EDITED))


def test_one_is_made_at_a_time(web: Doors, house: House) -> None:
    """The next one is told at once, and syncs are explained meanwhile."""
    sync = house.sync("assets-img")
    with web.intake.backtester.lock:
        answer = ask(web, rules=EDITED)
        assert answer.status_code == 503
        assert "another back-test is made now: ask again" in words(answer)
        assert "purge-shop-assets ✓ matched" in words(look(web, f"/syncs/{sync}"))
    assert ask(web, rules=EDITED).status_code == 200


def test_what_is_large_is_left_out_and_named(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the memory of the process that takes notifications."""
    sync = house.sync("other")
    monkeypatch.setattr("receiver.inspection.bounded_backtest.LARGEST", 100)
    told = words(ask(web, rules=EDITED))
    assert f"Left out: large, 1 sync ( {sync} : its notification has" in told


def test_pasted_words_do_nothing(web: Doors, house: House) -> None:
    """Markup, templates and what turns a line, of mistaken rules and of stored names."""
    evil = "</textarea><img src=x onerror=alert(1)>{{7*7}}\u202e"
    house.sync(evil)
    anything = EDITED.replace('name: "other"', 'name: "*"')
    for form in ({"rules": evil}, {"rules": anything}):
        text = ask(web, **form).text
        assert "<img" not in text
        assert ">49" not in text
        assert "\u202e" not in text


def test_the_address_alone_shows_the_form(web: Doors) -> None:
    """For who reloads after a new login."""
    assert "Back-test" in words(look(web, "/backtest"))
