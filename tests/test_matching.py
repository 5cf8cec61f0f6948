"""Which rules match which resources, and the reason for every no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from matching_cases import SHOP, resource, rule, sync

from receiver.core.model import Application, FieldChange, Live, Resource, Sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.compiled import compile_rule
from receiver.rules.matching.conditions import ConditionError
from receiver.rules.matching.findings import Verdict
from receiver.rules.matching.index import RuleIndex
from receiver.rules.matching.matcher import Matcher
from receiver.rules.matching.predicates import Predicates
from receiver.rules.schema.rule_file import Rule


def matched(one: Rule, about: Sync) -> tuple[int, ...] | None:
    """Return the indexes of the resources that the rule matched, None if it did not."""
    found = Matcher([one], Expressions()).match(about)
    return found[0].resources if found and found[0].matched else None


def reason(one: Rule, about: Sync, at: int | None = None) -> str:
    """Return the reason of the rule, or of one resource."""
    explained = next(Matcher([one], Expressions()).explain(about))
    return (explained.finding if at is None else explained.resources[at]).reason


def selects(wanted: dict[str, Any], *resources: Resource, policy: str = "run") -> tuple[int, ...]:
    one = rule(settings={"onUnknownChange": policy}, resources=[wanted])
    return matched(one, sync(*resources)) or ()


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ({"channel": "deployed"}, "channel wants deployed, saw sync"),
        ({"phases": ["Failed", "Error"]}, "phases wants Failed or Error, saw Succeeded"),
        ({"sender": ["stage-*", "dev"]}, "sender wants stage-* or dev, saw prod"),
        ({"application": {"name": "web-*"}}, "application.name wants web-*, saw shop"),
        ({"application": {"namespace": "x"}}, "application.namespace wants x, saw argocd"),
        ({"application": {"project": "x"}}, "application.project wants x, saw web"),
        (
            {"application": {"labels": {"tier": "core"}}},
            "application.labels.tier wants core, saw edge",
        ),
        (
            {"application": {"labels": {"team": "*"}}},
            "application.labels.team wants *, saw nothing",
        ),
        (
            {"application": {"destination": {"server": "https://x"}}},
            "application.destination.server wants https://x, saw https://kubernetes.default.svc",
        ),
        (
            {"application": {"destination": {"name": "there"}}},
            "application.destination.name wants there, saw here",
        ),
        (
            {"application": {"destination": {"namespace": "x"}}},
            "application.destination.namespace wants x, saw shop",
        ),
        (
            {"application": {"name": "sh*", "not": {"name": "shop"}}},
            "application.not wants anything but name shop, saw argocd/shop of project web",
        ),
        ({"condition": "sync.dryRun"}, "condition is false: sync.dryRun; saw sync.dryRun = false"),
        ({"resources": [{"kind": "Secret"}]}, "no resource matched"),
    ],
)
def test_refused_by_the_rule(match: dict[str, Any], told: str) -> None:
    """A rule that does not match says which field refused what."""
    assert matched(rule(**match), sync(resource())) is None
    assert reason(rule(**match), sync(resource())) == told


def test_what_not_says_is_left_out_where_all_of_it_applies() -> None:
    """A resource that has one of the two is selected; whoever was left out is named."""
    wanted = {"name": "*", "not": {"kind": "ConfigMap", "name": "*-canary"}}
    there = resource("a-canary"), resource("a"), resource("a-canary", kind="Secret")
    assert selects(wanted, *there) == (1, 2)
    assert reason(rule(resources=[wanted]), sync(*there), 0) == (
        "resources[0].not wants anything but kind ConfigMap, name *-canary, "
        "saw ConfigMap shop/a-canary"
    )


def test_what_is_in_no_namespace_is_left_out_of_none() -> None:
    """Argo CD lists a cluster-scoped kind with a namespace that is not its own."""
    of_cluster = resource("a", kind="ClusterRole", group="rbac.authorization.k8s.io")
    assert selects({"not": {"namespace": "shop"}}, of_cluster, resource("a")) == (0,)


def test_everything_given_and_matching() -> None:
    """A rule whose every field fits matches."""
    there = {"server": "*", "name": "h*", "namespace": "sho?"}
    application = {
        "name": ["web", "sh*"],
        "namespace": "argocd",
        "project": "[a-w]eb",
        "labels": {"tier": ["core", "edge"]},
        "destination": there,
    }
    one = rule(application=application, sender="prod", channel="s*", condition="!sync.dryRun")
    assert matched(one, sync()) == ()


def test_without_resources_matches_the_sync() -> None:
    """A rule without resources matches a sync that has none, and one that has."""
    assert matched(rule(), sync()) == ()
    assert matched(rule(), sync(resource())) == ()
    assert reason(rule(), sync(resource())) == "the rule matches the sync itself"


def test_resources_wanted_but_none_listed() -> None:
    """A rule with resources does not match a sync that lists none, and says so."""
    one = rule(resources=[{"kind": "*"}])
    assert matched(one, sync()) is None
    assert reason(one, sync()) == "the sync lists no resources"


def test_not_enabled() -> None:
    """A rule that is not enabled matches nothing, and says so."""
    one = rule(settings={"enabled": False})
    assert matched(one, sync()) is None
    assert reason(one, sync()) == "the rule is not enabled"


@pytest.mark.parametrize(("wanted", "fits"), [("*", True), ("argocd", False), ("?*", False)])
def test_namespace_of_the_application_not_told(wanted: str, fits: bool) -> None:
    """A namespace that the notification does not tell is matched by * alone."""
    one = rule(application={"namespace": wanted})
    about = sync(application=replace(SHOP, namespace=""))
    assert (matched(one, about) is not None) is fits
    if not fits:
        assert reason(one, about) == (
            f"application.namespace wants {wanted}, saw nothing: the notification does not tell it"
        )


@pytest.mark.parametrize(("given", "fits"), [({}, True), ({"phases": "Succeeded"}, False)])
def test_event_without_operation(given: dict[str, Any], fits: bool) -> None:
    """An event of another channel has no phase: only a rule that names phases refuses it."""
    one = rule(channel="deleted", **given)
    assert (matched(one, sync(channel="deleted", phase="")) is not None) is fits


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("shop-config", True),
        ("shop-*", True),
        ("*", True),
        ("*-config", True),
        ("shop?config", True),
        ("[rst]hop-*", True),
        ("[!rst]hop-*", False),
        ("Shop-*", False),
        ("shop", False),
        ("[shop-config", False),
        ("shop-config*", True),
        ("shop-config?", False),
    ],
)
def test_globs(wanted: str, fits: bool) -> None:
    """Globs match whole names as a shell does, in the case that is written."""
    assert bool(selects({"name": wanted}, resource())) is fits


def test_glob_takes_slashes() -> None:
    """A star in an image takes slashes too, and a set may hold a bracket."""
    one = resource(images=("ghcr.io/acme/team/shop:1",))
    assert selects({"image": "ghcr.io/*:1"}, one)
    assert not selects({"image": "[[x]ghcr.io/*"}, one)


def test_several_images() -> None:
    """One image that fits is enough, and a resource without images never fits."""
    sidecar = resource(images=("redis:7", "ghcr.io/acme/shop:1"))
    wanted = {"image": "ghcr.io/acme/shop*"}
    assert selects(wanted, sidecar, resource(), resource(images=("redis:7",))) == (0,)
    one = rule(resources=[wanted])
    assert reason(one, sync(resource()), 0) == (
        "resources[0].image wants ghcr.io/acme/shop*, saw nothing"
    )


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"group": ""}, (0,)),
        ({"group": "apps"}, (1,)),
        ({"version": "v1beta*"}, (1,)),
        ({}, (0, 1)),
    ],
)
def test_group_and_version(wanted: dict[str, str], fits: tuple[int, ...]) -> None:
    """The core group is the empty string, and no group means any."""
    other = resource(group="apps", kind="Deployment", version="v1beta1")
    assert selects(wanted, resource(), other) == fits


@pytest.mark.parametrize(
    ("change", "policy", "fits"),
    [
        (None, "run", (0, 2)),
        (None, "skip", (0,)),
        (["changed"], "run", (0, 2)),
        (["changed", "unknown"], "skip", (0, 2)),
        (["unknown"], "run", (2,)),
        (["unchanged"], "run", (1,)),
        (["any"], "skip", (0, 1, 2)),
        (["unchanged", "changed"], "skip", (0, 1)),
    ],
)
def test_change(change: list[str] | None, policy: str, fits: tuple[int, ...]) -> None:
    """Changed is the default, and onUnknownChange decides on what nobody can tell."""
    three = [resource(change=word) for word in ("changed", "unchanged", "unknown")]
    assert selects({"change": change} if change else {}, *three, policy=policy) == fits


@pytest.mark.parametrize(
    ("wanted", "policy", "fits"),
    [
        (True, "run", (0, 2)),
        (True, "skip", (0,)),
        (False, "run", (1, 2)),
        (False, "skip", (1,)),
        (None, "skip", (0, 1, 2)),
    ],
)
def test_image_changed(wanted: bool | None, policy: str, fits: tuple[int, ...]) -> None:
    """While nobody knows whether the images changed, onUnknownChange decides."""
    three = [resource(image_changed=known) for known in (True, False, None)]
    given = {} if wanted is None else {"imageChanged": wanted}
    assert selects(given, *three, policy=policy) == fits


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, (0,)),
        ({"status": "any"}, (0, 1, 2)),
        ({"status": "Pruned"}, (1,)),
        ({"status": ["Synced", "SyncFailed"]}, (0, 2)),
    ],
)
def test_status(wanted: dict[str, Any], fits: tuple[int, ...]) -> None:
    """Pruned and failed resources are matched only where a rule says so."""
    three = [resource(status=word) for word in ("Synced", "Pruned", "SyncFailed")]
    assert selects(wanted, *three) == fits


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (
            "Degraded",
            "resources[0]: ConfigMap shop/shop-config of unknown change (because), Degraded",
        ),
        ("Healthy", "resources[0].health wants Degraded or Missing, saw Healthy"),
        ("", "resources[0].health wants Degraded or Missing, saw unknown (the notification does"),
    ],
)
def test_health(health: str, told: str) -> None:
    """Whatever the sync did to it, and with whatever status; what nobody tells is no match."""
    one = resource(change="unknown", status="OutOfSync", health=health)
    (found,) = Matcher(
        [rule(resources=[{"health": ["Degraded", "Missing"]}])], Expressions()
    ).explain(sync(one))
    assert found.matched == (health == "Degraded")
    assert found.resources[0].reason.startswith(told)


@pytest.mark.parametrize(
    ("health", "why", "told"),
    [
        ("Degraded", "no pods", "Degraded (no pods)"),
        ("", "it may not be read", "unknown (it may not be read)"),
    ],
)
def test_why_it_is_so_is_said(health: str, why: str, told: str) -> None:
    """The message of a health, or why it is unknown."""
    one = resource(health=health, health_message=why)
    (found,) = Matcher([rule(resources=[{"health": "Degraded"}])], Expressions()).explain(sync(one))
    assert found.resources[0].reason.endswith(told)


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_after_a_failure_change_and_status_are_wide(phase: str) -> None:
    """With phases Failed or Error, change and status default to any, and may be narrowed."""
    failed = resource(status="SyncFailed", change="unchanged")
    about = sync(failed, phase=phase)
    assert matched(rule(phases=phase, resources=[{}]), about) == (0,)
    assert matched(rule(phases=phase, resources=[{"status": "Synced"}]), about) is None


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, (0,)),
        ({"hookType": "none"}, (0,)),
        ({"hookType": "any"}, (0, 1, 2)),
        ({"hookType": "PostSync"}, (2,)),
        ({"hookType": ["PreSync", "none"]}, (0, 1)),
        ({"hookType": "any", "syncPhase": "PreSync"}, (1,)),
    ],
)
def test_hooks(wanted: dict[str, Any], fits: tuple[int, ...]) -> None:
    """Hooks are matched only where a rule says so, by type and by phase."""
    pre = resource(hook_type="PreSync", sync_phase="PreSync")
    post = resource(hook_type="PostSync", sync_phase="PostSync")
    assert selects(wanted, resource(), pre, post) == fits


def test_hook_without_status() -> None:
    """A hook without a status, as Argo CD lists it up to 3.3, counts as Synced."""
    hook = resource(hook_type="PostSync", status="")
    assert selects({"hookType": "PostSync"}, hook) == (0,)
    assert selects({"hookType": "PostSync", "status": "SyncFailed"}, hook) == ()
    assert selects({}, resource(status="")) == ()


@pytest.mark.parametrize(
    ("group", "kind", "fits"),
    [
        ("rbac.authorization.k8s.io", "ClusterRole", True),
        ("", "Namespace", True),
        ("apiextensions.k8s.io", "CustomResourceDefinition", True),
        ("", "ConfigMap", False),
        ("example.com", "Namespace", False),
    ],
)
def test_cluster_scoped_kinds(group: str, kind: str, fits: bool) -> None:
    """A cluster-scoped kind carries the destination's namespace, which is never compared."""
    one = resource(group=group, kind=kind, namespace="shop")
    assert bool(selects({"namespace": "web"}, one)) is fits


