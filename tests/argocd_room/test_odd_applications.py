"""Applications that whoever may write one has written oddly: they hold up no others."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from applications import Applications
from argocd_server import ArgoCd
from connected import by_argocd, by_kubernetes, deadline
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from json_places import Place, places, put
from kube import Kube
from service import wait_for

from receiver.argocd.application_json import application_of, moment
from receiver.argocd.connection import Connection
from receiver.argocd.objects import ApplicationState
from receiver.argocd.server import clock_of
from receiver.argocd.summaries import one_summary
from receiver.contract import Answer
from receiver.outbound import Outbound

FIRST, LAST = "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"
"""A real API server takes both as `date-time`."""
ODD = [FIRST, LAST, "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
LEAVES = (
    st.sampled_from(ODD) | st.none() | st.booleans() | st.integers() | st.floats() | st.text()
)  # fmt: skip
TREES = LEAVES | st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
AT = "2026-06-01T12:00:00Z"
WHOLE: dict[str, Any] = {
    "metadata": {
        "namespace": "argocd", "name": "shop", "uid": "u", "labels": {"a": "b"},
        "ownerReferences": [{"kind": "ApplicationSet", "name": "shops"}],
        "managedFields": [{"manager": "argocd", "fieldsV1": {"f:status": {}}, "time": AT}],
    },
    "spec": {"project": "web", "destination": {"server": "https://here"}},
    "status": {
        "operationState": {
            "phase": "Succeeded", "startedAt": AT, "finishedAt": AT,
            "operation": {"sync": {"dryRun": False, "revision": "abc", "revisions": ["abc"]}},
            "syncResult": {"revision": "abc", "revisions": ["abc"]},
        },
        "sync": {"status": "Synced", "revision": "abc", "revisions": ["abc"]},
        "history": [{"id": 1, "revision": "abc", "deployStartedAt": AT, "deployedAt": AT,
                     "initiatedBy": {"automated": True, "username": "eve"}}],
        "health": {"lastTransitionTime": AT},
        "reconciledAt": AT,
        "resources": [{"kind": "ConfigMap", "name": "a", "status": "Synced",
                       "health": {"status": "Healthy", "message": ""}}],
    },
}  # fmt: skip
RELAXED = settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
SECOND = timedelta(seconds=1)


@pytest.mark.xdist_group("kubernetes")
@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_an_odd_time_of_one_is_no_time_and_the_others_are_told(
    kube: Kube, argocd: ArgoCd, outbound: Outbound, way: str
) -> None:
    """Of its list, its watch and the Application itself."""
    apps = Applications(kube, kube.namespace(f"odd-{way}-{time.monotonic_ns()}"))
    apps.put("first", started=FIRST)
    apps.put("last", finished=LAST)
    apps.put("usual")
    connection: Connection = (
        by_argocd(argocd, outbound)
        if way == "argocd"
        else by_kubernetes(kube, outbound, apps.namespace)
    )

    def told() -> bool:
        watch = connection.watch(deadline(3))
        return {"first", "last", "usual"} <= {
            one.name for one in watch if one.namespace == apps.namespace
        }

    wait_for(told, 60, "all three")
    state = connection.application(apps.namespace, "first", deadline())
    assert isinstance(state, ApplicationState), state
    assert state.summary.started_at is None
    listed = {one.key: one for one in connection.applications(deadline())}
    assert listed[f"{apps.namespace}/last"].finished_at is None
    assert listed[f"{apps.namespace}/usual"].finished_at is not None


@RELAXED
@given(st.sampled_from(list(places(WHOLE))), TREES)
def test_whatever_an_application_has_anywhere_it_is_read(place: Place, value: Any) -> None:
    """What is not as it should be counts as absent."""
    state = application_of(put(WHOLE, place, value))
    for one in (state.summary.started_at, state.summary.finished_at, *state.summary.deployed):
        assert one is None or one - SECOND < one < one + SECOND


@RELAXED
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.fromisoformat(FIRST))
@given(st.datetimes(timezones=st.timezones()) | st.datetimes())
def test_any_time_can_be_counted_on_from(at: datetime) -> None:
    """Or it is none."""
    found = moment({"at": at.isoformat()}, "at")
    assert found is None or (found - SECOND < found + SECOND and found.tzinfo is UTC)


class Broken(dict[str, Any]):
    """An Application that our reading has a bug for."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == "status":
            raise RuntimeError("a bug")
        return super().get(key, default)


def test_a_bug_in_reading_one_leaves_its_name_and_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is known of it, so nothing is done for it."""
    app = Broken(metadata={"namespace": "argocd", "name": "shop"}, status={})
    for _ in range(2):
        summary = one_summary(app)
        assert (summary.key, summary.phase) == ("argocd/shop", "")
    assert capsys.readouterr().out.count("application.unread") == 1


def test_a_clock_beyond_all_years_is_unknown() -> None:
    """Something on the way may write any `Date`."""
    answer = Answer(200, {"date": "Fri, 31 Dec 9999 23:59:59 -0100"}, b"{}")
    assert clock_of(answer) is None
