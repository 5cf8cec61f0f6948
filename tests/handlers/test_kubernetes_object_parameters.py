"""What the handlers for objects refuse before anything runs, and what they are about by default."""

from __future__ import annotations

from typing import Any

import pytest
from test_kubernetes_objects import CONFIG, WORKLOAD

from handlers.kubernetes.apply import handler as apply
from handlers.kubernetes.delete import handler as delete
from handlers.kubernetes.objects import complete
from handlers.kubernetes.patch import handler as patch
from handlers.kubernetes.read import handler as read
from handlers.kubernetes.restart import handler as restart
from handlers.kubernetes.wait import handler as wait
from receiver.contract import Handler, PermanentError
from receiver.kubernetes.paths import path_of
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry


@pytest.mark.parametrize(
    ("handler", "fields", "told"),
    [
        (
            read,
            {"object": {**CONFIG, "kind": "Secret"}, "fields": {"a": "1"}},
            "is not read",
        ),
        (wait, {"object": {**CONFIG, "kind": "Secret"}}, "is not read"),
        (read, {"object": CONFIG, "fields": {"a": "object.data.k +"}}, "syntax error"),
        (read, {"object": CONFIG, "fields": {"a": "objekt.data.k"}}, "unknown name objekt"),
        (wait, {"object": CONFIG, "until": "size(object.x"}, "Syntax error"),
        (patch, {"object": CONFIG, "patch": []}, "a list of operations for type: json"),
        (patch, {"object": CONFIG, "type": "json", "patch": {}}, "a list of operations for type"),
        (patch, {"object": {**CONFIG, "group": ""}, "patch": {}}, "give apiVersion or group"),
        (delete, {"object": {"kind": "Pod", "namespace": "shop"}}, "give name or labels, one"),
        (delete, {"object": {**CONFIG, "labels": {"a": "b"}}}, "give name or labels, one of them"),
        (
            delete,
            {"object": {"kind": "Pod", "labels": {"a": "b,c"}}},
            "must match ^[",
        ),
        (
            restart,
            {"object": {**WORKLOAD, "kind": "CronJob"}},
            "must be Deployment, StatefulSet or DaemonSet",
        ),
        (apply, {"manifest": {"kind": "ConfigMap"}}, "no apiVersion and no metadata.name"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(
    handler: Handler[Any], fields: dict[str, Any], told: str
) -> None:
    """As `check` finds it."""
    found = Registry([handler]).check_parameters(handler, fields, Expressions())
    assert told in "; ".join(map(str, found))


def test_an_action_is_about_the_runs_resource_where_it_names_none() -> None:
    """By what the sync's result says of it; for several, somebody has to choose."""
    resource = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop",
                "name": "web", "images": []}  # fmt: skip
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
    assert complete({"wait": False}, {"resource": resource}) == {"wait": False, "object": about}
    role = resource | {"group": "", "kind": "Node", "namespace": ""}
    assert complete({}, {"resource": role})["object"] == {
        "apiVersion": "v1", "kind": "Node", "name": "web",
    }  # fmt: skip
    given = {"object": CONFIG}
    assert complete(given, {"resource": resource}) == given
    assert complete({}, {"resources": [resource]}) == {}


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2Fb"])
def test_a_name_never_leads_to_another_path(name: str) -> None:
    """It comes of an expression, most often."""
    with pytest.raises(PermanentError, match="is no name in Kubernetes"):
        path_of("v1", "configmaps", "shop", name)