def test_any_selector_is_enough() -> None:
    """A resource matches through the first selector that fits, and says through which."""
    one = rule(resources=[{"kind": "Secret"}, {"name": "shop-*"}])
    about = sync(resource("other"), resource())
    [match] = Matcher([one], Expressions()).match(about)
    assert match.resources == (1,)
    assert match.reason(1) == "resources[1]: ConfigMap shop/shop-config changed (because)"


def test_the_selector_that_got_furthest_speaks() -> None:
    """Of several selectors that refuse, the one that came closest gives the reason."""
    one = rule(
        resources=[{"kind": "Secret"}, {"kind": "ConfigMap", "name": "assets-*"}, {"kind": "Job"}]
    )
    assert reason(one, sync(resource()), 0) == "resources[1].name wants assets-*, saw shop-config"


@pytest.mark.parametrize(
    ("wanted", "subject", "told"),
    [
        (
            {},
            resource(change="unknown"),
            "ConfigMap shop/shop-config perhaps changed (because; onUnknownChange: run)",
        ),
        (
            {"change": "any"},
            resource(change="unknown"),
            "ConfigMap shop/shop-config of unknown change (because)",
        ),
        (
            {"imageChanged": True},
            resource(image_changed=True),
            "ConfigMap shop/shop-config changed (because), its images changed",
        ),
        (
            {"imageChanged": True},
            resource(),
            (
                "ConfigMap shop/shop-config changed (because), its images perhaps changed "
                "(unknown; onUnknownChange: run)"
            ),
        ),
        (
            {"hookType": "any"},
            resource("job", "Job", hook_type="PostSync"),
            "Job shop/job (PostSync hook) changed (because)",
        ),
        (
            {"kind": "ClusterRole"},
            resource("reader", "ClusterRole", group="rbac.authorization.k8s.io"),
            "ClusterRole reader changed (because)",
        ),
    ],
)
def test_reason_of_a_match(wanted: dict[str, Any], subject: Resource, told: str) -> None:
    """The reason of a match says what was done to the resource, and what was let pass."""
    one = rule(resources=[wanted])
    assert reason(one, sync(subject), 0) == f"resources[0]: {told}"


