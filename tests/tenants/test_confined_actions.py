"""What actions of tenants are given: judged as it is written, and again when it was rendered."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from notifications import resource
from planning import handlers, rules_of, sync_of

from receiver.contract import Handler, Params, Succeeded
from receiver.core.states import RunState
from receiver.ledger.plans.records import RunChange
from receiver.planning.parameters import Renderer
from receiver.planning.plan_builder import PlanMaker
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.checks import check_action
from receiver.rules.matching.matcher import RuleMatch
from receiver.rules.schema.rule_file import Rule, Target
from receiver.rules.tenants.bounds import TenantBounds, Tenants

POD = {"containers": [{"name": "main", "image": "busybox"}]}
OWN = {"kubeconfig": {"secret": {"name": "eu", "key": "kubeconfig"}}}
TENANTS = Tenants(
    (
        TenantBounds(
            namespaces=("team-a",),
            handlers=tuple(handler.name for handler in handlers()),
            service_account="post-sync",
        ),
    )
)


def _rule(uses: str, parameters: dict[str, Any]) -> Rule:
    action = {"name": "act", "uses": uses, "target": "application", "with": parameters}
    tree = [{"name": "one", "match": {}, "actions": [action]}]
    (rule,) = rules_of(yaml.safe_dump(tree))
    return rule.model_copy(update={"name": "team-a/one"})


def _job(pod: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", **metadata}, "spec": {"template": {"spec": pod or POD}}}


def _told(uses: str, parameters: dict[str, Any]) -> list[str]:
    rule = _rule(uses, parameters)
    return [str(one) for one in TENANTS.check(rule, "team-a", handlers())]


OTHER = "is not team-a, the only namespace that this rule may touch (write team-a)"
ACCOUNT = "is not post-sync, which the pods of this rule run as"


@pytest.mark.parametrize(
    ("uses", "parameters", "told"),
    [
        ("kubernetes.job", {"namespace": "team-b", "manifest": _job()}, f"namespace: {OTHER}"),
        (
            "kubernetes.job",
            {"namespace": "team-a", "manifest": _job(namespace="team-b")},
            f"manifest.metadata.namespace: {OTHER}",
        ),
        (
            "kubernetes.job",
            {
                "namespace": "team-a",
                "manifest": {"spec": {"template": {"metadata": {"namespace": "b"}, "spec": POD}}},
            },
            f"manifest.spec.template.metadata.namespace: {OTHER}",
        ),
        (
            "kubernetes.job",
            {"namespace": "team-a", "manifest": _job({**POD, "serviceAccountName": "admin"})},
            f"manifest.spec.template.spec.serviceAccountName: {ACCOUNT}",
        ),
        (
            "kubernetes.job",
            {"namespace": "team-a", "manifest": _job({**POD, "serviceAccount": "admin"})},
            f"manifest.spec.template.spec.serviceAccount: {ACCOUNT}",
        ),
        (
            "kubernetes.apply",
            {"manifest": {"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "team-b"}}},
            f"manifest.metadata.namespace: {OTHER}",
        ),
        (
            "kubernetes.apply",
            {"manifest": {"spec": {"jobTemplate": _job({"serviceAccountName": "admin"})}}},
            f"spec.jobTemplate.spec.template.spec.serviceAccountName: {ACCOUNT}",
        ),
        (
            "kubernetes.patch",
            {
                "object": {"kind": "Pod", "namespace": "team-a", "name": "a"},
                "type": "json",
                "patch": [
                    {"op": "add", "path": "/spec/serviceAccountName", "value": "admin"},
                ],
            },
            "patch[0].path: is not for post-sync, which the pods of this rule run as",
        ),
        *(
            (
                f"kubernetes.{verb}",
                {"object": {"kind": "ConfigMap", "namespace": "team-b", "name": "a"}},
                f"object.namespace: {OTHER}",
            )
            for verb in ("delete", "event", "patch", "read", "restart", "wait")
        ),
        ("tekton.pipelinerun", {"namespace": "team-a", "pipeline": "x"}, "cluster is missing, and"),
        ("argo.workflow", {"namespace": "team-a", "template": "x"}, "cluster or server is missing"),
        ("cloudfront.invalidate", {"distribution": "E"}, "secretAccessKey is missing, and Post"),
        ("azure-frontdoor.purge", {"profile": "x"}, "clientSecret is missing, and Postsync's own"),
        ("gcp-cdn.invalidate", {}, "handler gcp-cdn.invalidate cannot be bounded to a namespace"),
        ("notify.apprise", {}, "handler notify.apprise cannot be bounded to a namespace"),
    ],
)
def test_what_is_beyond_the_namespace_is_refused_as_it_is_written(
    uses: str, parameters: dict[str, Any], told: str
) -> None:
    """With its place in the rule."""
    (found,) = _told(uses, parameters)
    assert found.startswith("actions[0].with")
    assert told in found


@pytest.mark.parametrize(
    ("uses", "parameters"),
    [
        ("kubernetes.job", {"namespace": "team-a", "manifest": _job()}),
        ("kubernetes.job", {"namespace": "${{ resource.namespace }}", "manifest": _job()}),
        (
            "kubernetes.job",
            {"namespace": "team-a", "manifest": _job({**POD, "serviceAccountName": "post-sync"})},
        ),
        ("kubernetes.job", {"namespace": "team-b", "manifest": _job(), "cluster": OWN}),
        ("kubernetes.job", {"namespace": "team-a", "manifest": "${{ {} }}"}),
        ("kubernetes.job", {"namespace": "team-a", "manifest": {"spec": ["odd"]}}),
        ("kubernetes.restart", {}),
        ("tekton.pipelinerun", {"namespace": "x", "pipeline": "x", "cluster": OWN}),
        ("cloudfront.invalidate", {"secretAccessKey": {"secret": {"name": "a", "key": "b"}}}),
        ("http.request", {"url": "https://a.example"}),
    ],
)
def test_what_is_within_or_is_known_later_is_taken(uses: str, parameters: dict[str, Any]) -> None:
    """Also in another cluster, by a kubeconfig of the rule's own."""
    assert _told(uses, parameters) == []


