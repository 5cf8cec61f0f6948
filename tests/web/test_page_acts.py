"""What is done by the page, who may, what others try, and what a page weighs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from desks import ANN, desk, live_house_of, refuse_files
from doors import VIEWER, Doors, doors
from house import House
from notifications import resource
from page import RULES, csrf_of, failed_run, fill, id_of, log_in, look, rows, words
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries import lists
from receiver.ledger.queue.pauses import Scope


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return fill(file_ledger)


def test_the_list_is_turned_over(web: Doors, house: House) -> None:
    """Each page leads to the next one, and back to the newest."""
    house.sync("x", application="later", at=9e8)
    page = look(web, "?limit=4&application=shop&text=shop")
    assert "Older" not in page.text
    (older,) = re.findall(r'href="([^"]+)" rel="next"', look(web, "?limit=4").text)
    following = web.client.get(unescape(older))
    assert rows(following) == ["argocd/blog", "argocd/shop"]
    assert "Newest" in following.text


def test_a_filter_looks_through_the_newest_syncs_only(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it costs no more with a million of them."""
    monkeypatch.setattr(lists, "EXAMINED", 2)
    assert rows(look(web, "?text=shop")) == ["argocd/shop"]
    assert house.query("SELECT COUNT(*) FROM syncs WHERE application = 'argocd/shop'") == [2]
    assert "among the newest 20,000" in words(look(web, "?text=blog"))


def test_a_held_plan_is_shown_so_however_many_runs_are_held(web: Doors, house: House) -> None:
    """Those of a newer plan do not hide it."""
    jobs = [resource(f"migrate-{number}", kind="Job") for number in range(210)]
    house.sync(*jobs, application="many", at=9e8)
    assert house.query("SELECT COUNT(*) FROM runs WHERE state = 'held'") == [211]
    page = look(web, "?outcome=held")
    assert rows(page) == ["argocd/many", "argocd/api"]
    assert words(page).count("? migrate held") == 2


def test_what_needs_a_person_stands_above_all(web: Doors, house: House) -> None:
    """With the command that helps, and a link to what it is about."""
    desk(house).pause(ANN, Scope.RULE, "migrate")
    refuse_files(house, "r.yaml:1:2: no such kind")
    page = look(web, "")
    told = words(page)
    assert "the rule files are refused" in told
    assert "rule migrate is paused by ann" in told
    assert "1 run held for an approval" in told
    assert "postsync resume --rule migrate" in told
    held = id_of(house, "runs", "state = 'held'")
    assert f'href="/page/runs/{held}"' in page.text


def test_before_anything_came_every_page_is_there(web: Doors) -> None:
    """As on the first day."""
    assert "No syncs yet" in words(look(web, ""))
    for path in ("/rules", "/status", "/runs"):
        look(web, path)


def test_a_viewer_sees_no_button_and_may_press_none(web: Doors, house: House) -> None:
    """Neither the question nor the act is for him."""
    client = web.app.test_client()
    log_in(client, VIEWER)
    run = failed_run(house)
    page = client.get(f"/page/runs/{run}")
    assert 'class="button' not in page.text
    assert client.get(f"/page/runs/{run}/retry").status_code == 403
    answer = client.post(f"/page/runs/{run}/retry", data={"csrf": csrf_of(page)})
    assert answer.status_code == 403
    assert "looks and does not act" in words(answer)
    assert house.query(f"SELECT state FROM runs WHERE id = '{run}'") == ["failed"]


def press(web: Doors, path: str, **form: str) -> TestResponse:
    """Answer the question that a button asks."""
    question = web.client.get(f"/page{path}")
    assert question.status_code == 200, question.text
    return web.client.post(f"/page{path}", data={"csrf": csrf_of(question), **form})


@pytest.mark.parametrize(
    ("kind", "condition", "word", "event"),
    [
        ("run", "state = 'failed'", "retry", "run.retried"),
        ("run", "state = 'failed'", "acknowledge", "run.acknowledged"),
        ("run", "state = 'held'", "approve", "run.approved"),
        ("run", "state = 'held'", "cancel", "run.cancelled"),
        ("plan", "state = 'active'", "approve", "run.approved"),
        ("plan", "state = 'active'", "cancel", "plan.cancelled"),
        ("sync", "application = 'argocd/api'", "cancel", "plan.cancelled"),
        ("sync", "application = 'argocd/blog'", "replay", "sync.replay_asked"),
    ],
)
def test_an_act_is_on_the_trail_with_who_did_it_and_why(
    web: Doors, house: House, kind: str, condition: str, word: str, event: str
) -> None:
    """Its button is there, and asks once."""
    number = id_of(house, f"{kind}s", condition)
    assert f"/page/{kind}s/{number}/{word}" in look(web, f"/{kind}s/{number}").text
    answer = press(web, f"/{kind}s/{number}/{word}", reason="mended <b>it</b>")
    assert (answer.status_code, answer.location) == (303, f"/page/{kind}s/{number}")
    (line,) = house.events(event)
    assert (line["by"], line["reason"]) == ("ann", "mended <b>it</b>")
    look(web, f"/{kind}s/{number}")