@pytest.mark.parametrize(
    ("wanted", "subject", "told"),
    [
        ({}, resource(change="unchanged"), "change wants changed, saw unchanged (because)"),
        ({}, resource(change="unknown"), "change wants changed, saw unknown (because)"),
        ({"imageChanged": True}, resource(), "imageChanged wants true, saw unknown"),
        (
            {"imageChanged": False},
            resource(image_changed=True),
            "imageChanged wants false, saw true",
        ),
        ({}, resource(status="Pruned"), "status wants Synced, saw Pruned"),
        ({}, resource(hook_type="PreSync"), "hookType wants none, saw PreSync"),
        ({"group": "apps"}, resource(), 'group wants apps, saw ""'),
        ({"namespace": "a*"}, resource(namespace=""), "namespace wants a*, saw nothing"),
        ({"image": "x"}, resource(images=("a", "b")), "image wants x, saw a, b"),
        ({"syncPhase": "PreSync"}, resource(), "syncPhase wants PreSync, saw Sync"),
    ],
)
def test_reason_of_a_refusal(wanted: dict[str, Any], subject: Resource, told: str) -> None:
    """A refusal names the field, what it wants and what it saw."""
    one = rule(settings={"onUnknownChange": "skip"}, resources=[wanted])
    assert reason(one, sync(subject), 0) == f"resources[0].{told}"


