"""A namespace whose rules take too much of a sync's planning is left out, and no other with it."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
from notifications import resource
from planning import handlers, sync_of

from receiver.core.interruption import TooLong, checkpoint
from receiver.core.states import SyncState
from receiver.ledger.plans.records import Planning
from receiver.notification.application_memory import Memory
from receiver.planning.parameters import Renderer
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import rule_set_from
from receiver.rules.matching.compiled import RuleCompiler
from receiver.rules.matching.explanation import RuleExplanation
from receiver.rules.matching.findings import Verdict
from receiver.rules.tenants import shares as settings
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.rules.tenants.resource import load_resource
from receiver.rules.tenants.shares import Shares, for_each, sharing, used_up

TENANTS = Tenants((TenantBounds(namespaces=("*",), projects=("web",), handlers=("log.message",)),))
OWN = """
version: 1
rules:
- name: own
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, target: application, with: {text: own}}]
"""
TEXT = "".join(random.Random(1).choices("ab", k=8000))  # noqa: S311 no secret
SLOW = f"!'{TEXT}'.matches('((a?b?){{30}}){{30}}[cd]')"
"""True, after 0.1 to 0.2 s of a core in the library, in which nothing interrupts it."""
SLOW_KEY = f"${{{{ {SLOW} ? 'x' : 'y' }}}}"
SYNC = sync_of(*(resource(f"{'a' * 200}{number}") for number in range(60)), project="web")

BOMBS: dict[str, dict[str, Any]] = {
    "the condition": {"match": {"condition": SLOW}},
    "the condition on a resource": {"match": {"condition": f"resource.name != '' && {SLOW}"}},
    "globs": {"match": {"resources": [{"name": [f"*a{number}?b*c" for number in range(5000)]}]}},
    "a parameter": {"actions": [{"with": {"text": SLOW_KEY}}]},
    "an if": {"actions": [{"if": SLOW}]},
    "the key of concurrency": {"concurrency": {"key": SLOW_KEY, "limit": 1}},
    "the key of debounce": {"debounce": {"window": "1m", "key": SLOW_KEY}},
    "the key of throttle": {"throttle": {"every": "1m", "key": SLOW_KEY}},
}


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares that are used up soon."""
    monkeypatch.setattr(settings, "EACH", 0.08)
    monkeypatch.setattr(settings, "TOGETHER", 0.16)


def planner(**sets: dict[str, Any]) -> Planner:
    """Of the operator's rule and one rule for each of these namespaces, with what it has."""
    expressions = Expressions()
    compiler = RuleCompiler(expressions, TENANTS)
    custom = []
    for namespace, more in sets.items():
        action = {"uses": "log.message", "with": {"text": namespace}}
        spec = {
            **more,
            "match": {"resources": [{"kind": "ConfigMap"}], **more.get("match", {})},
            "actions": [action | one for one in more.get("actions", [{}])],
        }
        metadata = {"name": "rule", "namespace": namespace}
        found = load_resource({"metadata": metadata, "spec": spec}, handlers(), expressions)
        custom.append(compiler.compile_set(found))
    own = compiler.compile_set(rule_set_from([("r.yaml", OWN)]))
    return Planner(own, expressions, Renderer(expressions, handlers(), TENANTS), custom)


def planned(by: Planner, **options: Any) -> Planning:
    with sharing(Shares(10)):
        return by.plan(options.pop("sync", SYNC), "d-1", Memory(), **options)


def left_out(planning: Planning) -> dict[object, str]:
    lines = [event.data for event in planning.events if event.name == "rule.error"]
    return {line["rule"]: str(line["reason"]) for line in lines}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_slow_rule_of_a_namespace_keeps_no_other_from_the_sync(bomb: dict[str, Any]) -> None:
    """Wherever it is slow, its namespace alone is left out, and that is told."""
    planning = planned(planner(a={}, bomb=bomb, z={}))
    assert planning.state is SyncState.PLANNED
    assert [plan.rule for plan in planning.plans] == ["own", "a/rule", "z/rule"]
    told = left_out(planning)
    assert [*told] == ["bomb/rule"]
    assert told["bomb/rule"].startswith("namespace bomb has used up its share of the time")
    assert told["bomb/rule"].endswith("it was at rule bomb/rule")
    assert planning.reason == f"rule bomb/rule: {told['bomb/rule']}"


