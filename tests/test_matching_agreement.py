"""The index, the explanation and a plain reading of the rules say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from matching_cases import SHOP, resource, rule, sync

from receiver.core.model import Application, ChangeVerdict, FieldChange, Live, Resource, Sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.findings import Verdict
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.match import Globs, ResourceExcept, ResourceMatch
from receiver.rules.schema.rule_file import Rule

EXPRESSIONS = Expressions()
WORDS = st.sampled_from(["a", "b", "ab", "ba", "a-b", "a/b", ""])
GLOBS = st.lists(
    st.sampled_from(
        ["a", "b", "ab", "*", "a*", "*b", "a*b", "?", "[ab]?", "[!a]*", "a-*", "[[", ""]
    ),
    min_size=1,
    max_size=2,
)
CONDITIONS = st.sampled_from(
    [
        "true",
        "sync.dryRun",
        "resource.name == 'a'",
        "resource.images[0] == 'a'",
        "sync.options[0] == 'a'",
        "resource.labels == null || resource.labels['a'] == 'b'",
        "'data' in resource.fields && resource.fields.data.changed == true",
    ]
)
LABELS = st.dictionaries(st.sampled_from(["a", "b/c"]), WORDS, max_size=2)
FIELDS = st.dictionaries(
    st.sampled_from(["data", "spec.a[*]"]),
    st.sampled_from([FieldChange(1, 1), FieldChange(1, 2), FieldChange(unknown="first seen")]),
)
LIVES = st.builds(Live, st.none() | LABELS, st.none() | LABELS, FIELDS)
RESOURCES = st.builds(
    resource,
    name=WORDS,
    kind=st.sampled_from(["a", "b", "ClusterRole"]),
    group=st.sampled_from(["", "a", "rbac.authorization.k8s.io"]),
    namespace=WORDS,
    change=st.sampled_from(["changed", "unchanged", "unknown"]),
    status=st.sampled_from(["Synced", "Pruned", ""]),
    hook_type=st.sampled_from(["", "", "PreSync", "PostSync"]),
    sync_phase=st.sampled_from(["PreSync", "Sync"]),
    images=st.lists(WORDS, max_size=2).map(tuple),
    image_changed=st.sampled_from([True, False, None]),
    health=st.sampled_from(["Healthy", "Degraded", ""]),
    live=LIVES,
)
SYNCS = st.builds(
    sync,
    channel=st.sampled_from(["sync", "a"]),
    phase=st.sampled_from(["Succeeded", "Failed", ""]),
    sender=WORDS,
    dry_run=st.booleans(),
    application=st.builds(
        Application, name=WORDS, namespace=WORDS, labels=st.dictionaries(WORDS, WORDS, max_size=2)
    ),
    resources=st.lists(RESOURCES, max_size=6).map(tuple),
)
NOT = st.one_of(
    st.fixed_dictionaries({"name": GLOBS}, optional={"namespace": GLOBS, "kind": GLOBS}),
    st.fixed_dictionaries({"namespace": GLOBS}),
)
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "kind": GLOBS,
        "group": GLOBS,
        "namespace": GLOBS,
        "name": GLOBS,
        "image": GLOBS,
        "not": NOT,
        "imageChanged": st.booleans(),
        "change": st.sampled_from(["changed", "any", ["unchanged", "unknown"]]),
        "status": st.sampled_from(["Synced", "any"]),
        "health": st.sampled_from(["Degraded", ["Healthy", "Missing"]]),
        "hookType": st.sampled_from(["any", "none", ["none", "PreSync"]]),
        "syncPhase": st.sampled_from(["any", "Sync"]),
        "labels": st.just({"a": ["a*", "b"]}),
        "annotations": st.just({"b/c": "*"}),
        "fields": st.sampled_from(["data", ["data", "spec.a[*]"]]),
    },
)
RULES = st.builds(
    lambda policy, enabled, match: rule(
        settings={"onUnknownChange": policy, "enabled": enabled}, **match
    ),
    st.sampled_from(["run", "skip"]),
    st.sampled_from([True, True, True, False]),
    st.fixed_dictionaries(
        {},
        optional={
            "resources": st.lists(SELECTORS, min_size=1, max_size=3),
            "channel": GLOBS,
            "phases": st.sampled_from(["Failed", ["Succeeded", "Failed"]]),
            "sender": GLOBS,
            "application": st.fixed_dictionaries(
                {},
                optional={
                    "name": GLOBS,
                    "namespace": GLOBS,
                    "labels": st.just({"a": ["a*", "b"]}),
                    "not": st.fixed_dictionaries({"name": GLOBS}, optional={"namespace": GLOBS}),
                },
            ),
            "condition": CONDITIONS,
        },
    ),
)


@settings(max_examples=300)
@given(st.lists(RULES, max_size=6), SYNCS)
def test_match_and_explain_agree(rules: list[Rule], about: Sync) -> None:
    """What is matched is what is explained as matched, resource by resource, errors too."""
    matcher = Matcher(rules, EXPRESSIONS)
    found = matcher.match(about)
    explained = list(matcher.explain(about))
    assert [item.rule for item in explained] == rules
    expected = [
        (
            item.rule,
            tuple(n for n, cell in enumerate(item.resources) if cell.verdict is Verdict.MATCHED),
        )
        for item in explained
        if item.matched
    ]
    assert [(m.rule, m.resources) for m in found if m.matched] == expected
    failed = [
        item.rule
        for item in explained
        if Verdict.ERROR in {item.finding.verdict, *(cell.verdict for cell in item.resources)}
    ]
    assert [m.rule for m in found if m.errors] == failed


@settings(max_examples=300)
@given(st.lists(RULES, max_size=6), SYNCS)
def test_what_is_counted_is_what_is_said(rules: list[Rule], about: Sync) -> None:
    """An explanation counts verdicts without the words, by the index, and says each by itself."""
    for item in Matcher(rules, EXPRESSIONS).explain(about):
        said = [cell.verdict for cell in item.resources]
        assert item.resources.counts == {verdict: said.count(verdict) for verdict in Verdict}
        for verdict in Verdict:
            numbers = tuple(n for n, one in enumerate(said) if one is verdict)
            assert item.resources.of(verdict) == numbers


@settings(max_examples=300)
@given(st.lists(RULES.filter(lambda one: not one.match.condition), max_size=6), SYNCS)
def test_match_is_what_the_rules_say(rules: list[Rule], about: Sync) -> None:
    """The index finds what reading every rule against every resource finds."""
    expected = [(one, plain_match(one, about)) for one in rules]
    found = Matcher(rules, EXPRESSIONS).match(about)
    assert [(m.rule, m.resources) for m in found] == [
        (one, resources) for one, resources in expected if resources is not None
    ]


@settings(max_examples=300)
@given(st.lists(RULES, min_size=3, max_size=6), SYNCS)
def test_many_rules_find_what_each_finds_alone(rules: list[Rule], about: Sync) -> None:
    """Where rules and resources are many they are looked up, where they are few gone through."""
    about, many = replace(about, resources=about.resources * 3), rules * 4
    alone = [Matcher([one], EXPRESSIONS) for one in many]
    found = Matcher(many, EXPRESSIONS).match(about)
    expected = [match for matcher in alone for match in matcher.match(about)]
    assert [(m.rule, m.resources, m.errors) for m in found] == [
        (m.rule, m.resources, m.errors) for m in expected
    ]
    watched = {number for matcher in alone for number in matcher.watched_images(about)}
    assert Matcher(many, EXPRESSIONS).watched_images(about) == tuple(sorted(watched))


@given(st.lists(RESOURCES, max_size=6), SELECTORS)
def test_reasons_name_the_resource(resources: list[Resource], selector: dict[str, Any]) -> None:
    """Each resource that matched has a reason, which begins with its selector."""
    about = sync(*resources, application=SHOP)
    for match in Matcher([rule(resources=[selector])], EXPRESSIONS).match(about):
        for number in match.resources:
            assert match.reason(number).startswith(f"resources[0]: {resources[number].kind} ")


def plain_match(one: Rule, about: Sync) -> tuple[int, ...] | None:
    """Return the indexes of the resources that the rule selects, None if it does not match."""
    match, app = one.match, about.application
    untold = not about.phase and "phases" not in match.model_fields_set
    fits = (
        one.enabled
        and globs(match.channel, about.channel)
        and (about.phase in match.phases or untold)
        and globs(match.sender, about.sender)
        and globs(match.application.name, app.name)
        and globs(match.application.namespace, app.namespace)
        and not (
            match.application.not_
            and globs(match.application.not_.name, app.name)
            and globs(match.application.not_.namespace, app.namespace)
        )
        and all(
            key in app.labels and globs(wanted, app.labels[key])
            for key, wanted in match.application.labels.items()
        )
    )
    if not fits:
        return None
    if match.resources is None:
        return ()
    return (
        tuple(
            number
            for number, item in enumerate(about.resources)
            if any(plain_select(selector, item, one) for selector in match.resources)
        )
        or None
    )


def plain_select(selector: ResourceMatch, item: Resource, one: Rule) -> bool:
    """Whether the selector accepts the resource."""
    lenient = one.on_unknown_change == "run"
    status = item.status or ("Synced" if item.hook_type else "")
    change = item.change.verdict.value
    trusting = lenient or selector.fields is not None
    unknown = trusting and change == "unknown" and "changed" in selector.change
    images = (
        selector.image_changed is None
        or item.image_changed is selector.image_changed
        or (item.image_changed is None and lenient)
    )
    cluster = (item.group, item.kind) == ("rbac.authorization.k8s.io", "ClusterRole")
    return (
        globs(selector.kind, item.kind)
        and globs(selector.group, item.group)
        and (cluster or globs(selector.namespace, item.namespace))
        and globs(selector.name, item.name)
        and not left_out(selector.not_, item, cluster=cluster)
        and (selector.image is None or any(globs(selector.image, image) for image in item.images))
        and images
        and (word(selector.change, change) or unknown)
        and word(selector.status, status)
        and (selector.health is None or item.health in selector.health)
        and word(selector.hook_type, item.hook_type or "none")
        and word(selector.sync_phase, item.sync_phase)
        and texts(selector.labels, item.live.labels)
        and texts(selector.annotations, item.live.annotations)
        and (selector.fields is None or differ(selector.fields, item.live, lenient))
    )


def left_out(wanted: ResourceExcept | None, item: Resource, *, cluster: bool) -> bool:
    """Whether the resource is all that `not` says; a cluster-scoped one is in no namespace."""
    return (
        wanted is not None
        and globs(wanted.kind, item.kind)
        and globs(wanted.name, item.name)
        and (wanted.namespace is None or (not cluster and globs(wanted.namespace, item.namespace)))
    )


def differ(paths: Iterable[str], live: Live, lenient: bool) -> bool:
    """Whether one of the fields has another value, or may have where that is enough."""
    changes = [live.fields[path].changed if path in live.fields else None for path in paths]
    return any(changes) or (lenient and None in changes)


def texts(wanted: Mapping[str, Globs], there: Mapping[str, str | None] | None) -> bool:
    """Whether each of these labels or annotations is known and matches."""
    found = {key: text for key, text in (there or {}).items() if text is not None}
    return all(key in found and globs(wanted[key], found[key]) for key in wanted)


def globs(wanted: Globs | None, value: str) -> bool:
    """Whether the standard library finds a glob that matches."""
    return wanted is None or any(fnmatchcase(value, pattern) for pattern in wanted)


def word(wanted: tuple[str, ...], value: str) -> bool:
    """Whether the word is among those wanted."""
    return "any" in wanted or value in wanted


@settings(max_examples=300)
@given(st.lists(RULES, max_size=6), SYNCS)
def test_whose_truth_is_not_wanted_matches_alike_whatever_it_is(
    rules: list[Rule], about: Sync
) -> None:
    """What a live object would tell of the others changes nothing for any rule."""
    matcher = Matcher(rules, EXPRESSIONS)
    wanted = set(matcher.live.wants_truth(about))
    assert all(about.resources[n].status == "Synced" for n in wanted)
    open_to_all = {
        n
        for n, one in enumerate(about.resources)
        if one.status == "Synced"
        and not one.hook_type
        and one.change.verdict is not ChangeVerdict.UNCHANGED
    }
    assert wanted <= open_to_all
    judged = [
        one._replace(change=replace(one.change, verdict=verdict))
        if n in open_to_all - wanted
        else one
        for verdict in ChangeVerdict
        for n, one in enumerate(about.resources)
    ]
    size = len(about.resources)
    slices = [judged[start : start + size] for start in range(0, len(judged), size or 1)]
    found = {
        tuple((m.rule.name, m.resources) for m in matcher.match(other) if m.matched)
        for other in [about, *(replace(about, resources=tuple(some)) for some in slices)]
    }
    assert len(found) == 1


@settings(max_examples=300)
@given(st.lists(RULES, max_size=6), SYNCS, st.sampled_from(["Healthy", "Degraded", "Missing"]))
def test_whose_health_is_not_wanted_matches_alike_however_it_is(
    rules: list[Rule], about: Sync, health: str
) -> None:
    """What could be read of the others, where the sync tells no health, changes nothing."""
    about = replace(about, resources=tuple(one._replace(health="") for one in about.resources))
    matcher = Matcher(rules, EXPRESSIONS)
    wanted = set(matcher.live.wants_health(about))
    assert not any(about.resources[n].hook_type for n in wanted)
    told = tuple(
        one if n in wanted or one.hook_type else one._replace(health=health)
        for n, one in enumerate(about.resources)
    )
    found = [
        [(m.rule.name, m.resources) for m in matcher.match(other) if m.matched]
        for other in (about, replace(about, resources=told))
    ]
    assert found[0] == found[1]
    if any(one.health for one in told):
        assert matcher.live.wants_health(replace(about, resources=told)) == ()


@settings(max_examples=300)
@given(st.lists(RULES, max_size=6), SYNCS, LIVES)
def test_who_is_not_asked_matches_alike_whatever_it_would_tell(
    rules: list[Rule], about: Sync, other: Live
) -> None:
    """What a live object has of labels and annotations counts only where it is asked for them."""
    matcher = Matcher(rules, EXPRESSIONS)
    asks = matcher.live.asks(about)
    told = tuple(
        one._replace(live=other if n not in asks else one.live)
        for n, one in enumerate(about.resources)
    )
    found = [
        [(m.rule.name, m.resources) for m in matcher.match(one) if m.matched]
        for one in (about, replace(about, resources=told))
    ]
    assert found[0] == found[1]
    assert asks.keys() <= matcher.live.asks_of_others(about, about.resources).keys()


@settings(max_examples=100)
@given(st.lists(RULES, max_size=6), SYNCS)
def test_a_rule_that_never_verifies_wants_nothing(rules: list[Rule], about: Sync) -> None:
    """And one that always does wants more than one that does by itself."""
    never, auto, always = (
        Matcher([one.model_copy(update={"verify": word}) for one in rules], EXPRESSIONS)
        for word in ("never", "auto", "always")
    )
    assert never.live.wants_truth(about) == never.live.wants_health(about) == ()
    assert never.live.asks(about) == {}
    assert not never.live.verifies(about)
    assert set(auto.live.wants_truth(about)) <= set(always.live.wants_truth(about))
    named = set(always.live.could_select(about, about.resources))
    assert set(always.live.wants_truth(about)) <= named
