"""The component by which Argo CD shows how it stands about a PostSyncRule."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from argocd_engine import Engine, Json
from manifests import ARGO_CD_SERVER, K8S, Manifest, find, with_component

from receiver.rules.tenants.names import API_VERSION, GROUP, KIND

UNSEEN = {"status": "Progressing", "message": "Postsync has not looked at it yet"}
BROKEN = "spec.actions[0].uses: there is no handler http.requst (did you mean http.request?)"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Argo CD's ConfigMap with the component."""
    component, folder = K8S / "components/argocd-health", tmp_path_factory.mktemp("health")
    return find(with_component(component, ARGO_CD_SERVER, folder), "ConfigMap", "argocd-cm")


def rule(status: Any, generation: int = 3) -> Json:
    """A PostSyncRule as Argo CD sees it."""
    meta = {"name": "purge", "namespace": "shop", "generation": generation}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": {}} | (
        {} if status is None else {"status": status}
    )


def told(ready: str, message: str, seen: int = 3) -> Json:
    """A status as Postsync writes it, beside a condition that is not about this."""
    other = {"type": "Other", "status": "False", "message": "not this one"}
    condition = {"type": "Ready", "status": ready, "message": message}
    return {"observedGeneration": seen, "conditions": [other, condition]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (told("True", "in force"), {"status": "Healthy", "message": "in force"}),
        (told("False", BROKEN), {"status": "Degraded", "message": BROKEN}),
        (told("False", "two\nlines: ü"), {"status": "Degraded", "message": "two\nlines: ü"}),
        (told("Unknown", ""), UNSEEN),
        (told("True", "in force", seen=2), UNSEEN),
        (told("False", BROKEN, seen=2), UNSEEN),
        ({"observedGeneration": 3, "conditions": []}, UNSEEN),
        ({"observedGeneration": 3}, UNSEEN),
        ({"counts": {"succeeded": 1}}, UNSEEN),
        ({}, UNSEEN),
        (None, UNSEEN),
    ],
)  # fmt: skip
def test_health_follows_from_what_postsync_wrote(
    engine: Engine, config: Manifest, status: Any, expected: Json
) -> None:
    """In force, refused with the message, or not looked at as it is now."""
    assert engine.health(config, rule(status)) == [expected]


def test_check_is_for_this_kind_alone(engine: Engine, config: Manifest) -> None:
    """Neither another kind of the group nor this kind of another."""
    others = [{"apiVersion": API_VERSION, "kind": "Other"}, {"apiVersion": "v1", "kind": KIND}]
    assert engine.health(config, *(rule({}) | one for one in others)) == [None, None]


def test_argo_cds_own_keys_stay(config: Manifest) -> None:
    """Two are added, both by the kind's name."""
    [before] = [
        one["data"] for one in yaml.safe_load_all(ARGO_CD_SERVER.read_text())
        if one["metadata"]["name"] == "argocd-cm"
    ]  # fmt: skip
    added = config["data"].keys() - before.keys()
    place = "resource.customizations"
    assert added == {
        f"{place}.{what}.{GROUP}_{KIND}" for what in ("health", "ignoreResourceUpdates")
    }
    assert config["data"].items() >= before.items()