def test_what_is_asked_of_live_objects_is_asked_for_the_others() -> None:
    """A rule that is slow there is told when the sync is planned with what was seen."""
    by = planner(a={}, bomb=BOMBS["the condition"])
    planning = planned(by, verify_until=1)
    assert planning.state is SyncState.VERIFYING
    assert planning.wanted
    assert len(planning.wanted.listed) == 60
    with sharing(Shares(10)):
        verified = by.plan_verified(SYNC, "d-1", planning.recalled)
    assert [*left_out(verified)] == ["bomb/rule"]
    assert [plan.rule for plan in verified.plans] == ["own", "a/rule"]


def test_a_replay_of_one_rule_spends_nothing_on_the_others() -> None:
    by = planner(bomb=BOMBS["the condition"])
    with sharing(Shares(10)):
        planning = by.replay(SYNC, "d-1", rule="own", about={})
        assert not used_up()
    assert [plan.rule for plan in planning.plans] == ["own"]


def test_what_the_operator_wrote_is_bounded_as_before() -> None:
    by = planner(a={})
    with pytest.raises(TooLong), sharing(Shares(-1)):
        by.plan(SYNC, "d-1", Memory())


def test_an_explanation_tells_that_a_rule_was_too_slow_to_explain() -> None:
    told: list[RuleExplanation] = []
    by = planner(a={}, bomb=BOMBS["the condition on a resource"])
    with sharing(Shares(10)):
        by.matcher.explain_each(SYNC, "", told.append)
    verdicts = {one.rule.name: one.finding.verdict for one in told}
    assert verdicts == {
        "own": Verdict.MATCHED, "a/rule": Verdict.MATCHED, "bomb/rule": Verdict.ERROR,
    }  # fmt: skip
    assert "has used up its share" in told[-1].finding.reason


def test_a_namespace_that_makes_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no number of its rules takes the memory of all."""
    monkeypatch.setattr(settings, "EACH", 10)
    monkeypatch.setattr(settings, "TOGETHER", 20)
    monkeypatch.setattr(settings, "MEMORY_EACH", 1 << 20)
    large = {"actions": [{"with": {"text": "${{ sync.message }}"}}] * 5}
    sync = replace(SYNC, message="x" * 300_000)
    planning = planned(planner(a={}, large=large), sync=sync)
    assert [plan.rule for plan in planning.plans] == ["own", "a/rule"]
    assert (
        "makes more of this sync than there is room for: 1 MiB" in left_out(planning)["large/rule"]
    )


def test_an_error_is_told_in_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that names a value may be as long as that, and there is one for each resource."""
    monkeypatch.setattr(settings, "EACH", 10)
    monkeypatch.setattr(settings, "TOGETHER", 20)
    condition = "{'a': resource.name}[sync.message] == ''"
    sync = replace(SYNC, message="x" * 300_000)
    (told,) = left_out(planned(planner(a={"match": {"condition": condition}}), sync=sync)).values()
    assert told.startswith("there is no key ")
    assert len(told) <= 1000


@dataclass(frozen=True)
class _Named:
    name: str


@dataclass(frozen=True)
class _Work:
    """Work of a rule that takes so much of a core."""

    rule: Any
    seconds: float

    def do(self) -> str:
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            checkpoint()
        return str(self.rule.name)


def work(namespace: str, seconds: float) -> _Work:
    return _Work(_Named(f"{namespace}/rule"), seconds)


def round_of(works: list[_Work], costly: dict[str, float]) -> tuple[set[str], float]:
    """What was done of a sync, and how much of a core it took."""
    began = time.thread_time()
    with sharing(shares := Shares(10, costly=costly)):
        shares.expect(len(works))
        done = for_each(works, _Work.do)
    late = {f"{name}/rule" for name in shares.used_up}
    return {*done} - late, time.thread_time() - began


def test_many_namespaces_that_take_much_leave_those_that_take_little_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All together are bounded. Who takes more than an even part has it once others are known."""
    for name, seconds in (("EACH", 0.02), ("TOGETHER", 0.04), ("COSTLY", 0.008)):
        monkeypatch.setattr(settings, name, seconds)
    costly: dict[str, float] = {}
    bombs = [work(f"bomb-{number:02}", 0.018) for number in range(10)]
    little, more = work("little", 0.0002), work("more", 0.005)
    rounds = [round_of([*bombs, little, more], costly) for _ in range(15)]
    assert all("little/rule" in done for done, _ in rounds)
    assert min(seconds for _, seconds in rounds) < 0.06
    assert "more/rule" not in rounds[0][0]
    assert "more/rule" in rounds[-1][0]
    assert {*costly} == {f"bomb-{number:02}" for number in range(10)}


def test_who_takes_little_again_is_forgotten() -> None:
    costly: dict[str, float] = {}
    round_of([work("some", 0.07)], costly)
    assert costly["some"] > 0.05
    round_of([work("some", 0.0)], costly)
    assert costly == {}
