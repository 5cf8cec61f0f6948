"""The list of syncs: what came, what changed, and how its plans are doing, at a glance."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for

from receiver.app.composition import Intake
from receiver.core.states import UNPLANNED_SYNCS, PlanState, SyncState
from receiver.ledger.queries.rows import Plan, SyncWithPlans
from receiver.web import read_api
from receiver.web.page.words import IDS, KINDS, tone
from receiver.web.query_params import SyncsQuery, read_query

CHIPS = 4
"""Plans of a sync that are named in its row; the others are counted."""

FIRST = ("bad", "ask", "retry", "wait", "good", "")
"""Whose chips come first: what needs somebody."""

PHASES = ("Succeeded", "Failed", "Error")
"""How Argo CD's operations end (its API, `OperationPhase`)."""

TIMES = (("1h", "last hour"), ("24h", "last day"), ("7d", "last week"))


def syncs(intake: Intake) -> Any:
    """List syncs, the newest first; an id as the text leads to what it names."""
    if place := _place(request.args.get("text", "").strip()):
        return redirect(place, HTTPStatus.SEE_OTHER)
    query = read_query(SyncsQuery, blanks=False)
    found = read_api.list_syncs(intake, query)
    given = {name: value for name, value in query.model_dump(mode="json").items() if value}
    filtered = sorted(given.keys() - {"limit", "cursor"})
    newest = {name: given[name] for name in filtered}
    older = found["next"] and url_for("page.syncs", **newest, cursor=found["next"])
    needs = read_api.get_status(intake)["needs"]
    return render_template(
        "syncs.html", rows=[*map(_row, found["syncs"])], warning=found["warning"], query=query,
        filtered=filtered, older=older, newest=newest, phases=PHASES, times=TIMES,
        states=list(SyncState), outcomes=list(PlanState), needs=needs,
    )  # fmt: skip


def _place(text: str) -> str:
    return url_for(KINDS[text[0]], number=text) if IDS.fullmatch(text) else ""


def _row(sync: SyncWithPlans) -> dict[str, Any]:
    """Return a sync as its row shows it."""
    plans = sorted(sync["plans"], key=lambda plan: FIRST.index(tone(plan["state"])))
    more = Counter(plan["state"] for plan in plans[CHIPS:])
    return {**sync, "shown": plans[:CHIPS], "more": more, "note": _note(sync, plans)}


def _note(sync: SyncWithPlans, plans: list[Plan]) -> str:
    """Say what the chips do not: why there are none, or what the worst plan says."""
    if sync["state"] in UNPLANNED_SYNCS or sync["state"] != SyncState.PLANNED:
        return sync["reason"]
    if not plans:
        return sync["reason"] or "no rule matched"
    worst = plans[0]
    told = worst["reason"] if tone(worst["state"]) == "bad" else worst["waitsFor"]
    return "; ".join(filter(None, (told, sync["reason"])))
