"""A sync's time as a picture: the operation, plans, runs and attempts, and waits as waits.

Only the places are computed here, as numbers of the picture; the template draws them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from receiver.core.plural import plural
from receiver.core.states import RunState
from receiver.ledger.queries.rows import Event, PlanExcerpt, RunWithTries, SyncExcerpt
from receiver.notification.own import OWN_CHANNEL
from receiver.web.page.words import span, tone

LEFT, RIGHT, TOP, LANE = 250, 1000, 24, 18
"""Where the time begins and ends, and heights of the axis and of a lane, in the picture's units."""

CUT = 54
"""Units of a time in which nothing was under way, if it is long."""

CUTS = 60
"""Pauses that are cut at most: the longest."""

READABLE = 40
"""Units that a cut has at least to be named."""

LANES = 40
"""Runs that are drawn at most."""

NARROW = 3.0
"""Units of an attempt at least: else many would not be seen."""

LABEL, TICK = 36, 130
"""Characters of a lane's name, and units between two times of the axis."""

REASON = 200
"""Characters of an attempt's reason."""

PATIENT = 5.0
"""How much longer than all that was under way together a pause may be before it is cut."""

LONG_PAUSE = 5.0
"""Seconds without anything under way that are never cut."""


@dataclass(frozen=True, slots=True)
class Bar:
    """From where to where, and what it is."""

    x: float
    width: float
    tone: str
    title: str