@pytest.mark.parametrize("letter", ["理", "\N{GRINNING FACE}"])
def test_a_reason_has_its_500_characters_in_every_script(
    web: Doors, house: House, letter: str
) -> None:
    """Of which a form makes nine or twelve each."""
    run = failed_run(house)
    assert press(web, f"/runs/{run}/acknowledge", reason=letter * 500).status_code == 303
    (line,) = house.events("run.acknowledged")
    assert line["reason"] == letter * 500


def test_what_cannot_be_done_any_more_is_told(web: Doors, house: House) -> None:
    """Somebody else may have been faster."""
    run = failed_run(house)
    assert press(web, f"/runs/{run}/retry").status_code == 303
    answer = press(web, f"/runs/{run}/retry")
    assert answer.status_code == 409
    assert f"run {run}" in words(answer)


def test_while_rule_files_are_refused_a_retry_asks_twice(web: Doors, house: House) -> None:
    """As the API does."""
    refuse_files(house, "r.yaml:1:2: no such kind")
    run = failed_run(house)
    answer = press(web, f"/runs/{run}/retry")
    assert answer.status_code == 409
    assert "the rule files have mistakes" in words(answer)
    assert press(web, f"/runs/{run}/retry", older="yes").status_code == 303


def test_an_act_without_the_sessions_own_form_is_not_done(web: Doors, house: House) -> None:
    """Another site, or another session, has not its token."""
    run = failed_run(house)
    other = web.app.test_client()
    theirs = csrf_of(log_in(other, VIEWER))
    for csrf in ("", "x", theirs):
        answer = web.client.post(f"/page/runs/{run}/retry", data={"csrf": csrf})
        assert answer.status_code == 403
    assert web.app.test_client().post(f"/page/runs/{run}/retry").status_code == 403
    assert house.query(f"SELECT state FROM runs WHERE id = '{run}'") == ["failed"]


def test_an_unknown_act_is_told(web: Doors, house: House) -> None:
    """Of a thing that has others."""
    assert web.client.get(f"/page/runs/{failed_run(house)}/explode").status_code == 404


EVIL = "<img src=x onerror=alert(1)>\"'{{7331*7}}\u202e\x1b[31m"


def test_others_words_do_nothing(web: Doors, file_ledger: Ledger) -> None:
    """Markup, templates and what turns a line, in names, messages, reasons and outputs."""
    house = fill(file_ledger)
    sync = house.sync(
        resource("assets-x", message=EVIL), application="evil", at=9e8, message=EVIL,
        operation={"sync": {"revision": EVIL}},
    )  # fmt: skip
    house.end(*house.claim(), fails=EVIL)
    house.work()
    desk(house).pause(ANN, Scope.RULE, "migrate")
    run = id_of(house, "runs", f"sync_id = '{sync}' AND state = 'failed'")
    plan = house.query(f"SELECT plan_id FROM runs WHERE id = '{run}'")[0]
    paths = (
        "", f"/syncs/{sync}", f"/syncs/{sync}/trail", f"/plans/{plan}", f"/runs/{run}",
        f"/deliveries/{sync}", "/runs", "/status", "/rules", f"/runs/{run}/retry",
    )  # fmt: skip
    for path in paths:
        text = look(web, path).text
        assert "<img" not in text, path
        assert "\u202e" not in text, path
        assert "\x1b" not in text, path
        assert "51317" not in text, path
    assert "&lt;img src=x" in look(web, f"/runs/{run}").text


def test_what_an_address_says_does_nothing_either(web: Doors) -> None:
    """It is shown, escaped."""
    text = web.client.get("/page", query_string={"text": EVIL, "application": EVIL}).text
    assert "<img" not in text
    assert "\u202e" not in text


def test_a_list_weighs_less_than_100_kb(web: Doors, file_ledger: Ledger) -> None:
    """Whatever its syncs have of plans and resources."""
    house = fill(file_ledger)
    names = [f"assets-{number}" for number in range(40)]
    for number in range(50):
        house.sync(*names, application=f"application-with-a-long-name-{number}", at=9e8 + number)
    assert len(look(web, "").data) < 100_000


ANOTHER = """
- name: purge-{0}
  match: {{resources: [{{kind: "ConfigMap", name: "assets-*{0}"}}]}}
  actions: [{{uses: log.message, with: {{text: "${{{{ resource.name }}}}"}}}}]
"""


def test_a_sync_of_300_resources_and_13_rules_weighs_less_than_300_kb(
    web: Doors, file_ledger: Ledger
) -> None:
    """Equal things are told once, and the rest is a click away."""
    house = live_house_of(file_ledger, RULES + "".join(map(ANOTHER.format, range(9))))
    sync = house.sync(*[f"assets-{number}" for number in range(300)], at=9e8)
    page = look(web, f"/syncs/{sync}")
    assert len(page.data) < 300_000
    told = words(page)
    assert "280 due" in told
    assert all(f"purge-{number}" in told for number in range(9))
