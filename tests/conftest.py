"""What many tests start from: a real ledger in a file, and a notification as Argo CD sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.ledger.connect import Ledger, open_ledger

Body = dict[str, Any]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


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
    phase: str = "Succeeded",
    finished: datetime | None = None,
    **state: Any,
) -> bytes:
    """A notification of our own template's shape, finished now unless said otherwise."""
    end = finished or datetime.now(UTC)
    return json.dumps(
        {
            "application": {"name": application, "namespace": "argocd", "project": "web"},
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
