"""A filter by a name that nothing has finds nothing, and says so; an act by one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import put_in_force
from doors import AS_OPERATOR, Doors, doors
from house import House

from receiver.ledger.engine.ledger import Ledger

RULES = """
- name: purge-assets
  match: {application: {name: shop}, resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
- name: purge-images
  match: {application: {name: blog}, resources: [{kind: ConfigMap}]}
  actions: [{uses: http.request, with: {url: "http://127.0.0.1:1"}}]
"""
OTHER = """
- name: purge-fonts
  match: {application: {name: shop}, resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""


@pytest.fixture
def house(ledger: Ledger) -> House:
    """The rules in force, and a sync of argocd/shop."""
    house = House.of(ledger, RULES)
    put_in_force(house)
    house.sync("a")
    return house


@pytest.fixture
def web(house: House, tmp_path: Path) -> Iterator[Doors]:
    with doors(house.ledger, tmp_path) as made:
        yield made


def warned(web: Doors, address: str, body: Any = None) -> str:
    method = "GET" if body is None else "POST"
    answer = web.client.open(f"/v1/{address}", method=method, json=body, headers=AS_OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return str(answer.json["warning"])


RULE = "no rule purge-asets is in force, and no run of it is in the ledger"
HANDLER = "no handler log.mesage is in force, and no run of it is in the ledger"
SHOP = "no sync of shpo is in the ledger (did you mean shop?)"
WHOLE = "no sync of argocd/shpo is in the ledger (did you mean argocd/shop?)"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("runs?rule=purge-asets", f"{RULE} (did you mean purge-assets?)"),
        ("plans?rule=purge-asets", f"{RULE} (did you mean purge-assets?)"),
        ("events?rule=purge-asets", f"{RULE} (did you mean purge-assets?)"),
        ("runs?handler=log.mesage", f"{HANDLER} (did you mean log.message?)"),
        ("syncs?application=shpo", SHOP),
        ("plans?application=argocd/shpo", WHOLE),
        ("events?application=shpo", SHOP),
        ("events?event=attemp.*", "no event is called attemp.* (did you mean attempt.*?)"),
        ("events?event=run.faild", "no event is called run.faild (did you mean run.failed?)"),
        ("events?sync=s-1", "there is no sync s-1"),
        ("events?plan=p-1&run=r-1", "there is no plan p-1; there is no run r-1"),
        ("runs?plan=p-1", "there is no plan p-1"),
        ("plans?sync=s-1", "there is no sync s-1"),
        (
            "runs?rule=unlike-all",
            f"{RULE} (there are purge-assets, purge-images)".replace("purge-asets", "unlike-all"),
        ),
        (
            "syncs?application=zzz",
            "no sync of zzz is in the ledger (there is shop)",
        ),
        (
            "syncs?project=wbe",
            "none of the newest syncs is of the project wbe (did you mean web?)",
        ),
        ("runs?rule=purge-asets&application=shpo", f"{RULE} (did you mean purge-assets?); {SHOP}"),
    ],
)  # fmt: skip
def test_a_list_says_which_name_nothing_has(web: Doors, address: str, words: str) -> None:
    """With the one that may have been meant."""
    assert warned(web, address) == words


@pytest.mark.parametrize(
    "address",
    [
        "runs", "runs?rule=purge-assets", "runs?rule=purge-images", "plans?rule=purge-images",
        "runs?handler=http.request", "syncs?application=shop&state=failed",
        "plans?application=argocd/shop&state=failed", "events?rule=purge-images&event=plan.*",
        "events?event=*.lost", "events?event=pause.set", "events?event=clock.%3Fumped",
    ],
)  # fmt: skip
def test_a_list_of_a_name_that_is_there_has_no_warning(web: Doors, address: str) -> None:
    """Also where nothing has happened to it yet."""
    assert warned(web, address) == ""


def test_a_rule_that_is_gone_is_known_by_its_runs(web: Doors, house: House) -> None:
    """A list without a run of it in that state is no mistake."""
    house.use(OTHER)
    put_in_force(house)
    assert warned(web, "runs?rule=purge-assets&state=failed") == ""
    assert "did you mean purge-fonts?" in warned(web, "runs?rule=purge-font")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"rule": "purge-asets"}, f"{RULE} (did you mean purge-assets?)"),
        ({"handler": "log.mesage"}, f"{HANDLER} (did you mean log.message?)"),
        ({"application": "shpo"}, SHOP),
        ({"rule": "purge-assets"}, ""),
        ({"all": True}, ""),
    ],
)
def test_a_retry_of_many_says_so_too(web: Doors, body: dict[str, Any], words: str) -> None:
    """Whoever asks by a name that nothing has would take nothing to be done for all good."""
    assert warned(web, "runs/retry", body) == words


@pytest.mark.parametrize(
    ("rule", "hint"),
    [("purge-asets", "did you mean purge-assets?"), ("unlike-all", "some seconds later")],
)
def test_a_replay_of_a_rule_that_is_none_is_refused(
    web: Doors, house: House, rule: str, hint: str
) -> None:
    """And nothing is noted down for the dispatcher."""
    (sync,) = house.query("SELECT id FROM syncs")
    answer = web.client.post(f"/v1/syncs/{sync}/replay", json={"rule": rule}, headers=AS_OPERATOR)
    problem = answer.json or {}
    assert (answer.status_code, problem["reason"]) == (404, "no_such_rule")
    assert problem["detail"] == f"no rule {rule} is in force"
    assert hint in problem["hint"]
    assert house.query("SELECT id FROM replays") == []


def test_before_any_rules_were_loaded_nobody_is_told_of_a_mistake(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Nor where there are no syncs whose Applications one could know."""
    with doors(ledger, tmp_path) as web:
        assert warned(web, "runs?rule=purge-asets&handler=x&application=shpo") == ""
