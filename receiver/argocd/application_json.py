"""Reads Applications as Argo CD's API and API servers tell them.

https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml; what is missing or has
another type counts as absent: a newer Argo CD may have changed what we can do without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    Deployment,
    ObjectRef,
    ResourceState,
)
from receiver.core.model import EPOCH

END = datetime(9999, 1, 1, tzinfo=UTC)
"""No time of an Application is later: what counts on from one stays in what can be told."""


def summary_of(app: Mapping[str, Any], *, deleted: bool = False) -> ApplicationSummary:
    """Return what a list or a watch tells of an Application."""
    metadata, operation = mapping(app, "metadata"), _operation(app)
    compared = mapping(mapping(app, "status"), "sync")
    asked = mapping(mapping(operation, "operation"), "sync")
    history = mappings(mapping(app, "status"), "history")
    return ApplicationSummary(
        namespace=text(metadata, "namespace"),
        name=text(metadata, "name"),
        uid=text(metadata, "uid"),
        project=text(mapping(app, "spec"), "project"),
        labels=texts(metadata, "labels"),
        phase=text(operation, "phase"),
        started_at=moment(operation, "startedAt"),
        finished_at=moment(operation, "finishedAt"),
        dry_run=asked.get("dryRun") is True,
        deployed=tuple(filter(None, (moment(one, "deployStartedAt") for one in history))),
        deleted=deleted,
        operated=_revisions(mapping(operation, "syncResult")) or _revisions(asked),
        synced=text(compared, "status"),
        revisions=_revisions(compared),
        application_set=_application_set(metadata),
    )


def application_of(app: Mapping[str, Any]) -> ApplicationState:
    """Return an Application, whole."""
    status, destination = mapping(app, "status"), mapping(mapping(app, "spec"), "destination")
    metadata = {
        name: value for name, value in mapping(app, "metadata").items() if name != "managedFields"
    }
    return ApplicationState(
        summary=summary_of(app),
        reconciled_at=moment(status, "reconciledAt"),
        destination=text(destination, "server") or text(destination, "name"),
        resources=tuple(map(_resource, mappings(status, "resources"))),
        history=tuple(map(_deployment, mappings(status, "history"))),
        body={**app, "metadata": metadata},
        stamped_at=max(filter(None, _stamps(status)), default=None),
        written_at=max(filter(None, _status_writes(app)), default=None),
    )


def _stamps(status: Mapping[str, Any]) -> Iterator[datetime | None]:
    """Yield the times that Argo CD's controller takes at the moment at which it writes them."""
    operation = mapping(status, "operationState")
    yield from (moment(operation, "startedAt"), moment(operation, "finishedAt"))
    yield moment(status, "reconciledAt")
    yield moment(mapping(status, "health"), "lastTransitionTime")


def _status_writes(app: Mapping[str, Any]) -> Iterator[datetime | None]:
    """Yield when each manager of the status has last changed a value."""
    for entry in mappings(mapping(app, "metadata"), "managedFields"):
        if "f:status" in mapping(entry, "fieldsV1"):
            yield moment(entry, "time")


def _operation(app: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(app, "status"), "operationState")


def _revisions(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the revision, or of several sources theirs."""
    several = tree.get("revisions")
    found = several if isinstance(several, list) and several else [tree.get("revision")]
    return tuple(one for one in found if isinstance(one, str) and one)


def _application_set(metadata: Mapping[str, Any]) -> str:
    """Return the ApplicationSet that made an Application: Argo CD makes it the owner."""
    owners = mappings(metadata, "ownerReferences")
    return next((text(one, "name") for one in owners if text(one, "kind") == "ApplicationSet"), "")


def _resource(entry: Mapping[str, Any]) -> ResourceState:
    health = mapping(entry, "health")
    ref = ObjectRef(
        *(text(entry, key) for key in ("group", "version", "kind", "namespace", "name"))
    )
    return ResourceState(
        ref, text(entry, "status"), text(health, "status"), text(health, "message")
    )


def _deployment(entry: Mapping[str, Any]) -> Deployment:
    by = mapping(entry, "initiatedBy")
    number = entry.get("id")
    return Deployment(
        id=number if isinstance(number, int) else 0,
        revision=text(entry, "revision") or ",".join(_revisions(entry)),
        started_at=moment(entry, "deployStartedAt"),
        deployed_at=moment(entry, "deployedAt"),
        initiated_by="automated" if by.get("automated") is True else text(by, "username"),
    )


def mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return what stands under a key, {} if that is no mapping."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def mappings(tree: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings of a list, none if it is no list."""
    value = tree.get(key)
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def text(tree: Mapping[str, Any], key: str) -> str:
    """Return a text, "" if it is none."""
    value = tree.get(key)
    return value if isinstance(value, str) else ""


def texts(tree: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return labels or annotations, those that are texts."""
    found = mapping(tree, key)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def moment(tree: Mapping[str, Any], key: str) -> datetime | None:
    """Return a time of Kubernetes (RFC 3339), None if it is none, or none that can be true.

    An API server takes any year up to 9999, and a tenant may write it.
    """
    try:
        found = datetime.fromisoformat(text(tree, key))
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return found if EPOCH <= found < END else None


def json_object(data: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that a text is, None if it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
