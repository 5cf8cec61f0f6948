"""Keeps what is done for a tenant to its namespace, and its pods to its service account.

What a rule writes is judged when it is loaded and again when it was rendered; what an attempt
asks of an API server with credentials that are not the tenant's, by the path of each request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from handlers.kubernetes.cluster import Cluster
from receiver.contract import Finding, PermanentError, Tenant
from receiver.kubernetes.objects import Object

DISCOVERY = re.compile(r"/api/[^/]+|/apis/[^/]+(/[^/]+)?")
IN_NAMESPACE = re.compile(r"/(?:api/[^/]+|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([^/]+)(?:/.*)?")
SERVICE_ACCOUNTS = ("serviceAccountName", "serviceAccount")
"""Two names of one field of a pod, of which the second is deprecated, and works."""


def at(tree: Any, *steps: str) -> Any:
    """Return what is there in nested mappings, None if nothing is."""
    for step in steps:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def has_own_cluster(parameters: Mapping[str, Any]) -> bool:
    """Whether credentials of the rule's own are used, which are not ours to bound."""
    return parameters.get("cluster") is not None


def in_namespace(
    parameters: Mapping[str, Any], tenant: Tenant, *places: tuple[str, ...]
) -> Iterator[Finding]:
    """Find names of other namespaces at these places."""
    for place in () if has_own_cluster(parameters) else places:
        value = at(parameters, *place)
        if value is not None and value != tenant.namespace:
            message = f"is not {tenant.namespace}, the only namespace that this rule may touch"
            yield Finding(place, message, f"write {tenant.namespace}")


def object_in_namespace(parameters: Mapping[str, Any], tenant: Tenant) -> Iterator[Finding]:
    """Find an object of another namespace."""
    return in_namespace(parameters, tenant, ("object", "namespace"))


def as_service_account(
    tree: Any, tenant: Tenant, path: tuple[str | int, ...] = ()
) -> Iterator[Finding]:
    """Find pods, at any depth, that would run as another service account than the tenant's.

    In a list of operations (RFC 6902) a path says what their value is.
    """
    mine = tenant.service_account
    if isinstance(tree, Mapping):
        if str(tree.get("path")).endswith(SERVICE_ACCOUNTS) and tree.get("value") != mine:
            yield Finding((*path, "path"), f"is not for {mine}, which the pods of this rule run as")
        for key, value in tree.items():
            if key in SERVICE_ACCOUNTS and isinstance(value, str) and value != mine:
                message = f"is not {mine}, which the pods of this rule run as"
                yield Finding((*path, key), message, "leave it out")
            else:
                yield from as_service_account(value, tenant, (*path, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from as_service_account(item, tenant, (*path, index))


def give_service_account(pod: Object, tenant: Tenant) -> None:
    """Let a pod run as the tenant's service account.

    Raises:
        PermanentError: it names another.
    """
    for key in SERVICE_ACCOUNTS:
        if pod.get(key, tenant.service_account) != tenant.service_account:
            raise PermanentError(
                f"its pods would run as service account {pod[key]}; those of a rule in namespace "
                f"{tenant.namespace} run as {tenant.service_account}",
                hint="leave it out, or ask who runs Postsync to grant another serviceAccount",
            )
    pod["serviceAccountName"] = tenant.service_account


def cluster_for(cluster: Cluster | None, tenant: Tenant | None) -> Cluster | None:
    """Return where an action is done: in the cluster that it names, or the tenant's."""
    if cluster is not None or tenant is None or tenant.kubeconfig is None:
        return cluster
    return Cluster(kubeconfig=tenant.kubeconfig(), context=tenant.context)


def require_within(path: str, tenant: Tenant) -> None:
    """Refuse a request beyond the tenant's namespace.

    Raises:
        PermanentError: it is, or it is for a Secret: those are the API server's to grant one by
            one, and no action's to change.
    """
    if DISCOVERY.fullmatch(path):
        return
    found = IN_NAMESPACE.fullmatch(path)
    if found is None or found[1] != tenant.namespace:
        raise PermanentError(
            f"{path} is beyond namespace {tenant.namespace}, the only one that this rule may touch"
        )
    if found[2] == "secrets" and path.startswith("/api/"):
        raise PermanentError(
            "a rule in a namespace has no Secret but as a parameter",
            hint="write {secret: {name: NAME, key: KEY}} where its value is wanted",
        )
