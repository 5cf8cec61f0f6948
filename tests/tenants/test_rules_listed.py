"""PostSyncRules where rules are listed: on the page, and by `postsync rules`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import Doors, doors
from in_process import Postsync
from page import csrf_of, fill, log_in, look, words

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rules import CustomRule, store_custom_rule

OUTLINE = {
    "rule": "shop/good", "file": "postsyncrules/shop/good", "line": 1, "description": "Says it.",
    "enabled": True, "mode": "run", "channel": ["sync"], "handlers": ["log.message"],
}  # fmt: skip
BROKEN = "spec.timeout: is no duration (write a number with a unit, as in 30s)"


def store(ledger: Ledger) -> None:
    """A rule that is in force, and one that cannot be."""
    good = CustomRule(
        "shop", "good", "u-1", 1, "d" * 64, True, "InForce", "the rule is in force",
        json.dumps(OUTLINE),
    )  # fmt: skip
    bad = CustomRule("shop", "bad", "u-2", 1, None, False, "Invalid", BROKEN)
    with ledger.write() as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        for one in (good, bad):
            store_custom_rule(uow, one)
        uow.finish()


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    fill(file_ledger)
    store(file_ledger)
    with doors(file_ledger, tmp_path) as made:
        log_in(made.client)
        yield made


def test_the_page_shows_and_pauses_them(web: Doors) -> None:
    shown = words(look(web, "/rules"))
    assert f"not ready: {BROKEN}" in shown
    assert "postsyncrules/shop/good" in shown
    path = "/pauses/rule/shop/good/pause"
    assert f'href="/page{path}"' in look(web, "/rules").text
    asked = look(web, path)
    answer = web.client.post(f"/page{path}", data={"csrf": csrf_of(asked), "reason": "a test"})
    assert (answer.status_code, answer.location) == (303, "/page/rules")
    assert "paused (rule) by ann" in words(look(web, "/rules"))


@pytest.mark.usefixtures("home")
def test_the_command_lists_them(postsync: Postsync, ledger: Ledger) -> None:
    store(ledger)
    code, out, _ = postsync("rules")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["shop/bad", "shop/good"]
    assert "not ready" in out
    code, out, _ = postsync("rules", "shop/bad")
    assert code == 0
    assert "shop/bad: not ready  (postsyncrules/shop/bad)" in out
    assert BROKEN in out
    code, out, err = postsync("pause", "--rule", "shop/good", "--reason", "a test")
    assert code == 0, err
    assert "no rule" not in out + err
