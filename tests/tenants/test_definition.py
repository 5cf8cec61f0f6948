"""A real API server takes good PostSyncRules, and refuses bad ones with a message that helps."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import yaml
from kube import ADMIN, PATIENCE, Kube
from postsyncrules import PostSyncRules
from shown_rules import RESOURCES, RULES

from receiver.rules.tenants.names import API_VERSION, KIND

pytestmark = pytest.mark.xdist_group("kubernetes")

ACTION = {"uses": "log.message", "with": {"text": "x"}}
SPEC: dict[str, Any] = {
    "match": {"resources": [{"kind": "ConfigMap"}]}, "actions": [ACTION],
}  # fmt: skip


@pytest.fixture(scope="module")
def rules(kube: Kube) -> str:
    """The path of PostSyncRules, in a cluster that has the definition."""
    return PostSyncRules(kube, "default").path()


def resource(spec: Any, name: str = "purge") -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def refusal(kube: Kube, path: str, whole: dict[str, Any]) -> str:
    """What the API server says to it, as to `kubectl apply`; "" if it takes it."""
    answer = requests.post(
        f"{kube.url}{path}?dryRun=All&fieldValidation=Strict", json=whole, timeout=PATIENCE,
        headers={"Authorization": f"Bearer {ADMIN}"}, verify=str(kube.authority),
    )  # fmt: skip
    return "" if answer.ok else str(answer.json()["message"])


def applied(kube: Kube, path: str, spec: Any) -> dict[str, Any]:
    """Apply it on the server's side, as Argo CD may; what is stored."""
    query = "fieldManager=test&fieldValidation=Strict&force=true"
    kind = "application/apply-patch+yaml"  # of which JSON is a part
    whole = resource(spec, "applied")
    made: dict[str, Any] = kube.ask("PATCH", f"{path}/applied?{query}", whole, kind)
    return made


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_each_example_is_taken(rule: dict[str, Any], kube: Kube, rules: str) -> None:
    """Each rule that we show, in files and on pages, can be written as a PostSyncRule."""
    spec = {key: value for key, value in rule.items() if key != "name"}
    assert refusal(kube, rules, resource(spec, rule["name"])) == ""


@pytest.mark.parametrize("text", RESOURCES)
def test_examples_of_the_pages_are_taken(text: str, kube: Kube, rules: str) -> None:
    """A PostSyncRule that a page shows, in whichever namespace."""
    whole = yaml.safe_load(text)
    del whole["metadata"]["namespace"]
    assert refusal(kube, rules, whole) == ""


def test_nothing_is_added_to_a_rule(kube: Kube, rules: str) -> None:
    """What is stored is what was written: a default there would count as written."""
    spec = SPEC | {"retry": {}, "debounce": {"window": "5s"}, "finally": [ACTION]}
    spec["actions"] = [ACTION, *({**ACTION, "suspend": one} for one in (True, {"expires": "24h"}))]
    assert applied(kube, rules, spec)["spec"] == spec


def test_a_rule_is_applied_whole(kube: Kube, rules: str) -> None:
    """An applied rule takes the place of the one before, also where nothing is left of a part."""
    applied(kube, rules, SPEC)
    spec = {"match": {}, "actions": [ACTION | {"target": "application"}]}
    assert applied(kube, rules, spec)["spec"] == spec


