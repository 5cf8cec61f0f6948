"""An operator has a sync planned anew; the dispatcher does it by the rules of today."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desks import ANN, desk, house_of, only
from house import NOON, House, texts
from notifications import resource
from planning import renderer

from receiver.core.errors import StateConflict
from receiver.core.logs import configure_logs
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.replay import store_replays
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.plans.store import store_plannings
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook

OLD = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "old ${{ resource.name }}"}}]
"""
NEW = OLD.replace("old", "new") + OLD.replace("name: purge", "name: later").replace("old", "later")
IMAGES = """
- name: rollout
  match: {resources: [{kind: Deployment, change: any, imageChanged: true}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""


CONFIGS = """
- name: config
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.changeReason }}"}}]
"""


@dataclass
class Today:
    """The part of the dispatcher that does replays, over a rule file."""

    house: House
    file: Path
    rules: RulesInForce
    preparation: Preparation

    @classmethod
    def of(cls, house: House, folder: Path) -> Today:
        file = folder / "rules.yaml"
        file.write_text("version: 1\nrules: []\n")
        expressions = Expressions()
        rulebook = Rulebook([file], Registry.discover(), expressions)
        log = configure_logs("json")
        rules = RulesInForce(rulebook, house.ledger, expressions, renderer(), lambda: None, log)
        preparation = Preparation(
            rules, renderer(), PoisonGuard(house.ledger, "w-1"), log, max_age=86_400,
            max_resources=100,
        )  # fmt: skip
        return cls(house, file, rules, preparation)

    def write(self, rules: str) -> None:
        self.file.write_text(f"version: 1\nrules:\n{rules}")

    def load(self) -> None:
        """As the loader does, and as the loop takes what came of it."""
        self.rules._load_next()
        self.take()

    def take(self) -> None:
        """Put in force what was loaded, as the loop does."""
        news = self.rules.take_result()
        assert news
        self.preparation.apply(news)
        if news.planner is None:
            return
        rule_set = news.planner.rule_set
        self.house.sets[rule_set.digest] = {rule.name: rule for rule in rule_set.rules}

    def plan(self) -> None:
        """Plan what is new."""
        with self.house.ledger.read() as connection:
            found = self.preparation.plan_syncs(connection, 10)
        with self.house.ledger.write() as connection:
            uow = UnitOfWork(connection, self.house.ledger.now(connection))
            store_plannings(uow, found)
            uow.finish()

    def turn(self) -> int:
        """Do what is asked for; how many replays that were."""
        with self.house.ledger.read() as connection:
            found = self.preparation.plan_replays(connection, 10)
        with self.house.ledger.write() as connection:
            uow = UnitOfWork(connection, self.house.ledger.now(connection))
            store_replays(uow, found)
            uow.finish()
        return len(found)


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, OLD)


@pytest.fixture
def today(house: House, tmp_path: Path) -> Today:
    made = Today.of(house, tmp_path)
    made.write(NEW)
    made.load()
    return made


def test_a_replay_makes_new_plans_under_todays_rules(house: House, today: Today) -> None:
    """For the same sync; its own row and its first plan stay as they were."""
    sync = house.sync("a")
    house.work()
    before = house.query("SELECT * FROM syncs")
    desk(house).replay(ANN, sync)
    assert today.turn() == 1
    assert sorted(texts(house.work())) == ["later a", "new a"]
    assert house.plans("sync_id, rule, state") == [
        (sync, "purge", "succeeded"), (sync, "purge", "succeeded"), (sync, "later", "succeeded"),
    ]  # fmt: skip
    assert house.query("SELECT * FROM syncs") == before
    assert today.turn() == 0


def test_a_replay_of_one_rule_leaves_the_others_alone(house: House, today: Today) -> None:
    """The trail says by whom, under which rule set, and what matched."""
    sync = house.sync("a")
    house.work()
    replay = desk(house).replay(ANN, sync, "later")
    today.turn()
    assert texts(house.work()) == ["later a"]
    asked, replayed = house.events("sync.replay*")
    assert (asked["by"], asked["reason"], asked["rule"]) == ("ann", "mended", "later")
    assert {key: replayed[key] for key in ("sync", "replay", "by", "rule", "matched")} == {
        "sync": sync, "replay": replay, "by": "ann", "rule": "later", "matched": 1,
    }  # fmt: skip
    assert house.events("rule.matched")[-1]["rule"] == "later"


def test_a_rule_that_is_not_in_force_is_refused_on_the_trail(house: House, today: Today) -> None:
    """With the name that may have been meant; the replay is over."""
    sync = house.sync("a")
    desk(house).replay(ANN, sync, "purges")
    today.turn()
    refused = only(house.events("sync.replay_refused"))
    assert refused["reason"] == "no rule purges is in force (did you mean purge?)"
    assert house.query("SELECT state FROM replays") == ["refused"]


def test_an_old_sync_that_was_not_acted_upon_is_replayed(house: House, today: Today) -> None:
    """How long ago it finished is no matter: somebody asks for it."""
    today.preparation.act_since = datetime.now(UTC) + timedelta(days=1)
    sync = house.store("a")
    today.plan()
    assert house.query("SELECT state FROM syncs") == ["ignored"]
    desk(house).replay(ANN, sync)
    today.turn()
    assert len(house.work()) == 2
    assert house.query("SELECT state FROM syncs") == ["ignored"]


def test_what_the_sync_changed_stays_what_it_was(house: House, today: Today) -> None:
    """An image that was new then counts as changed, though a later sync has brought another."""
    today.write(IMAGES)
    today.load()
    for number, image in enumerate(["shop:1", "shop:1", "shop:2", "shop:2"]):
        house.store(resource("web", kind="Deployment", images=[image]), at=number)
        today.plan()
    _, second, third, _ = house.query("SELECT id FROM syncs ORDER BY finished_at")
    before = house.query("SELECT * FROM memories")
    house.work()
    for sync in (second, third):
        desk(house).replay(ANN, sync)
    today.turn()
    assert [event["matched"] for event in house.events("sync.replayed")] == [0, 1]
    assert house.query("SELECT * FROM memories") == before


def test_what_a_failed_sync_had_changed_stays_so_too(house: House, today: Today) -> None:
    """A replay knows it as the first planning did, both in one turn, though it is settled since."""
    today.write(CONFIGS)
    today.load()
    now = (datetime.now(UTC) - NOON).total_seconds()
    failed = house.store("a", at=now - 20, phase="Failed")
    mended = house.store(resource("a", "configmap/a unchanged"), at=now - 10)
    today.plan()
    house.store(resource("a", "configmap/a unchanged"), at=now)
    today.plan()
    assert house.query("SELECT * FROM memories") == []
    desk(house).replay(ANN, mended)
    today.turn()
    texts = [run.parameters["text"] for run in house.work()]
    assert texts == [f"by the failed sync {failed}"] * 2


def test_a_bare_list_is_as_old_as_it_says(house: House, today: Today) -> None:
    """An old sync of a first subscription is stored and not acted upon, in this shape as well."""
    today.preparation.act_since = datetime(2026, 6, 11, tzinfo=UTC)
    body = {"application": "shop", "phase": "Succeeded", "finishedAt": "2026-06-10T08:21:17Z"}
    house.bring(json.dumps({**body, "resources": [resource("a")]}).encode())
    today.plan()
    assert house.query("SELECT state FROM syncs") == ["ignored"]
    assert "before this ledger acts" in house.query("SELECT reason FROM syncs")[0]


def test_a_replay_waits_for_rules_that_are_being_loaded(house: House, today: Today) -> None:
    """Whoever mends a rule and asks at once means the rule as it is mended."""
    sync = house.sync("a")
    house.work()
    desk(house).replay(ANN, sync)
    today.write(NEW.replace("new", "mended"))
    assert today.turn() == 0
    today.rules._load_next()
    assert today.turn() == 0, "loaded, and not taken yet"
    today.take()
    assert today.turn() == 1
    assert "mended a" in texts(house.work())


def test_a_replay_is_refused_if_the_rule_files_are_broken_meanwhile(
    house: House, today: Today
) -> None:
    """It was asked for rules that are not to be had; only who means any gets those in force."""
    sync = house.sync("a")
    house.work()
    desk(house).replay(ANN, sync)
    desk(house).replay(ANN, sync, "later", any_rules=True)
    today.write(NEW.replace("text:", "txt:"))
    today.load()
    assert today.turn() == 2
    refused = only(house.events("sync.replay_refused"))
    assert refused["reason"].startswith("the rule files are refused: ")
    assert texts(house.work()) == ["later a"]


def test_without_any_rules_in_force_a_replay_is_refused(house: House, tmp_path: Path) -> None:
    """Nobody waits for what never comes."""
    today = Today.of(house, tmp_path)
    sync = house.sync("a")
    desk(house).replay(ANN, sync, any_rules=True)
    assert today.turn() == 0, "nobody has looked at the files yet"
    today.write("- {}\n")
    today.load()
    assert today.turn() == 1
    assert "no rules are in force" in only(house.events("sync.replay_refused"))["reason"]


def test_the_same_is_not_asked_for_twice(house: House, today: Today) -> None:
    """Until it is done; then it may be asked for again."""
    sync = house.sync("a")
    desk(house).replay(ANN, sync, "later")
    with pytest.raises(StateConflict, match="has been asked for"):
        desk(house).replay(ANN, sync, "later")
    desk(house).replay(ANN, sync, "purge")
    assert today.turn() == 2
    desk(house).replay(ANN, sync, "later")


def test_a_sync_that_is_not_planned_yet_needs_no_replay(house: House) -> None:
    """It is about to be planned by the same rules."""
    with pytest.raises(StateConflict, match="is new"):
        desk(house).replay(ANN, house.store("a"))
