"""What the rules of tenants match, and what is said of what they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matching_cases import resource, rule, sync
from notifications import resource as entry
from planning import renderer, rules_of, sync_of

from receiver.core.model import Destination, Held, Sync
from receiver.planning.plan_builder import PlanMaker
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.index import RuleIndex
from receiver.rules.matching.matcher import Matcher, RuleMatch
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, TenantBounds, Tenants

CLUSTER = "https://kubernetes.default.svc"
TENANTS = Tenants(
    (
        TenantBounds(namespaces=("team-a",), projects=("shop",), handlers=("toy.say",)),
        TenantBounds(namespaces=("team-*",), handlers=("toy.say",)),
    ),
    frozenset({CLUSTER}),
)
ALL = [{"kind": "*", "change": "any"}]


def _rule(name: str) -> Rule:
    return rule("any", resources=ALL).model_copy(update={"name": name})


def _sync(namespace: str, project: str = "web") -> Sync:
    plain = sync(resource())
    destination = Destination(CLUSTER, "", namespace)
    application = replace(plain.application, project=project, destination=destination)
    return replace(plain, application=application)


@pytest.mark.parametrize(
    ("about", "matched"),
    [
        (_sync("team-a"), ["own", "team-a/any"]),
        (_sync("team-b"), ["own", "team-b/any"]),
        (_sync("team-b", "shop"), ["own", "team-a/any", "team-b/any"]),
        (_sync("other"), ["own"]),
    ],
)
def test_a_tenants_rule_matches_within_its_bounds_alone(about: Sync, matched: list[str]) -> None:
    """However wide it is written, and whatever else is there; the operator's see all."""
    rules = [_rule(name) for name in ("own", "team-a/any", "team-b/any", "other/any")]
    found = Matcher(rules, Expressions(), TENANTS).match(about)
    assert [match.rule.name for match in found] == matched
    explained = Matcher(rules, Expressions(), TENANTS).explain(about)
    assert [one.rule.name for one in explained if one.matched] == matched


@pytest.mark.parametrize(
    ("holder", "matched"),
    [
        ("own", ["own"]),
        ("team-a/any", ["own", "team-a/any"]),
        ("team-b/any", ["own", "team-b/any"]),
    ],
)
def test_what_is_held_is_told_to_its_team_and_to_the_operator(
    holder: str, matched: list[str]
) -> None:
    """Not to another team that sees the sync as well, for it sees no plan of others."""
    names = ("own", "team-a/any", "team-b/any")
    tell = rule("any", channel="postsync", resources=None)
    rules = [tell.model_copy(update={"name": name}) for name in names]
    held = Held(sync="s-1", plan="p-1", rule=holder)
    about = replace(_sync("team-b", "shop"), channel="postsync", phase="", resources=(), held=held)
    matcher = Matcher(rules, Expressions(), TENANTS)
    assert [match.rule.name for match in matcher.match(about)] == matched
    refused = [one.finding.reason for one in matcher.explain(about) if not one.matched]
    owner = holder.rpartition("/")[0] or "the operator"
    assert all(one.endswith(f"about a plan of {owner}") for one in refused)


def test_where_nothing_is_granted_a_tenants_rule_matches_nothing() -> None:
    """As when the operator has taken the grant back."""
    matcher = Matcher([_rule("team-a/any")], Expressions(), NO_TENANTS)
    assert matcher.match(_sync("team-a")) == []
    (told,) = matcher.explain(_sync("team-a"))
    assert told.finding.field == "tenant"
    assert told.finding.reason == (
        "tenant wants nothing: its namespace may have no rules, saw namespace team-a of "
        f"{CLUSTER}, project web, from sender prod"
    )


def test_a_sync_of_others_is_explained_by_the_bound() -> None:
    """Before anything else of the rule is, so it tells of no other field."""
    other = _rule("team-b/any").model_copy(
        update={"match": rule("x", sender="nobody", resources=ALL).match}
    )
    (told,) = Matcher([other], Expressions(), TENANTS).explain(_sync("team-a"))
    assert told.finding.reason == (
        f"tenant wants namespace team-b of {CLUSTER}, saw namespace team-a of {CLUSTER}, project "
        "web, from sender prod"
    )


def test_of_many_tenants_those_of_the_sync_are_looked_up() -> None:
    """The others are not gone through: the cost of a sync follows its own tenants."""
    rules = [_rule(f"team-{number}/any") for number in range(500)]
    matcher = Matcher([*rules, _rule("team-a/any")], Expressions(), TENANTS)
    index: RuleIndex = matcher._index
    assert [one.rule.name for one in index.candidates(_sync("team-7"))] == ["team-7/any"]
    assert [one.rule.name for one in index.candidates(_sync("x", "shop"))] == ["team-a/any"]
    assert index.candidates(_sync("team-7000")) == []


def test_what_another_tenant_would_read_is_not_read() -> None:
    """Live objects are asked for where a rule that may see the sync asks."""
    asking = rule("x", resources=[{"kind": "ConfigMap", "labels": {"tier": "edge"}}])
    matcher = Matcher([asking.model_copy(update={"name": "team-b/any"})], Expressions(), TENANTS)
    assert matcher.live.wants_truth(_sync("team-a")) == ()
    assert matcher.live.asks(_sync("team-a")) == {}
    assert matcher.live.wants_truth(_sync("team-b")) == (0,)


def test_a_key_of_a_tenant_is_its_own() -> None:
    """Rules share keys for concurrency; a tenant can wait for, or hold up, no other's."""
    text = """
- name: any
  match: {}
  concurrency: {key: deploy}
  actions: [{uses: log.message, with: {message: hello}}]
"""
    (own,) = rules_of(text)
    maker = PlanMaker(Expressions(), renderer())
    keys = [
        maker.make(sync_of(entry("a")), RuleMatch(one, matched=True), "0").key
        for one in (own, *(own.model_copy(update={"name": f"{team}/any"}) for team in ("a", "b")))
    ]
    assert keys == ["deploy", "tenant a deploy", "tenant b deploy"]
