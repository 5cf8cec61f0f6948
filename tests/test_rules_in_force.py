"""The loader of rules: whatever the files do to it, it says so and goes on."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from planning import renderer
from pydantic import field_validator
from service import wait_for
from sqlalchemy import insert
from toy_handlers import say

from receiver.contract import Handler, Params, Succeeded
from receiver.core.logs import configure_logs
from receiver.core.threads import deaths
from receiver.dispatcher.rule_sets import PROBLEMS, Reload, RulesInForce
from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, put_value
from receiver.ledger.engine.ledger import Ledger
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook

pytestmark = pytest.mark.usefixtures("steady_at_once")

GOOD = """
version: 1
rules:
- name: one
  match: {}
  actions: [{uses: toy.say, with: {text: hello}}]
"""


class Touchy(Params):
    """Parameters whose check breaks off."""

    text: str

    @field_validator("text")
    @classmethod
    def _check(cls, text: str) -> str:
        return {"hello": text}[text]  # a bug: pydantic passes a KeyError on


touchy = Handler(
    name="third.party", summary="Is touchy.", params=Touchy, example="text: hello\n",
    run=lambda _params, _call: Succeeded(),
)  # fmt: skip


class Ringer:
    """What the loader rings when there is news; it breaks off when it is told to."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __call__(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


@pytest.fixture
def ringer() -> Ringer:
    return Ringer()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "rules.yaml"
    made.write_text(GOOD)
    return made


@pytest.fixture
def rules(file_ledger: Ledger, file: Path, ringer: Ringer) -> RulesInForce:
    expressions = Expressions()
    book = Rulebook([file], Registry([say, touchy]), expressions)
    log = configure_logs("json")
    return RulesInForce(book, file_ledger, expressions, renderer(), ringer, log)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines about rules; threads of tests before may still say something."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"].startswith("rules.")]


def test_a_check_that_breaks_off_refuses_its_file_and_is_told(
    rules: RulesInForce, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code of third parties takes part in it; the log has the traceback."""
    file.write_text(GOOD.replace("toy.say", "third.party").replace("hello", "bye"))
    reload = rules._load()
    assert reload.planner is None
    assert reload.error.startswith(f"{file}: could not be checked: KeyError")
    (line,) = told(capsys)
    assert line["event"] == "rules.bug"
    assert "KeyError: 'bye'" in line["traceback"]


def test_of_many_problems_the_first_are_told(rules: RulesInForce, file: Path) -> None:
    """The trail and the probe carry them."""
    file.write_text("version: 1\nrules:\n" + "- {}\n" * 5_000)
    lines = rules._load().error.split("\n")
    assert len(lines) == PROBLEMS + 1
    assert lines[-1].startswith("and ")


def test_a_stored_set_that_cannot_be_read_any_more_does_not_end_the_process(
    file_ledger: Ledger, rules: RulesInForce, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of today may be good, and are looked at next."""
    files = json.dumps([["rules.yaml", "version: 99"]]).encode()
    with file_ledger.write() as connection:
        row = {"digest": "d" * 64, "files": zlib.compress(files), "loaded_at": 0}
        connection.execute(insert(tables.rule_sets).values(row))
        put_value(connection, RULES, {"ok": True, "error": "", "digest": "d" * 64, "rules": 1})
    assert rules.last_good() is None
    (line,) = told(capsys)
    assert line["event"] == "rules.bug"
    assert rules._load().planner


def test_the_loader_whose_thread_breaks_off_begins_again(
    rules: RulesInForce, file: Path, ringer: Ringer
) -> None:
    """The next edit is seen as the one before."""

    def next_names() -> list[str]:
        found: list[Reload] = []

        def look() -> bool:
            if (news := rules.take_result()) is not None:
                found.append(news)
            return bool(found)

        wait_for(look, 20, "the loader")
        planner = found[-1].planner
        return [rule.name for rule in planner.rule_set.rules] if planner else []

    rules.start()
    assert next_names() == ["one"]
    before = deaths()["rules"]
    ringer.error = SystemExit(1)
    file.write_text(GOOD.replace("one", "two-more"))
    assert next_names() == ["two-more"]
    wait_for(lambda: deaths()["rules"] == before + 1, 20, "the death")
    file.write_text(GOOD.replace("one", "the-third"))
    assert next_names() == ["the-third"]
