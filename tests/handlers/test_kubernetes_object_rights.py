"""What docs/kubernetes.md says of the rights of the handlers for objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from kube import Json, Kube
from objects import WEB, Objects, objects
from service import ROOT

from handlers import kubernetes
from receiver.contract import PermanentError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules

pytestmark = pytest.mark.xdist_group("kubernetes")

PAGE = (ROOT / "docs/kubernetes.md").read_text()
ROWS = re.findall(r"^\| `(kubernetes\.\w+)` \| the kind \| (.*?) \|", PAGE, re.MULTILINE)
VERBS = {name: re.findall(r"`([a-z]+)`", verbs) for name, verbs in ROWS}
HANDLERS = {one.name: one for one in kubernetes.handlers}
RULES = re.findall(r"```yaml\n(version: 1\nrules:.*?)```", PAGE, re.DOTALL)


def _config(here: Objects, name: str) -> Json:
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": here.namespace, "name": name}, "data": {"a": "1"},
    }  # fmt: skip


def _apply(here: Objects, run: Callable[..., Any]) -> None:
    for _ in range(2):
        run(manifest=_config(here, "applied"))


def _delete(here: Objects, run: Callable[..., Any]) -> None:
    here.put("configmaps", "left", {"metadata": {"labels": {"app": "left"}}})
    selection = {"kind": "ConfigMap", "namespace": here.namespace}
    run(object={**selection, "labels": {"app": "left"}})
    here.put("configmaps", "right")
    run(object={**selection, "name": "right"})


def _restart(here: Objects, run: Callable[..., Any]) -> None:
    if here.find("apps/v1/deployments", "web") is None:
        here.put("apps/v1/deployments", "web", {"spec": {**WEB["spec"], "replicas": 0}})
    run(object={"kind": "Deployment", "namespace": here.namespace, "name": "web"})


def _on(**fields: Any) -> Callable[[Objects, Callable[..., Any]], None]:
    def story(here: Objects, run: Callable[..., Any]) -> None:
        run(object=here.ref("ConfigMap", "there"), **fields)

    return story


STORIES: Mapping[str, Callable[[Objects, Callable[..., Any]], None]] = {
    "kubernetes.apply": _apply,
    "kubernetes.delete": _delete,
    "kubernetes.patch": _on(patch={"data": {"b": "2"}}),
    "kubernetes.read": _on(fields={"a": "object.metadata.name"}),
    "kubernetes.restart": _restart,
    "kubernetes.wait": _on(),
}


@pytest.fixture(scope="module")
def here(kube: Kube) -> Iterator[Objects]:
    with objects(kube, kube.namespace("object-rights")) as made:
        made.put("configmaps", "there")
        yield made


def _granted(here: Objects, name: str, verbs: list[str]) -> str:
    """Make a service account with these verbs; its kubeconfig."""
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{here.namespace}"
    groups = (("", "configmaps"), ("apps", "deployments"))
    rules = [{"apiGroups": [group], "resources": [kind], "verbs": verbs} for group, kind in groups]
    here.kube.ask("POST", f"{root}/roles", {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": here.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    here.kube.ask("POST", f"{root}/rolebindings", binding)
    return here.kube.account(name, namespace=here.namespace)


def _run(here: Objects, handler: str, account: str, verbs: list[str]) -> None:
    cluster = {"kubeconfig": _granted(here, account, verbs)}
    for name in ("applied", "left", "right"):
        if here.find("configmaps", name):
            here.kube.ask("DELETE", here.path("configmaps", name))
    STORIES[handler](here, lambda **fields: here.end(HANDLERS[handler], cluster=cluster, **fields))


def test_every_handler_for_objects_has_its_row() -> None:
    """And `permissions` of its registration has the same verbs."""
    assert VERBS.keys() == STORIES.keys()
    for name, verbs in VERBS.items():
        assert sorted(set(re.findall(r"`(\w+)` ?", _verbs_of(name)))) == sorted(verbs)


def _verbs_of(name: str) -> str:
    return HANDLERS[name].permissions.replace("`labels`", "")


@pytest.mark.parametrize("handler", STORIES)
def test_its_verbs_are_enough(here: Objects, handler: str) -> None:
    """Nothing else is granted to it."""
    _run(here, handler, handler.replace(".", "-"), VERBS[handler])


@pytest.mark.parametrize(("handler", "verb"), [(name, v) for name in STORIES for v in VERBS[name]])
def test_none_of_its_verbs_is_more_than_it_needs(here: Objects, handler: str, verb: str) -> None:
    """Without it the run fails, and the hint says what to grant."""
    left = [one for one in VERBS[handler] if one != verb]
    with pytest.raises(PermanentError) as caught:
        _run(here, handler, f"{handler.replace('.', '-')}-without-{verb}", left or ["watch"])
    assert f"grant the verb {verb} on " in caught.value.hint


@pytest.mark.parametrize("rules", RULES, ids=lambda text: re.findall(r"name: (\S+)", text)[0])
def test_the_pages_rules_pass_check(rules: str, tmp_path: Any) -> None:
    """As they stand."""
    (tmp_path / "rules.yaml").write_text(rules)
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules
