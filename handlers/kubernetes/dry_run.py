"""Dry runs on the API server, and the places in a rule that its refusals are about."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import Cluster
from receiver.contract import PLACEHOLDER, Call, Finding, PermanentError
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object

FieldPath: TypeAlias = tuple[str | int, ...]

UNKNOWN_FIELD = re.compile(r'(?:unknown field "|: \.)([^" ]+)(?:"|: field not declared)')
STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")
WRONG_TYPE = re.compile(r"cannot unmarshal|: expected \w+")
NO_NAMESPACE = 'namespaces "'
NAMESPACE_LATER = (
    "not tried in a namespace, for it is known only at run time: of the manifest, only the names "
    "and types of its fields were"
)
SAY_NAMESPACE = "`resource.namespace` is known here if each selector of the rule names the same one"


def open_cluster(cluster: Cluster | None, call: Call) -> Api:
    """Open a cluster for `postsync check`: outside of one, kubectl's current cluster.

    Raises:
        PermanentError: there is no kubeconfig, or it does not serve.
    """
    if cluster is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        cluster = Cluster(kubeconfig=_own_kubeconfig())
    return Api.of(cluster, call)


def dry_run_findings(send: Callable[[], object], manifest: Any, at: FieldPath) -> list[Finding]:
    """Send a dry run, and return what the API server has against it.

    A namespace that is known only at run time does not exist on the server: it refuses for that
    after it has checked the names and types of the fields.

    Args:
        send: sends it.
        manifest: what is sent, as the rule has it; None where that is not in the rule.
        at: where that stands below `with`.
    """
    try:
        send()
    except Refused as error:
        if error.reason in {"AlreadyExists", "Conflict"}:
            return []
        if error.reason == "NotFound" and NO_NAMESPACE in error.why and PLACEHOLDER in error.why:
            return [Finding(("namespace",), NAMESPACE_LATER, SAY_NAMESPACE, certain=False)]
        unclear = WRONG_TYPE.search(error.message) and _has_placeholder(manifest)
        if PLACEHOLDER in error.why or unclear:
            why = f"not tried to the end, an expression stands in the way: {error.message}"
            return [Finding(at, why, certain=False)]
        if manifest is None and error.reason != "NotFound":
            return [Finding(at, error.message, error.hint)]
        return list(_field_findings(error, at))
    return []


def _field_findings(error: Refused, at: FieldPath) -> Iterator[Finding]:
    unknown = UNKNOWN_FIELD.findall(error.message)
    named = [(name, why) for name, why in error.causes if name]
    if error.reason == "NotFound" and NO_NAMESPACE in error.message:
        yield Finding(("namespace",), error.message, error.hint)
    elif unknown:
        yield from (
            Finding((*at, *_field_path(name)), "Kubernetes has no such field") for name in unknown
        )
    elif named:
        yield from (Finding((*at, *_field_path(name)), why) for name, why in named)
    else:
        yield Finding(at, error.message, error.hint)


def _field_path(field: str) -> FieldPath:
    """Read a field's path: ``spec.containers[0].image``, ``metadata.labels[a.b/c]``.

    It ends before `env`, in which we have put variables of our own.
    """
    steps: list[str | int] = []
    for name, inside in STEP.findall(field):
        if name == "env":
            return (*steps, name)
        steps.append(int(inside) if inside.isdigit() else name or inside)
    return tuple(steps)


def _has_placeholder(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(map(_has_placeholder, tree.values()))
    if isinstance(tree, list):
        return any(map(_has_placeholder, tree))
    return bool(tree == PLACEHOLDER)


def _own_kubeconfig() -> str:
    named = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    for name in named.split(os.pathsep):
        if name and Path(name).is_file():
            return Path(name).read_text()
    raise PermanentError(
        "there is no cluster to ask: this runs in none, and there is no kubeconfig",
        hint="set KUBECONFIG, or name a kubeconfig under cluster",
    )


def dry_run_create(api: Api, path: str, manifest: Object) -> Callable[[], object]:
    """Return what sends the dry run of a creation."""
    return lambda: api.create(path, manifest, dry_run=True)
