"""Times that cannot be true are refused when they arrive, and only then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from notifications import notification, resource

from receiver.core.errors import PayloadError
from receiver.notification.parse import Notification, read_notification

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


def read(now: datetime | None = NOW, **times: str) -> Notification:
    body = notification(resource("a"), finished=NOW, **times)
    return read_notification(body, sender="argocd", channel="sync", query={}, now=now)


@pytest.mark.parametrize("field", ["startedAt", "finishedAt"])
@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("9999-12-31T23:59:59.999999Z", "more than a day ahead of our clock"),
        ("2026-06-11T12:00:01Z", "more than a day ahead of our clock (2026-06-10T12:00:00Z)"),
        ("0001-01-01T00:00:00Z", "before 2014-06-06"),
        ("1970-01-01T00:00:00Z", "before 2014-06-06"),
    ],
)
def test_a_time_that_cannot_be_true_is_refused(field: str, time: str, why: str) -> None:
    """With the field, the time, and what to compare."""
    with pytest.raises(PayloadError) as refused:
        read(NOW, **{field: time})
    assert refused.value.reason == "wrong_time"
    assert f"operationState.{field}: {time[:19]}" in refused.value.message
    assert why in refused.value.message
    assert "date -u" in refused.value.hint


@pytest.mark.parametrize("time", ["2014-06-06T00:00:00Z", "2026-06-11T12:00:00Z"])
def test_clocks_may_differ_by_a_day(time: str) -> None:
    """A wrong time zone is less than that, and the first sync of all is long ago."""
    assert read(finishedAt=time).sync.finished_at == datetime.fromisoformat(time)


def test_what_was_accepted_before_is_read_whatever_its_times() -> None:
    """A sync in the ledger is planned and told of by any clock."""
    assert read(now=None, finishedAt="9999-12-31T23:59:59.999999Z").sync.finished_at


def test_a_clock_of_ours_that_is_plainly_wrong_judges_nobody() -> None:
    """A machine that begins in 1970 would refuse every sync for good."""
    finished = NOW.isoformat()
    started = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=1)
    assert read(now=started, finishedAt=finished).sync.finished_at == NOW