def test_a_handler_that_says_nothing_of_namespaces_is_for_no_tenant() -> None:
    """Whatever the settings grant: it may use what is Postsync's."""
    silent = Handler("toy.silent", "Does.", Params, lambda _params, _call: Succeeded(), "{}")
    bounds = TenantBounds(namespaces=("team-a",), handlers=("toy.silent",))
    found = Tenants((bounds,)).check(_rule("toy.silent", {}), "team-a", Registry([silent]))
    assert "handler toy.silent cannot be bounded to a namespace" in str(*found)


def _released(uses: str, parameters: dict[str, Any], about: dict[str, Any]) -> RunChange:
    """What becomes of a run of a tenant's rule for one resource."""
    rule = _rule(uses, parameters)
    action = rule.actions[0].model_copy(update={"target": Target.RESOURCE})
    match = rule.match.model_copy(update={"resources": ()})
    rule = rule.model_copy(update={"actions": (action,), "match": match})
    expressions = Expressions()
    maker = PlanMaker(expressions, Renderer(expressions, handlers(), TENANTS))
    sync = sync_of(about)
    made = maker.make(sync, RuleMatch(rule, matched=True, resources=(0,)), "0" * 64)
    (change,) = made.first.changes
    return change


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"namespace": "${{ resource.namespace }}", "manifest": _job()}, f"namespace: {OTHER}"),
        (
            {"namespace": "team-a", "manifest": _job(namespace="${{ resource.namespace }}")},
            f"manifest.metadata.namespace: {OTHER}",
        ),
        (
            {"namespace": "team-a", "manifest": "${{ {'metadata': {'namespace': 'x'}} }}"},
            f"manifest.metadata.namespace: {OTHER}",
        ),
        (
            {
                "namespace": "team-a",
                "manifest": _job({**POD, "serviceAccountName": "${{ resource.name }}"}),
            },
            f"manifest.spec.template.spec.serviceAccountName: {ACCOUNT}",
        ),
        (
            {"namespace": "team-b", "manifest": _job(), "cluster": "${{ null }}"},
            f"namespace: {OTHER}",
        ),
    ],
)
def test_what_an_expression_makes_is_judged_when_it_has(
    parameters: dict[str, Any], told: str
) -> None:
    """The run fails with the place, and nothing was sent."""
    change = _released("kubernetes.job", parameters, resource("x", namespace="team-b"))
    assert change.state is RunState.FAILED
    assert told in change.reason


