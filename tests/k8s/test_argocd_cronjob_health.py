"""The component by which a suspended CronJob that Postsync runs does not hold up Argo CD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from argocd_engine import Engine
from manifests import ARGO_CD_SERVER, K8S, find, with_component

NAME = "components/argocd-cronjob-health"
EARLY, LATE = "2026-06-01T10:00:00Z", "2026-06-01T11:00:00Z"
OURS = {"postsync.dev/after": "ConfigMap/renovate-config"}
FAILED = {"lastScheduleTime": LATE, "lastSuccessfulTime": EARLY}


@pytest.mark.parametrize(
    ("annotations", "suspend", "status", "expected"),
    [
        (OURS, True, {}, "Healthy"),
        (OURS, True, None, "Healthy"),
        ({"a": "b"}, True, {}, "Suspended"),
        (None, True, {}, "Suspended"),
        (OURS, False, FAILED, "Degraded"),
        (None, False, FAILED, "Degraded"),
        (None, False, FAILED | {"active": [{"name": "x"}]}, "Healthy"),
        (None, False, {"lastScheduleTime": LATE}, "Healthy"),
        (None, False, {"lastScheduleTime": EARLY, "lastSuccessfulTime": LATE}, "Healthy"),
        (None, None, None, "Healthy"),
    ],
)
def test_an_annotated_one_that_is_suspended_is_healthy(
    engine: Engine, tmp_path: Path, annotations: Any, suspend: Any, status: Any, expected: str
) -> None:
    """All others are as they are without Postsync: suspended, failed or well."""
    parts = with_component(K8S / NAME, ARGO_CD_SERVER, tmp_path)
    found = {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "renovate"} | ({"annotations": annotations} if annotations else {}),
        "spec": {} if suspend is None else {"suspend": suspend},
        "status": status,
    }  # fmt: skip
    if status is None:
        del found["status"]
    [told] = engine.health(find(parts, "ConfigMap", "argocd-cm"), found)
    assert told is not None
    assert told["status"] == expected