WORDS = SPEC["match"]["resources"][0]
WRONG = [
    ({"match": {"resources": [{"kidn": "ConfigMap"}]}},
     'unknown field "spec.match.resources[0].kidn"'),
    ({"name": "other"}, 'unknown field "spec.name"'),
    ({"actions": [ACTION | {"with": {"text": "x"}, "waev": 1}]},
     'unknown field "spec.actions[0].waev"'),
    ({"match": {"phases": "Failing"}},
     "spec.match.phases in body should match '^(Succeeded|Failed|Error)$'"),
    ({"match": {"phases": ["Failing"]}},
     'spec.match.phases[0]: Unsupported value: "Failing": supported values: "Succeeded", "Failed"'),
    ({"match": {"resources": [WORDS | {"change": "chnaged"}]}},
     "spec.match.resources[0].change in body should match '^(changed|unchanged|unknown|any)$'"),
    ({"match": {"resources": [{"kind": []}]}},
     "spec.match.resources[0].kind in body should have at least 1 items"),
    ({"match": {"resources": [{"kind": {"a": "b"}}]}},
     "spec.match.resources[0].kind: Too many: 1: must have at most 0 items"),
    ({"match": {"application": {"labels": {}}}},
     "spec.match.application.labels in body should have at least 1 properties"),
    ({"timeout": "5"},
     'spec.timeout: Invalid value: "5": is no duration; write a number with a unit, as in 30s'),
    ({"retry": {"for": "an hour"}}, 'spec.retry.for: Invalid value: "an hour": is no duration'),
    ({"actions": [ACTION | {"name": "1st"}]},
     "spec.actions[0].name in body should match '^([A-Za-z_][A-Za-z0-9_-]*)?$'"),
    ({"actions": [ACTION | {"wave": 1001}]},
     "spec.actions[0].wave in body should be less than or equal to 1000"),
    ({"actions": [ACTION | {"target": "all"}]},
     'spec.actions[0].target: Unsupported value: "all": supported values: "resource", "batch"'),
    ({"actions": [ACTION | {"name": "a"}] * 2}, "two actions of this rule have one name"),
    ({"actions": []}, "spec.actions in body should have at least 1 items"),
    ({"actions": [ACTION | {"suspend": {"expires": "a day"}}]},
     "spec.actions[0].suspend.expires in body should match '^(?:\\d+(?:ms|s|m|h|d))+$'"),
    ({"actions": [ACTION | {"suspend": {}}]}, "spec.actions[0].suspend.expires: Required value"),
    ({"match": None}, "spec.match: Required value"),
    ({"match": {}, "actions": [ACTION | {"target": "batch"}]},
     "target resource and target batch need match.resources: use target application"),
    ({"match": {}, "limits": {"maxTargets": 3}},
     "spec.limits.maxTargets: Invalid value: needs match.resources"),
    ({"actions": [ACTION | {"target": "batch"}], "limits": {"maxTargets": 3, "otherwise": "batch"}},
     "spec.limits.otherwise: Invalid value: batch needs an action with target resource"),
    ({"onNewer": "queue", "concurrency": {"limit": 1}},
     "spec.onNewer: Invalid value: queue and concurrency cannot be together"),
    ({"debounce": {"window": "5s"}, "throttle": {"every": "1m"}},
     "spec.throttle: Invalid value: debounce and throttle cannot be together"),
    ({"debounce": {"until": {"applications": {"project": "web"}}}},
     "spec.debounce.until: Invalid value: needs a key"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "expected"), WRONG, ids=lambda one: str(one)[:50])
def test_mistake_is_refused_with_its_path(
    changed: dict[str, Any], expected: str, kube: Kube, rules: str
) -> None:
    """A key that is not there, a word, a duration or a name that is none, what excludes itself."""
    assert expected in refusal(kube, rules, resource(SPEC | changed))


def test_name_is_no_longer_than_a_rule_may_have_it(kube: Kube, rules: str) -> None:
    """Kubernetes itself would take 253 characters."""
    assert refusal(kube, rules, resource(SPEC, "a" * 100)) == ""
    assert "metadata.name: Too long" in refusal(kube, rules, resource(SPEC, "a" * 101))


def test_status_is_written_beside_the_rule(kube: Kube, rules: str) -> None:
    """`kubectl get` answers the first questions, by the short name too."""
    made = applied(kube, rules, SPEC)
    now = "2026-11-21T05:33:27Z"
    ready = {
        "type": "Ready", "status": "False", "reason": "Invalid", "lastTransitionTime": now,
        "message": "spec.actions[0].uses: there is no handler x", "observedGeneration": 1,
    }  # fmt: skip
    status = {
        "observedGeneration": 1, "rule": "default/applied", "conditions": [ready],
        "lastMatched": {"time": now, "sync": "s-1", "application": "argocd/shop"},
        "counts": {"succeeded": 7, "failed": 1, "superseded": 2},
    }  # fmt: skip
    whole = made | {"status": status}
    told = kube.ask("PUT", f"{rules}/applied/status?fieldValidation=Strict", whole)
    assert told["status"] == status
    assert told["metadata"]["generation"] == made["metadata"]["generation"]
    answer = requests.get(
        f"{kube.url}{rules}", verify=str(kube.authority), timeout=PATIENCE,
        headers={
            "Authorization": f"Bearer {ADMIN}",
            "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
        },
    ).json()  # fmt: skip
    names = [column["name"] for column in answer["columnDefinitions"]]
    assert names == ["Name", "Ready", "Last matched", "Succeeded", "Failed", "Age", "Message"]
    (cells,) = [row["cells"] for row in answer["rows"] if row["cells"][0] == "applied"]
    assert (cells[1], cells[3], cells[4], cells[6]) == ("False", 7, 1, ready["message"])
    kinds = kube.ask("GET", f"/apis/{API_VERSION}")["resources"]
    assert ["psr"] in [one.get("shortNames") for one in kinds]
