"""The bounds of tenants: what rules in a namespace may see and use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from matching_cases import sync
from planning import handlers, rules_of

from receiver.core.model import Application, Destination, Sync
from receiver.rules.tenants.bounds import NO_TENANTS, TenantBounds, Tenants

BOUNDS = {"namespaces": ["team-a"], "handlers": ["slack.message", "log.message"]}
OURS = frozenset({"https://kubernetes.default.svc", "in-cluster"})
HERE = Destination("https://kubernetes.default.svc", "", "team-a")
RULE = """
- name: tell
  match: {}
  actions:
  - {name: log, uses: log.message, with: {message: hello}}
"""


def _tenants(*, senders: tuple[str, ...] = (), **bounds: Any) -> Tenants:
    one = TenantBounds.model_validate(BOUNDS | bounds)
    return Tenants((one,), OURS, frozenset(senders))


def _sync(destination: Destination = HERE, project: str = "web") -> Sync:
    return replace(
        sync(), application=Application("shop", "argocd", project, destination=destination)
    )


def _told(text: str, tenants: Tenants, namespace: str = "team-a") -> list[str]:
    return [
        str(one) for rule in rules_of(text) for one in tenants.check(rule, namespace, handlers())
    ]


@pytest.mark.parametrize(
    "destination", [HERE, Destination("", "in-cluster", "team-a")], ids=["address", "name"]
)
def test_a_tenants_rule_sees_the_syncs_into_its_own_namespace(destination: Destination) -> None:
    """However the Application names the cluster."""
    assert _tenants().refusal("team-a", _sync(destination)) == ""


@pytest.mark.parametrize(
    "destination",
    [
        Destination("https://kubernetes.default.svc", "", "team-b"),
        Destination("https://kubernetes.default.svc", "", "team-a-b"),
        Destination("https://kubernetes.default.svc", "", ""),
        Destination("https://eu.example", "", "team-a"),
        Destination("https://eu.example", "in-cluster", "team-a"),
        Destination("", "", "team-a"),
    ],
)
def test_a_tenants_rule_sees_no_sync_that_goes_elsewhere(destination: Destination) -> None:
    """Nor one of which it is not known where it goes."""
    assert "tenant wants namespace team-a of" in _tenants().refusal("team-a", _sync(destination))


def test_a_named_project_is_seen_wherever_its_syncs_go() -> None:
    """And no other one."""
    tenants, elsewhere = _tenants(projects=["shop"]), Destination("https://eu.example", "", "x")
    assert tenants.refusal("team-a", _sync(elsewhere, "shop")) == ""
    assert tenants.refusal("team-a", _sync(elsewhere, "shop2")) == (
        "tenant wants namespace team-a of https://kubernetes.default.svc or in-cluster, or project "
        "shop, saw namespace x of https://eu.example, project shop2, from sender prod"
    )


def test_the_sender_says_whose_cluster_is_meant() -> None:
    """Each Argo CD names its own one `in-cluster`."""
    found = replace(_sync(), sender="eu")
    assert _tenants().refusal("team-a", found) == ""
    assert _tenants(senders=("argocd",)).refusal("team-a", found) == (
        "tenant wants namespace team-a of https://kubernetes.default.svc or in-cluster, from "
        "sender argocd, saw namespace team-a of https://kubernetes.default.svc, project web, from "
        "sender eu"
    )


def test_a_sync_of_nobody_is_told_without_a_sender() -> None:
    """A notification that is explained from a file has none."""
    found = replace(_sync(Destination("https://eu.example", "", "x")), sender="")
    told = _tenants().refusal("team-a", found)
    assert told.endswith("saw namespace x of https://eu.example, project web")


def test_a_namespace_without_bounds_sees_nothing_and_may_have_no_rules() -> None:
    """The message says whom to ask for what."""
    assert "tenant wants nothing: its namespace may have no rules, saw" in NO_TENANTS.refusal(
        "team-a", _sync()
    )
    (told,) = _told(RULE, _tenants(), "team-b")
    assert told == (
        "namespace team-b may have no rules: no entry of tenants.bounds names it (ask who runs "
        "Postsync to add it to tenants.bounds)"
    )


def test_what_is_granted_is_used_without_a_word() -> None:
    """A rule within its bounds has no mistake."""
    assert _told(RULE, _tenants()) == []


@pytest.mark.parametrize("section", ["actions", "finally", "onFailure"])
def test_a_handler_that_is_not_granted_is_refused_wherever_it_stands(section: str) -> None:
    """With the place of the grant."""
    text = RULE if section == "actions" else f"{RULE}  {section}:\n"
    text += "  - {name: call, uses: http.request, with: {url: 'https://a.example'}}\n"
    (told,) = _told(text, _tenants())
    assert told == (
        f"{section}[{int(section == 'actions')}].uses: handler http.request is not among those of "
        "namespace team-a (tenants.bounds[0].handlers) (ask who runs Postsync to add it)"
    )


@pytest.mark.parametrize(
    ("which", "fits"),
    [
        ("project: shop", True),
        ("project: [shop, other]", False),
        ("project: shop*", False),
        ("name: shop-*", False),
    ],
)
def test_a_rule_waits_for_no_application_that_it_may_not_see(which: str, fits: bool) -> None:
    """When its plan starts would tell of them."""
    text = RULE + (
        "  debounce:\n    key: '${{ sync.revision }}'\n    until: {applications: {" + which + "}}\n"
    )
    refused = (
        "debounce.until.applications.project: must name, whole, projects of "
        "tenants.bounds[0].projects: whom a rule waits for, it must be allowed to see (name one "
        "of shop)"
    )
    assert _told(text, _tenants(projects=["shop"])) == ([] if fits else [refused])


@pytest.mark.parametrize(
    ("globs", "fits"), [("team-b", False), ("team-b*", False), ("team-?", True), ("'*'", True)]
)
def test_a_rule_that_would_see_no_sync_is_refused(globs: str, fits: bool) -> None:
    """It would be in force, and nobody would know why nothing happens."""
    text = RULE.replace("{}", "{application: {destination: {namespace: " + globs + "}}}", 1)
    refused = (
        "match.application.destination.namespace: leaves out team-a, and syncs that go elsewhere "
        "are seen of the projects in tenants.bounds[0].projects alone (ask who runs Postsync to "
        "add a project)"
    )
    assert _told(text, _tenants()) == ([] if fits else [refused])
    assert _told(text, _tenants(projects=["shop"])) == []


def test_how_many_rules_and_how_large_is_bounded() -> None:
    """By what the settings say, for each namespace."""
    tenants = _tenants(maxRules=2, maxRuleSize=2000)
    assert (tenants.too_many("team-a", 1), tenants.too_large("team-a", 2000)) == ("", "")
    assert tenants.too_many("team-a", 2) == (
        "namespace team-a has 2 rules already, which is all that it may have "
        "(tenants.bounds[0].maxRules)"
    )
    assert tenants.too_large("team-a", 2001) == (
        "the rule has 2001 bytes; one of namespace team-a may have at most 2000 "
        "(tenants.bounds[0].maxRuleSize)"
    )


def test_a_grant_that_is_of_no_use_is_told() -> None:
    """With its place in the settings."""
    tenants = _tenants(handlers=["slack.mesage", "notify.apprise", "log.message"])
    assert [*tenants.unusable(handlers())] == [
        (
            "tenants.bounds[0].handlers",
            "there is no handler slack.mesage (did you mean slack.message?)",
        ),
        (
            "tenants.bounds[0].handlers",
            "handler notify.apprise cannot be bounded to a namespace",
        ),
    ]
