"""The pages about one sync, plan, run or notification: what was decided, and what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import render_template

from receiver.app.composition import Intake
from receiver.core.model import ChangeVerdict, Resource
from receiver.inspection.explain import RuleFinding
from receiver.inspection.explained import RuleTold
from receiver.ledger.queries.rows import Event, PlanExcerpt
from receiver.web import read_api
from receiver.web.page.acts import acts_on
from receiver.web.page.timeline import timeline
from receiver.web.query_params import (
    AfterQuery,
    EventsQuery,
    ExplainedQuery,
    NoQuery,
    RowQuery,
    read_query,
)

GROUPS = 20
"""Different reasons of one rule that are listed; those that matched come first."""

NAMED = 12
"""Resources that are named with each of them."""

RUNS = 20
"""Runs of a plan in its sync's page; its own page has more."""

RUNS_OF_PLAN = 300

LINES = 40
"""Last lines of the trail in the page of a sync, a plan or a run."""

LARGEST = 64 << 10
"""Characters of a JSON text that are shown; the API has all of it."""

HIDDEN = frozenset({"seq", "at", "event", "delivery", "sync", "plan", "run", "attempt", "targets"})
"""Keys of a line of the trail that have a place of their own."""


def sync(intake: Intake, number: str) -> str:
    """Tell a sync's story, as `postsync show`."""
    query = read_query(ExplainedQuery, blanks=False)
    known = read_api.stored_sync(intake, number)
    story = read_api.existing(
        intake.reader.sync_excerpt(known, runs=RUNS, lines=LINES), "sync", known
    )
    explained = intake.explainer.explain(known, rule=query.rule, resource=query.resource)
    return render_template(
        "sync.html", sync=story, query=query, note=explained.note,
        plans=[_plan(one) for one in story["plans"]],
        rules=verdicts(explained.rows or [], story["plans"], whole=bool(query.rule)),
        changes=_changes(explained.resources), line=timeline(story),
        events=_lines(story["events"]), lines=LINES, acts=acts_on("sync", story),
    )  # fmt: skip


def trail(intake: Intake, number: str) -> str:
    """Show the trail of a sync, a page at a time."""
    number = read_api.stored_sync(intake, number)
    after = read_query(AfterQuery, blanks=False).after
    found = read_api.list_events(intake, EventsQuery(sync=number, after=after, limit=200))
    return render_template(
        "trail.html", number=number, events=_lines(found["events"]), after=after,
        following=found["next"] if found["more"] else None,
    )  # fmt: skip


def plan(intake: Intake, number: str) -> str:
    """Tell of a plan with its runs."""
    read_query(NoQuery)
    found = read_api.existing(
        intake.reader.plan_excerpt(number, runs=RUNS_OF_PLAN, lines=LINES), "plan", number
    )
    return render_template("plan.html", plan=_plan(found), events=_lines(found["events"]))


def run(intake: Intake, number: str) -> str:
    """Tell of a run: what it was given, each attempt, what came back, what it waits for."""
    read_query(NoQuery)
    found = read_api.existing(intake.reader.run_excerpt(number, lines=LINES), "run", number)
    return render_template(
        "run.html", run=found, parameters=_json(found["parameters"]),
        output=_json(found["output"]), events=_lines(found["events"]),
        acts=acts_on("run", found),
    )  # fmt: skip


def delivery(intake: Intake, number: str) -> str:
    """Show a notification as it was stored."""
    read_query(NoQuery)
    found = read_api.get_delivery(intake, number, RowQuery())
    text = found["text"] if found["notification"] is None else _json(found["notification"])
    return render_template("delivery.html", delivery=found, text=text)


def _plan(found: PlanExcerpt) -> dict[str, Any]:
    """Return a plan with those of its runs that are shown, and how many are not."""
    shown = found["runs"]
    return {
        **found, "shown": [{**one, "acts": acts_on("run", one)} for one in shown],
        "more": Counter(found["counts"]) - Counter(one["state"] for one in shown),
        "acts": acts_on("plan", found),
    }  # fmt: skip


def _changes(resources: Sequence[Resource]) -> list[dict[str, Any]]:
    """Return what the sync did to its resources: each verdict, and its reasons with whom."""
    found: list[dict[str, Any]] = []
    for verdict in ChangeVerdict:
        reasons: dict[str, list[str]] = {}
        for one in resources:
            if one.change.verdict is verdict:
                reasons.setdefault(one.change.reason, []).append(one.key)
        groups = [
            {"reason": reason, "names": names[:NAMED], "more": len(names) - NAMED}
            for reason, names in list(reasons.items())[:GROUPS]
        ]
        found.append({
            "verdict": verdict, "count": sum(map(len, reasons.values())), "groups": groups,
            "left": sum(map(len, list(reasons.values())[GROUPS:])),
        })  # fmt: skip
    return found if resources else []


def verdicts(
    findings: Sequence[RuleFinding] | Sequence[RuleTold],
    plans: Sequence[PlanExcerpt],
    *,
    whole: bool,
) -> list[dict[str, Any]]:
    """Return each rule's verdict with its plans; those that matched come first."""
    made: dict[str, list[PlanExcerpt]] = {}
    for one in plans:
        made.setdefault(one["rule"], []).append(one)
    rows = [_rule(one, made.pop(one["rule"], []), whole=whole) for one in findings]
    rows.sort(key=lambda row: ("matched", "error", "refused").index(row["verdict"]))
    later = [
        {"rule": rule, "verdict": "matched", "reason": "", "plans": plans, "groups": [],
         "matched": plans[-1]["matched"], "others": 0, "left": 0}
        for rule, plans in made.items() if not whole
    ]  # fmt: skip
    return rows + later


def _rule(
    finding: RuleFinding | RuleTold, plans: Sequence[PlanExcerpt], *, whole: bool
) -> dict[str, Any]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in finding["resources"]:
        groups.setdefault((one["verdict"], one["reason"]), []).append(one["resource"])
    listed = sorted(groups.items(), key=lambda item: item[0][0] != "matched")
    most = len(listed) if whole else GROUPS
    count = Counter(one["verdict"] for one in finding["resources"]) + Counter(finding["more"])
    return {
        **finding, "plans": plans, "matched": count["matched"],
        "others": sum(count.values()) - count["matched"],
        "groups": [
            {"verdict": verdict, "reason": reason, "names": names[: most if whole else NAMED],
             "more": len(names) - (len(names) if whole else NAMED)}
            for (verdict, reason), names in listed[:most]
        ],
        "left": max(len(listed) - most, 0) + sum(finding["more"].values()),
    }  # fmt: skip


def _lines(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return lines of the trail, each with its further keys as text, and what it is about."""
    found = []
    for event in events:
        said: Mapping[str, Any] = event
        words = [
            f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for key, value in said.items() if key not in HIDDEN and value not in ("", None)
        ]  # fmt: skip
        attempt = [f"attempt={event['attempt']}"] if "attempt" in event else []
        found.append({**event, "words": " ".join(attempt + words)})
    return found


def _json(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    more = len(text) - LARGEST
    return text if more <= 0 else f"{text[:LARGEST]}\n... and {more:,} characters more"
