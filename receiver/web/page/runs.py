"""The list of runs: what failed, what is held, what waits, of all syncs."""

from __future__ import annotations

from flask import render_template, url_for

from receiver.app.composition import Intake
from receiver.core.states import RunState
from receiver.web import read_api
from receiver.web.page.acts import acts_on
from receiver.web.page.syncs import TIMES
from receiver.web.query_params import RunsFilter, RunsQuery, read_query


def runs(intake: Intake) -> str:
    """List runs, the newest first."""
    query = read_query(RunsFilter, blanks=False)
    found = read_api.list_runs(intake, RunsQuery(**query.model_dump()))
    given = {name: value for name, value in query.model_dump(mode="json").items() if value}
    newest = {name: given[name] for name in given.keys() - {"limit", "cursor"}}
    older = found["next"] and url_for("page.runs", **newest, cursor=found["next"])
    return render_template(
        "runs.html", rows=[{**one, "acts": acts_on("run", one)} for one in found["runs"]],
        warning=found["warning"], query=query, newest=newest, older=older, times=TIMES,
        states=list(RunState),
    )  # fmt: skip
