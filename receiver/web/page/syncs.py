"""The list of syncs: what came, what changed, and how its plans are doing, at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for

from receiver.app.composition import Intake
from receiver.core.states import PlanState, SyncState
from receiver.ledger.queries.rows import PlanOfSync, SyncWithPlans
from receiver.web import read_api
from receiver.web.page.words import IDS, KINDS, tone
from receiver.web.query_params import SyncsFilter, SyncsQuery, read_query

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
    query = read_query(SyncsFilter, blanks=False)
    found = read_api.list_syncs(intake, SyncsQuery(**query.model_dump()))
    given = {name: value for name, value in query.model_dump(mode="json").items() if value}
    filtered = sorted(given.keys() - {"limit", "cursor"})
    newest = {name: given[name] for name in filtered}
    older = found["next"] and url_for("page.syncs", **newest, cursor=found["next"])
    held = _held(intake, found["syncs"])
    needs = [] if intake.binding.bound else read_api.get_status(intake)["needs"]
    return render_template(
        "syncs.html", rows=[_row(one, held) for one in found["syncs"]],
        warning=found["warning"], query=query,
        filtered=filtered, older=older, newest=newest, phases=PHASES, times=TIMES,
        states=list(SyncState), outcomes=list(PlanState),
        needs=needs,
    )  # fmt: skip


def _place(text: str) -> str:
    return url_for(KINDS[text[0]], number=text) if IDS.fullmatch(text) else ""


def _held(intake: Intake, syncs: Iterable[SyncWithPlans]) -> set[str]:
    """Return the plans that are under way, and of which a run waits for a person."""
    active = {
        plan["id"] for sync in syncs for plan in sync["plans"] if plan["state"] == PlanState.ACTIVE
    }
    return intake.reader.with_held_runs(sorted(active))


def _row(sync: SyncWithPlans, held: set[str]) -> dict[str, Any]:
    """Return a sync as its row shows it; a plan with a held run is shown as held."""
    shown: list[PlanOfSync] = [
        {**plan, "state": PlanState.HELD} if plan["id"] in held else plan for plan in sync["plans"]
    ]
    plans = sorted(shown, key=lambda plan: FIRST.index(tone(plan["state"])))
    more = Counter(plan["state"] for plan in plans[CHIPS:])
    return {**sync, "shown": plans[:CHIPS], "more": more, "note": _note(sync, plans)}


def _note(sync: SyncWithPlans, plans: list[PlanOfSync]) -> str:
    """Say what the chips do not: why there are none, or what the worst plan says."""
    if sync["state"] != SyncState.PLANNED:
        return sync["reason"]
    if not plans:
        return sync["reason"] or "no rule matched"
    worst = plans[0]
    told = worst["reason"] if tone(worst["state"]) == "bad" else worst["waitsFor"]
    return "; ".join(filter(None, (told, sync["reason"])))