def test_the_resource_that_is_meant_by_default_may_be_of_another_namespace() -> None:
    """It is filled in when the run is rendered, and judged after that."""
    change = _released("kubernetes.restart", {}, resource("x", namespace="team-b"))
    assert change.state is RunState.FAILED
    assert f"object.namespace: {OTHER}" in change.reason


def test_a_secret_of_the_namespace_is_kept_as_a_reference() -> None:
    """Beside the parameters, and its lane is the tenant's alone."""
    token = {"secret": {"name": "cdn", "key": "token"}}
    parameters = {"zone": "0" * 32, "token": token, "tags": ["a"]}
    change = _released("cloudflare.purge", parameters, resource("x"))
    assert change.state is RunState.DUE, change.reason
    assert change.secrets == {
        "/token": {"kind": "secret", "name": "cdn", "key": "token", "format": "{}"}
    }
    assert change.lane.endswith(" of team-a cdn/token")


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ({"secret": {"name": "team-b/cdn", "key": "a"}}, "secret.name: must be the name of a Sec"),
        ({"secret": {"name": "../cdn", "key": "a"}}, "secret.name: must be the name of a Secret"),
        ({"secret": {"name": "a%2fb", "key": "a"}}, "secret.name: must be the name of a Secret"),
        ({"secret": {"name": "${{ x }}", "key": "a"}}, "secret.name: must be the name of a Secre"),
        ({"secret": {"name": "a", "key": ".."}}, "secret.key: must be a key of the Secret"),
        ({"secret": {"name": "a", "key": "a/b"}}, "secret.key: must be a key of the Secret"),
        ({"secret": {"name": "a", "key": "b"}, "env": "POSTSYNC_SECRET_A"}, "is in one place, not"),
        ({"secret": {"name": "a"}}, "must be a reference to a secret (write {secret: {name: NAME"),
        ({"env": "POSTSYNC_SECRET_A"}, "env: is a secret of the operator's, and none for a rule"),
        ({"file": "cdn/token"}, "file: is a secret of the operator's, and none for a rule in a"),
        ("literal", "must be a reference to a secret (write {secret: {name: NAME, key: KEY}}"),
    ],
)
def test_only_secrets_of_the_own_namespace_can_be_named(reference: Any, told: str) -> None:
    """By name and key, literally."""
    action = {"uses": "bunny.purge", "with": {"urls": ["https://a.example/"], "key": reference}}
    found = "\n".join(map(str, check_action(action, handlers(), Expressions(), tenant=True)))
    assert told in found


def test_the_operators_rules_name_no_secret_of_a_namespace() -> None:
    """Whose it is would not be said."""
    key = {"secret": {"name": "a", "key": "b"}}
    action = {"uses": "bunny.purge", "with": {"urls": ["https://a.example/"], "key": key}}
    (found,) = check_action(action, handlers(), Expressions())
    assert "is for a rule in that namespace, a PostSyncRule" in str(found)


def test_what_a_manifest_has_under_secret_is_no_reference() -> None:
    """A projected volume names a Secret, and no key."""
    volume = {"name": "v", "projected": {"sources": [{"secret": {"name": "tls"}}]}}
    parameters = {"namespace": "team-a", "manifest": _job({**POD, "volumes": [volume]})}
    action = {"uses": "kubernetes.job", "with": parameters}
    for tenant in (True, False):
        assert list(check_action(action, handlers(), Expressions(), tenant=tenant)) == []