@pytest.mark.parametrize(
    ("value", "saw"),
    [
        (1, "its fields are as before: data.a; not in the object, now or before: data.b.c"),
        (None, "its fields are not in the object, now or before: data.a, data.b.c"),
    ],
)
def test_a_field_that_is_not_there_is_told(value: int | None, saw: str) -> None:
    """Its path may be wrong: that is something else than a field that did not change."""
    live = Live(fields={"data.a": FieldChange(value, value), "data.b.c": FieldChange()})
    one = rule(resources=[{"fields": ["data.a", "data.b.c"]}])
    assert reason(one, sync(resource(live=live)), 0) == f"resources[0].fields: {saw}"


def test_condition_of_each_resource() -> None:
    """A condition that speaks of the resource is asked of each that was selected."""
    one = rule(resources=[{"kind": "ConfigMap"}], condition="resource.name.endsWith('b')")
    about = sync(resource("a"), resource("b"), resource("b", "Secret"))
    assert matched(one, about) == (1,)
    assert reason(one, about, 0) == (
        "condition is false: resource.name.endsWith('b'); saw resource.name = \"a\""
    )
    assert reason(one, about, 2) == "resources[0].kind wants ConfigMap, saw Secret"


def test_condition_of_the_sync() -> None:
    """A condition that does not speak of the resource is asked once, before the resources."""
    one = rule(resources=[{}], condition="sync.options.exists(resource, resource == 'Prune=true')")
    explained = next(Matcher([one], Expressions()).explain(sync(resource())))
    assert (explained.finding.field, len(explained.resources)) == ("condition", 0)
    assert matched(one, sync(resource(), options=("Prune=true",))) == (0,)


