"""Notifications as Argo CD sends them, small ones, made for a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

Body = dict[str, Any]


def resource(name: str, message: str = "", **fields: Any) -> Body:
    """One entry of a sync's result: a ConfigMap that was changed, unless said otherwise."""
    kind = fields.get("kind", "ConfigMap")
    return {
        "group": "",
        "version": "v1",
        "kind": kind,
        "namespace": "shop",
        "name": name,
        "status": "Synced",
        "message": message or f"{kind.lower()}/{name} configured",
        "hookPhase": "Succeeded",
        "syncPhase": "Sync",
        **fields,
    }


def notification(
    *resources: Body,
    application: str = "shop",
    project: str = "web",
    phase: str = "Succeeded",
    finished: datetime | None = None,
    **state: Any,
) -> bytes:
    """A notification of our own template's shape, finished now unless said otherwise."""
    end = finished or datetime.now(UTC)
    return json.dumps(
        {
            "application": {"name": application, "namespace": "argocd", "project": project},
            "operationState": {
                "phase": phase,
                "startedAt": (end - timedelta(seconds=30)).isoformat(),
                "finishedAt": end.isoformat(),
                "message": "successfully synced (all tasks run)",
                "operation": {"sync": {"revision": "9f1c2ab"}},
                "syncResult": {"revision": "9f1c2ab", "resources": list(resources)},
                **state,
            },
        }
    ).encode()
