"""A sync is planned by the rule files' set and by those of custom resources together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from notifications import resource
from planning import renderer, sync_of
from toy_handlers import say, toy_registry

from receiver.core.errors import TooLarge
from receiver.core.logs import configure_logs
from receiver.core.states import SyncState
from receiver.dispatcher.rule_sets import Reload, RulesInForce, store_reload
from receiver.ledger.audit.key_values import store_rule_set
from receiver.ledger.engine.ledger import Ledger
from receiver.notification.application_memory import Memory
from receiver.planning import sync_size
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook, RuleSet
from receiver.rules.matching.compiled import CompiledSet
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.rules.tenants.resource import load_resource

TENANTS = Tenants((TenantBounds(namespaces=("shop",), projects=("web",), handlers=("toy.say",)),))

FILES = """
version: 1
rules:
- name: own
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: toy.say, with: {text: own}}]
"""


def custom(name: str, text: str = "hello", **match: Any) -> RuleSet:
    """The set of a PostSyncRule in the namespace shop."""
    match = match or {"resources": [{"kind": "ConfigMap"}]}
    spec = {"match": match, "actions": [{"uses": "toy.say", "with": {"text": text}}]}
    metadata = {"name": name, "namespace": "shop"}
    return load_resource({"metadata": metadata, "spec": spec}, toy_registry(), Expressions())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "rules.yaml"
    made.write_text(FILES)
    return made


@pytest.fixture
def rules(file_ledger: Ledger, file: Path) -> RulesInForce:
    expressions = Expressions()
    book = Rulebook([file], Registry([say]), expressions)
    log = configure_logs("json")
    return RulesInForce(
        book, file_ledger, expressions, renderer(), lambda: None, log, tenants=TENANTS
    )


def loaded(rules: RulesInForce) -> Planner:
    """What the loader hands over first."""
    rules._results.append(rules._load())
    return taken(rules)


def taken(rules: RulesInForce) -> Planner:
    found = rules.take_result()
    assert found
    assert found.planner
    return found.planner


def put(rules: RulesInForce, *sets: RuleSet) -> dict[str, CompiledSet]:
    compiled = {one.rules[0].name: rules.compile(one) for one in sets}
    rules.put_custom(compiled)
    return compiled


def test_each_plan_names_the_set_that_its_rule_comes_from(rules: RulesInForce) -> None:
    loaded(rules)
    one = custom("one")
    put(rules, one)
    planner = taken(rules)
    planning = planner.plan(sync_of(resource("a")), "d-1", Memory())
    assert planning.state is SyncState.PLANNED
    assert planning.rule_set == planner.rule_set.digest
    assert {plan.rule: plan.rule_set for plan in planning.plans} == {
        "own": planner.rule_set.digest,
        "shop/one": one.digest,
    }


def test_rules_of_a_namespace_that_make_too_much_keep_no_other_from_the_sync(
    rules: RulesInForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no plan, which the trail says; the operator's own too many refuse the sync."""
    loaded(rules)
    put(rules, custom("one"))
    planner = taken(rules)
    sync = sync_of(resource("a"), resource("b"))
    monkeypatch.setattr(sync_size, "MOST_RUNS", 3)
    planning = planner.plan(sync, "d-1", Memory())
    assert [plan.rule for plan in planning.plans] == ["own"]
    told = "1 rules match, with 2 targets and 2 runs; a sync may have "
    assert planning.reason.startswith(f"rule shop/one: {told}")
    (line,) = [event.data for event in planning.events if event.name == "rule.error"]
    assert line["rule"] == "shop/one"
    assert str(line["reason"]).startswith(told)
    monkeypatch.setattr(sync_size, "MOST_RUNS", 1)
    with pytest.raises(TooLarge):
        planner.plan(sync, "d-1", Memory())


def test_a_changed_rule_is_compiled_alone(rules: RulesInForce) -> None:
    loaded(rules)
    put(rules, custom("one"), custom("two"))
    before = taken(rules)
    put(rules, custom("two", "changed"))
    after = taken(rules)
    old, new = ({one.rule.name: one for one in each.matcher._rules} for each in (before, after))
    assert {name for name in new if new[name] is not old[name]} == {"shop/two"}


def test_a_rule_that_ends_matches_nothing_any_more(rules: RulesInForce) -> None:
    loaded(rules)
    put(rules, custom("one"))
    rules.put_custom({"shop/one": None})
    assert taken(rules).names == ["own"]


def test_changed_rule_files_keep_the_rules_of_custom_resources(
    rules: RulesInForce, file: Path
) -> None:
    loaded(rules)
    put(rules, custom("one"))
    file.write_text(FILES.replace("own", "other"))
    assert loaded(rules).names == ["other", "shop/one"]


def test_refused_rule_files_keep_no_custom_rule_out(rules: RulesInForce, file: Path) -> None:
    """The last good files stay in force beside it, and the refusal is told."""
    loaded(rules)
    file.write_text("version: 99")
    rules._results.append(rules._load())
    put(rules, custom("one"))
    found = rules.take_result()
    assert found
    assert found.error
    assert found.of_files
    assert found.planner
    assert found.planner.names == ["own", "shop/one"]


def test_of_rule_files_that_were_loaded_twice_each_is_taken_by_itself(
    rules: RulesInForce, file: Path
) -> None:
    """What was put into force is stored before it is replaced."""
    rules._results.append(rules._load())
    file.write_text("version: 99")
    rules._results.append(rules._load())
    first, second = rules.take_result(), rules.take_result()
    assert first
    assert second
    assert (bool(first.error), bool(second.error)) == (False, True)


def test_a_planner_that_comes_late_does_not_replace_a_newer_one(rules: RulesInForce) -> None:
    loaded(rules)
    late = rules._load()
    put(rules, custom("one"))
    newer = rules.take_result()
    assert newer
    assert Reload.after(late, newer).planner is newer.planner


def test_a_rule_is_found_by_its_set_also_where_that_is_older(
    rules: RulesInForce, file_ledger: Ledger
) -> None:
    planner = loaded(rules)
    old, new = custom("one", "old"), custom("one", "new")
    with file_ledger.write() as connection:
        store_reload(connection, 1, Reload(planner))
        store_rule_set(connection, 1, old.digest, old.files)
    put(rules, new)
    assert rules.rule(new.digest, "shop/one").actions[0].with_ == {"text": "new"}
    assert rules.rule(old.digest, "shop/one").actions[0].with_ == {"text": "old"}
    assert rules.rule(planner.rule_set.digest, "own").name == "own"


def test_what_rules_no_longer_ask_is_forgotten(rules: RulesInForce) -> None:
    """Rules come and go for months in one process."""
    loaded(rules)
    for number in range(50):
        put(rules, custom("one", resources=[{"kind": "ConfigMap", "name": f"assets-{number}"}]))
        taken(rules)
    assert len(rules._compiler._predicates._made) < 40