@dataclass(slots=True)
class Lane:
    """One line of the picture; ``group`` is that of a plan, or the sync itself."""

    label: str
    title: str
    y: int = 0
    group: bool = False
    bars: list[Bar] = field(default_factory=list)
    waits: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture. ``ticks`` are places and times, ``cuts`` what is left out of the axis."""

    height: int
    lanes: list[Lane]
    ticks: list[tuple[float, str]]
    cuts: list[Bar]
    left_out: int
    about: str


class Axis:
    """Where a moment is: linear, but for long times in which nothing was under way."""

    def __init__(self, busy: Iterable[tuple[float, float]]) -> None:
        spans = _merged(busy)
        total = sum(end - begin for begin, end in spans)
        pauses = sorted((begin - end for (_, end), (begin, _) in pairwise(spans)), reverse=True)
        shorter = pauses[CUTS] if len(pauses) > CUTS else 0.0
        self.spans = _merged(spans, gap=max(LONG_PAUSE, total * PATIENT, shorter))
        length = max(sum(end - begin for begin, end in self.spans), 0.001)
        cuts = len(self.spans) - 1
        self.cut = min(CUT, (RIGHT - LEFT) / 2 / cuts) if cuts else CUT
        self.scale = (RIGHT - LEFT - 8 - self.cut * cuts) / length

    def at(self, moment: float) -> float:
        """Return the place of a moment; one beyond the ends is at the end."""
        x = float(LEFT)
        for number, (begin, end) in enumerate(self.spans):
            if moment < begin:
                gap = begin - self.spans[number - 1][1] if number else 0
                part = (moment - self.spans[number - 1][1]) / gap if gap else 1
                return x - self.cut * (1 - part) if number else x
            if moment <= end:
                return x + (moment - begin) * self.scale
            x += (end - begin) * self.scale + self.cut
        return x - self.cut

    def ticks(self) -> list[tuple[float, str]]:
        """Return places of the axis that have their time written, from left to right."""
        found: list[tuple[float, str]] = []
        taken = [cut.x + self.cut / 2 for cut in self.cuts()]
        for begin, end in self.spans:
            count = max(int((end - begin) * self.scale / TICK), 1)
            step = (end - begin) / count
            for moment in (begin + step * number for number in range(count + 1)):
                x = self.at(moment)
                free = all(abs(x - other) >= TICK / 2 for other in taken)
                if x <= RIGHT - TICK / 2 and free:
                    taken.append(x)
                    found.append((round(x, 1), _clock(moment, step)))
        return found

    def cuts(self) -> list[Bar]:
        """Return what is left out."""
        return [
            Bar(round(self.at(end), 1), round(self.cut, 1), "",
                span(begin - end) if self.cut >= READABLE else "")
            for (_, end), (begin, _) in pairwise(self.spans)
        ]  # fmt: skip


def timeline(story: SyncExcerpt, now: datetime | None = None) -> Timeline:
    """Draw a sync."""
    until = (now or datetime.now(UTC)).timestamp()
    runs = [(plan, run) for plan in story["plans"] for run in plan["runs"]]
    shown = {run["id"] for _, run in runs[:LANES]}
    axis = Axis(_busy(story, [run for _, run in runs[:LANES]], until))
    again = _begun_again(story["again"])
    lanes = [_operation(story, axis)]
    for plan in story["plans"]:
        lanes.append(_plan_lane(plan, axis, until))
        lanes += [
            _run_lane(plan, run, axis, until, again.get(run["id"], ()))
            for run in plan["runs"] if run["id"] in shown
        ]  # fmt: skip
    for number, lane in enumerate(lanes):
        lane.y = TOP + number * LANE
    every = sum(sum(plan["counts"].values()) for plan in story["plans"])
    about = f"{len(story['plans'])} plans, {every} runs over time"
    return Timeline(
        TOP + LANE * len(lanes) + 6, lanes, axis.ticks(), axis.cuts(), every - len(shown), about
    )


def _busy(
    story: SyncExcerpt, runs: Sequence[RunWithTries], until: float
) -> Iterable[tuple[float, float]]:
    """Yield when something was under way, and moments that the axis must have."""
    received = _seconds(story["receivedAt"])
    yield _seconds(story["startedAt"], received), _seconds(story["finishedAt"], received)
    yield received, _seconds(story["plannedAt"], received)
    for plan in story["plans"]:
        for moment in (plan["createdAt"], plan["endedAt"]):
            if moment:
                yield _seconds(moment), _seconds(moment)
    for run in runs:
        for one in run["tries"]:
            yield _seconds(one["startedAt"]), _seconds(one["endedAt"], until)
        if not RunState(run["state"]).ended:
            yield until, until


def _operation(story: SyncExcerpt, axis: Axis) -> Lane:
    received = _seconds(story["receivedAt"])
    begin, end = _seconds(story["startedAt"], received), _seconds(story["finishedAt"], received)
    how = {"Succeeded": "good", "Failed": "bad", "Error": "bad"}.get(story["phase"], "")
    own = story["channel"] == OWN_CHANNEL
    what = "Postsync: held" if own else f"Argo CD: {story['phase'] or story['channel']}"
    lane = Lane(_short(what), story["application"], group=True)
    lane.bars.append(_bar(axis, begin, end, how, f"the operation, {span(end - begin)}"))
    planned = _seconds(story["plannedAt"], end)
    lane.waits += _wait(axis, end, planned, "until it was planned")
    return lane


def _plan_lane(plan: PlanExcerpt, axis: Axis, until: float) -> Lane:
    made = _seconds(plan["createdAt"])
    lane = Lane(_short(f"{plan['rule']}: {plan['state']}"), plan["rule"], group=True)
    begins = [_seconds(one["startedAt"]) for run in plan["runs"] for one in run["tries"]]
    end = _seconds(plan["endedAt"], until)
    why = plan["waitsFor"] or plan["reason"] or plan["state"]
    lane.waits += _wait(axis, made, min(begins, default=end), why)
    return lane


def _begun_again(events: Iterable[Event]) -> dict[str, list[float]]:
    """Return when runs that had ended were opened again: until then they waited for nothing."""
    found: dict[str, list[float]] = {}
    for event in events:
        found.setdefault(event["run"], []).append(_seconds(event["at"]))
    return found


def _run_lane(
    plan: PlanExcerpt, run: RunWithTries, axis: Axis, until: float, again: Sequence[float]
) -> Lane:
    target = run["target"].rpartition("/")[2]
    wave = f"wave {run['wave']}" if run["section"] == "actions" else "on failure"
    lane = Lane(_short(f"{wave}: {run['action']} {target}"), f"{run['action']}: {run['target']}")
    at, before = _seconds(plan["createdAt"]), 0
    for one in run["tries"]:
        begin, end = _seconds(one["startedAt"]), _seconds(one["endedAt"], until)
        at = max([at, *(moment for moment in again if moment <= begin)])
        lane.waits += _wait(axis, at, begin, _waited(one["number"] - before - 1))
        outcome = one["outcome"] or "under way"
        how = tone(one["outcome"]) if one["outcome"] else "wait"
        what = f"attempt {one['number']}, {outcome}, {span(end - begin)}"
        lane.bars.append(
            _bar(axis, begin, end, how, f"{what}: {one['reason'][:REASON]}".rstrip(": "))
        )
        at, before = end, one["number"]
    if not RunState(run["state"]).ended:
        lane.waits += _wait(axis, max([at, *again]), until, run["waitsFor"] or run["state"])
    return lane


def _waited(left_out: int) -> str:
    """Return what a wait between two attempts is, of which so many between them are not read."""
    return f"waited; {plural(left_out, 'further attempt')} not drawn" if left_out else "waited"


def _bar(axis: Axis, begin: float, end: float, how: str, title: str) -> Bar:
    x = axis.at(begin)
    return Bar(round(x, 1), round(max(axis.at(end) - x, NARROW), 1), how, title)


def _wait(axis: Axis, begin: float, end: float, why: str) -> list[Bar]:
    x, width = axis.at(begin), axis.at(end) - axis.at(begin)
    title = f"waits {span(end - begin)}: {why}"
    return [Bar(round(x, 1), round(width, 1), "wait", title)] if width >= 1 else []


def _merged(spans: Iterable[tuple[float, float]], gap: float = 0.0) -> list[tuple[float, float]]:
    """Join spans that touch, or are no further apart than ``gap`` seconds."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((min(one), max(one)) for one in spans):
        if found and begin - found[-1][1] <= gap:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def _seconds(moment: str | None, otherwise: float = 0.0) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else otherwise


def _clock(moment: float, step: float) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    return at.strftime("%H:%M:%S") + (f".{at.microsecond // 100_000}" if step < 1 else "")


def _short(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"
