"""Verdicts by the object where the clocks of Argo CD and of the API server differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from test_live_verdicts import Line, lines, outcome
from toy_cluster import CREATED, ToyCluster

from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef
from receiver.dispatcher.clock_doubt import find_ahead, find_behind
from receiver.notification.live_verdicts import Sighting, judge

REF = ObjectRef("", "v1", "ConfigMap", "shop", "a")
END = datetime(2026, 6, 10, 12, tzinfo=UTC)
HERE, FAR = "https://kubernetes.default.svc", "https://far.example"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def application(stamped: datetime | None, written: datetime | None) -> ApplicationState:
    state = ToyCluster().application("argocd", "shop", 0)
    assert isinstance(state, ApplicationState)
    return replace(state, destination=HERE, stamped_at=stamped, written_at=written)


def found(read_at: datetime | None) -> LiveObject:
    return LiveObject(REF, "u", CREATED, (), {}, {}, "the API server", read_at)


def judged(line: Line, ahead: float, *, late: float = 0, compared: float = 1) -> str:
    """The verdict with the API server's clock so many seconds ahead.

    Args:
        line: an object just after a sync.
        ahead: negative for a clock that is behind.
        late: the seconds after the operation's end at which it was notified and read.
        compared: the seconds that Argo CD's comparison after the operation took.
    """
    changes = tuple((who, at + seconds(ahead)) for who, at in line.seen.changes)
    now = line.finished + seconds(compared + late + ahead)
    state = application(line.finished, line.finished + seconds(compared + ahead))
    one = found(now)
    if one.read_at and one.read_at < line.finished:
        return "unknown"
    seen = Sighting(changes)
    verdict = judge(seen, line.started, line.finished).verdict.value
    doubt = find_behind(state, one)
    if verdict == "changed":
        doubt = doubt or find_ahead(state, one, line.finished, late)
    return "unknown" if doubt else verdict


@pytest.mark.parametrize("ahead", [-3600, -600, -60, -5, 60, 600, 3600])
@pytest.mark.parametrize("late", [0, 7200])
def test_no_verdict_is_wrong_whatever_the_clocks_say(ahead: float, late: float) -> None:
    """All that a running Argo CD changed or left alone, with one of the clocks moved."""
    told = Counter(outcome(judged(line, ahead, late=late), line.truth) for line in lines())
    assert told["wrong"] == 0
    if ahead < 0:
        assert set(told) == {"unknown"}


@pytest.mark.parametrize(("late", "compared"), [(0, 0), (0, 1), (600, 2), (0, 59), (86400, 30)])
def test_with_clocks_in_step_every_verdict_is_right(late: float, compared: float) -> None:
    """Soon or late, after a quick comparison or a slow one."""
    assert all(
        outcome(judged(line, 0, late=late, compared=compared), line.truth) == "right"
        for line in lines()
    )


def test_a_later_write_without_a_new_time_is_no_difference() -> None:
    """As of a resource's health: the notification came soon after the end, so it bounds it."""
    state = application(END, END + seconds(600))
    assert not find_behind(state, found(END + seconds(700)))
    assert not find_ahead(state, found(END + seconds(700)), END, waited=698)


def test_a_late_notification_is_no_difference() -> None:
    """Argo CD has compared the Application since, and its newest time goes with the write."""
    state = application(END + seconds(7000), END + seconds(7001))
    assert not find_behind(state, found(END + seconds(7200)))
    assert not find_ahead(state, found(END + seconds(7200)), END, waited=0)


def test_where_nothing_bounds_it_a_change_is_in_doubt() -> None:
    """It was notified late, and the last write had no new time."""
    told = find_ahead(application(END, END + seconds(600)), found(END + seconds(900)), END, 30)
    assert told == "the API server's clock may be up to 600 s ahead of Argo CD's"


@pytest.mark.parametrize(
    ("behind", "destination", "read_at", "told"),
    [
        (1, HERE, END, ""),
        (2, HERE, END, "2 s or more"),
        (3600, HERE, None, "3600 s or more"),
        (3600, "in-cluster", None, "3600 s or more"),
        (3600, FAR, None, ""),
        (3600, FAR, END, "3600 s or more"),
    ],
)
def test_an_api_server_that_is_behind_is_found_out(
    behind: int, destination: str, read_at: datetime | None, told: str
) -> None:
    """If it is that of the Application: of another cluster's nobody knows."""
    state = replace(application(END, END - seconds(behind)), destination=destination)
    assert find_behind(state, found(read_at)).endswith(told)
    assert bool(find_behind(state, found(read_at))) == bool(told)


@pytest.mark.parametrize("times", [(None, END), (END, None), (None, None)])
def test_an_application_that_does_not_tell_raises_no_doubt(
    times: tuple[datetime | None, datetime | None],
) -> None:
    """As one without managedFields."""
    state = application(*times)
    assert find_behind(state, found(END)) == find_ahead(state, found(END), END, 0) == ""
