"""A CronJob that says by annotations what it follows makes a rule, or says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.core.errors import RuleError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet, load_rules, rule_set_from
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.resource import load_resource

AFTER = "ConfigMap/renovate-config"
IN_ORDER = (
    "CronJobs do not wait for one another: what has an order is a PostSyncRule with an action for "
    "each, from: {cronJob: NAME}"
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


def cron_job(after: Any = AFTER, *, suspend: bool = True, **others: Any) -> dict[str, Any]:
    annotations = {"postsync.dev/after": after, "team": "data"} | {
        f"postsync.dev/{key.replace('_', '-')}": word for key, word in others.items()
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "renovate", "namespace": "team-a", "annotations": annotations},
        "spec": {"schedule": "0 0 1 1 *", "suspend": suspend, "jobTemplate": {}},
    }


def load(document: dict[str, Any], registry: Registry, tenants: Tenants | None = None) -> RuleSet:
    return load_resource(document, registry, Expressions(), tenants=tenants)


def refused(document: dict[str, Any], registry: Registry) -> list[str]:
    with pytest.raises(RuleError) as caught:
        load(document, registry)
    return [str(one).partition("postsync.dev/")[2] for one in caught.value.problems]


def test_its_rule_runs_a_job_of_it_once_for_a_sync_that_changed_what_it_follows(
    registry: Registry,
) -> None:
    found = load(cron_job(), registry)
    (rule,) = found.rules
    assert (rule.name, tenant_of(rule.name)) == ("team-a/cronjob.renovate", "team-a")
    (selector,) = rule.match.resources or ()
    assert (selector.kind, selector.name) == (("ConfigMap",), ("renovate-config",))
    assert (selector.namespace, selector.group) == (("team-a",), None)
    assert selector.change == ("changed",)
    (action,) = rule.actions
    assert (action.uses, action.target) == ("kubernetes.job", "batch")
    assert action.with_ == {"namespace": "team-a", "from": {"cronJob": "renovate"}}
    assert found.places == (("cronjobs/team-a/renovate", 0),)
    assert found.warnings == ()


def test_it_may_follow_several_with_globs_and_groups(registry: Registry) -> None:
    found = load(cron_job("ConfigMap/*-config, Deployment.apps/web", change="any"), registry)
    selectors = found.rules[0].match.resources or ()
    assert [(one.kind, one.group, one.name, one.change) for one in selectors] == [
        (("ConfigMap",), None, ("*-config",), ("any",)),
        (("Deployment",), ("apps",), ("web",), ("any",)),
    ]


def test_delete_policies_are_those_of_hooks(registry: Registry) -> None:
    found = load(cron_job(delete_policy="HookSucceeded, BeforeHookCreation"), registry)
    (action,) = found.rules[0].actions
    assert action.with_["deletePolicy"] == ["HookSucceeded", "BeforeHookCreation"]


def test_the_stored_text_makes_the_same_rule(registry: Registry) -> None:
    """What else the CronJob says is no part of it: the Job is made of the CronJob as it is then."""
    found = load(cron_job(), registry)
    assert rule_set_from(found.files).rules == found.rules
    other = cron_job()
    other["spec"]["schedule"] = "1 1 1 1 1"
    other["metadata"] |= {"resourceVersion": "7", "labels": {"a": "b"}}
    assert load(other, registry).digest == found.digest
    assert load(cron_job(change="any"), registry).digest != found.digest


NO_RESOURCE = (
    "renovate-config names no resource; write Kind/name or Kind.group/name, as ConfigMap/assets-*, "
    "several with commas between"
)
POLICIES = "must be HookSucceeded, HookFailed or BeforeHookCreation (did you mean HookSucceeded?)"


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({"after": "renovate-config"}, f"after: {NO_RESOURCE}"),
        ({"change": "sometimes"}, "change: must be changed or any"),
        ({"wave": "1"}, f"wave: unknown key ({IN_ORDER})"),
        ({"chnage": "any"}, "chnage: unknown key (did you mean postsync.dev/change?)"),
        ({"delete_policy": "HookSucceded"}, f"delete-policy: {POLICIES}"),
    ],
)
def test_a_mistake_is_told_at_its_annotation(
    registry: Registry, annotations: dict[str, Any], told: str
) -> None:
    assert refused(cron_job(**annotations), registry) == [told]


def test_an_annotation_of_ours_without_what_it_follows_is_a_mistake(registry: Registry) -> None:
    document = cron_job(change="any")
    del document["metadata"]["annotations"]["postsync.dev/after"]
    assert refused(document, registry) == ["after: is missing"]


def test_one_that_is_not_suspended_is_a_warning(registry: Registry) -> None:
    (warning,) = load(cron_job(suspend=False), registry).warnings
    assert str(warning) == (
        "cronjobs/team-a/renovate: spec.suspend: the CronJob is not suspended, so it also runs by "
        "its schedule (set spec.suspend: true)"
    )


def test_jobs_must_be_granted(registry: Registry) -> None:
    bounds = TenantBounds(namespaces=("team-a",), handlers=("log.message",))
    with pytest.raises(RuleError) as caught:
        load(cron_job(), registry, Tenants((bounds,)))
    (problem,) = caught.value.problems
    assert problem.path == "metadata.annotations.postsync.dev/after"
    assert problem.message == (
        "handler kubernetes.job is not among those of namespace team-a (tenants.bounds[0].handlers)"
    )


def test_files_may_have_them_beside_other_objects(tmp_path: Path, registry: Registry) -> None:
    """A mistake has its line; a CronJob without annotations is none of ours."""
    plain = cron_job()
    plain["metadata"] = {"name": "plain"}
    (tmp_path / "good.yaml").write_text(yaml.safe_dump_all([plain, cron_job()]))
    (rule,) = load_rules([tmp_path / "good.yaml"], registry, Expressions()).rules
    assert rule.name == "team-a/cronjob.renovate"
    broken = cron_job("x")
    del broken["metadata"]["namespace"]
    (tmp_path / "bad.yaml").write_text(
        yaml.safe_dump({"kind": "List", "items": [broken, cron_job("x")]}, sort_keys=False)
    )
    with pytest.raises(RuleError) as caught:
        load_rules([tmp_path / "bad.yaml"], registry, Expressions())
    told = [str(one).replace(f"{tmp_path}/", "").split(" (")[0] for one in caught.value.problems]
    assert told[0] == "bad.yaml:5:3: items[0].metadata.namespace: is missing"
    assert told[1].startswith(
        "bad.yaml:20:7: items[1].metadata.annotations.postsync.dev/after: x names no resource"
    )


def test_no_post_sync_rule_may_be_called_as_the_rule_of_a_cron_job(registry: Registry) -> None:
    action = {"uses": "log.message", "target": "application", "with": {"text": "a"}}
    document = {
        "metadata": {"name": "cronjob.renovate", "namespace": "team-a"},
        "spec": {"match": {}, "actions": [action]},
    }
    with pytest.raises(RuleError) as caught:
        load(document, registry)
    (problem,) = caught.value.problems
    assert problem.path == "metadata.name"
    assert problem.message.startswith("begins with cronjob., ")