def test_condition_on_a_field_that_nobody_could_read() -> None:
    """It sees null, and does not fail."""
    one = rule(
        resources=[{"fields": "data.a"}], condition="resource.fields['data.a'].after == null"
    )
    assert matched(one, sync(resource())) == (0,)


def test_condition_that_fails() -> None:
    """A condition that cannot be evaluated is no match there, and is told with its resource."""
    one = rule(resources=[{}], condition="resource.images[0] == 'a'")
    about = sync(resource(), resource(images=("a",)))
    [match] = Matcher([one], Expressions()).match(about)
    assert (match.matched, match.resources) == (True, (1,))
    assert [error.resource for error in match.errors] == [0]
    verdicts = [
        cell.verdict for cell in next(Matcher([one], Expressions()).explain(about)).resources
    ]
    assert verdicts == [Verdict.ERROR, Verdict.MATCHED]


def test_condition_that_fails_everywhere() -> None:
    """A rule whose condition fails does not match, and says so in the place of a match."""
    one = rule(condition="application.labels.nothing == 'x'")
    [match] = Matcher([one], Expressions()).match(sync())
    [error] = match.errors
    assert (match.matched, error.resource) == (False, None)
    finding = next(Matcher([one], Expressions()).explain(sync())).finding
    assert finding.verdict is Verdict.ERROR
    assert finding.reason == (
        f"condition failed: {error.message}: application.labels.nothing == 'x'"
    )


def test_condition_that_does_not_compile() -> None:
    """A stored rule with a condition that no longer compiles fails by itself, no other rule."""
    rules = [rule("old", condition="sync.gone == 1"), rule("good")]
    broken, good = Matcher(rules, Expressions()).match(sync())
    assert broken.errors == (ConditionError(None, "sync has no field gone"),)
    assert (broken.matched, good.matched) == (False, True)


def test_text_that_is_no_unicode() -> None:
    """A notification with half a surrogate fails the conditions, and nothing else."""
    about = sync(message="\ud800")
    asking, plain = Matcher([rule(condition="!sync.dryRun"), rule("plain")], Expressions()).match(
        about
    )
    assert (asking.matched, len(asking.errors), plain.matched) == (False, 1, True)


def test_order_of_rules() -> None:
    """Matches come in the order of the rules, and every rule is explained."""
    rules = [rule(name, application={"name": glob}) for name, glob in
             (("a", "s*"), ("b", "web"), ("c", "shop"), ("d", "*"))]  # fmt: skip
    matcher = Matcher(rules, Expressions())
    assert [match.rule.name for match in matcher.match(sync())] == ["a", "c", "d"]
    assert [item.rule.name for item in matcher.explain(sync())] == ["a", "b", "c", "d"]


def test_application_name_alone() -> None:
    """An application of which nothing but the name is told can be matched by that name."""
    about = sync(application=Application("shop"))
    assert matched(rule(application={"name": "shop"}), about) == ()


@pytest.mark.parametrize("name", ["config-{}", "config-{}*", "config-{}-*-x"])
def test_rules_told_apart_by_names_are_looked_up(name: str) -> None:
    """Of a thousand rules for this Application and kind, those with other names cost nothing."""
    rules = [rule(resources=[{"kind": "ConfigMap", "name": name.format(n)}]) for n in range(1000)]
    predicates, expressions = Predicates(), Expressions()
    index = RuleIndex([compile_rule(one, predicates, expressions) for one in rules])
    about = sync(resource("config-7"), resource("config-30-a-x"))
    assert len([*index.candidates(about)]) <= 3
    assert len([*index.of_resources(about)]) <= 3
