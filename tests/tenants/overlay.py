"""The rights that k8s/overlays/tenants gives, in a control plane of the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kube import PATIENCE, Kube
from manifests import K8S, build
from service import wait_for

from receiver.rules.tenants.names import PLURAL

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RIGHTS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


@contextmanager
def granted(kube: Kube, names: Mapping[str, str]) -> Iterator[str]:
    """Give them; ``names`` are those of its namespaces here. The token of Postsync's account."""
    own = names["postsync"]
    path = f"/api/v1/namespaces/{own}/serviceaccounts"
    kube.ask("POST", path, {"metadata": {"name": "postsync"}})
    wide = []
    for tree in build(K8S / "overlays/tenants"):
        if tree["kind"] not in RIGHTS:
            continue
        for subject in tree.get("subjects", []):
            subject["namespace"] = names[subject["namespace"]]
        namespace = names.get(tree["metadata"].pop("namespace", ""), "")
        place = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
        place += f"/{tree['kind'].lower()}s"
        kube.ask("POST", place, tree)
        if not namespace:
            wide.append(f"{place}/{tree['metadata']['name']}")
    yield kube.token(own, "postsync")
    for one in wide:
        kube.remove(one)


def member(kube: Kube, namespace: str, role: str) -> str:
    """Make somebody who has one of Kubernetes' own roles in a namespace; the token."""
    kube.ask(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": role}}
    )
    kube.ask("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": namespace}],
    })  # fmt: skip
    wait_for(lambda: _aggregated(kube, role), PATIENCE, f"the aggregated role {role}")
    return kube.token(namespace, role)


def _aggregated(kube: Kube, role: str) -> bool:
    rules = kube.ask("GET", f"{RBAC}/clusterroles/{role}")["rules"]
    return any(PLURAL in rule["resources"] for rule in rules)
