"""When the status of an Application was last changed, by the clock of a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from applications import Applications
from connected import by_kubernetes, deadline
from kube import Kube
from service import wait_for

from receiver.argocd.objects import ApplicationState
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def apps(kube: Kube) -> Applications:
    return Applications(kube, kube.namespace("clocks-apps"))


def read(kube: Kube, apps: Applications, outbound: Outbound) -> ApplicationState:
    connection = by_kubernetes(kube, outbound, apps.namespace)
    state = connection.application(apps.namespace, "shop", deadline())
    assert isinstance(state, ApplicationState)
    return state


def next_second() -> None:
    begun = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) > begun + SECOND, 5, "the clock to go on")


def test_each_write_of_the_status_moves_it_and_nothing_else_does(
    kube: Kube, apps: Applications, outbound: Outbound
) -> None:
    """A value that is changed, not one that is written again, nor what stands beside the status."""
    apps.put("shop", reconciled="2026-06-01T12:00:09Z")
    first = read(kube, apps, outbound)
    assert first.written_at
    assert abs(datetime.now(UTC) - first.written_at) < timedelta(minutes=1)
    assert first.stamped_at == datetime(2026, 6, 1, 12, 0, 9, tzinfo=UTC)
    next_second()
    apps.change("shop", {"reconciledAt": "2026-06-01T12:00:09Z"})
    kube.ask(
        "PATCH", f"{apps.path('shop')}?fieldManager=somebody",
        {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json",
    )  # fmt: skip
    assert read(kube, apps, outbound).written_at == first.written_at
    apps.change("shop", {"reconciledAt": "2026-06-01T12:03:00Z"})
    second = read(kube, apps, outbound)
    assert second.written_at
    assert second.written_at > first.written_at
    assert second.stamped_at == datetime(2026, 6, 1, 12, 3, tzinfo=UTC)


def test_another_manager_of_the_status_counts_too(
    kube: Kube, apps: Applications, outbound: Outbound
) -> None:
    """Whatever Argo CD's binary is called."""
    apps.put("shop", reconciled="2026-06-01T12:00:09Z")
    first = read(kube, apps, outbound)
    assert first.written_at
    next_second()
    kube.ask(
        "PATCH", f"{apps.path('shop')}?fieldManager=argocd",
        {"status": {"reconciledAt": "2026-06-01T12:00:10Z"}}, "application/merge-patch+json",
    )  # fmt: skip
    second = read(kube, apps, outbound)
    assert second.written_at
    assert second.written_at > first.written_at
