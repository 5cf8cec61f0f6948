"""The pages about the instance: how everything is, and the rules in force."""

from __future__ import annotations

from flask import render_template

from receiver.app.composition import Intake
from receiver.core.model import DeliveryVerdict
from receiver.core.states import RunState
from receiver.ledger.queue.pauses import Scope
from receiver.web import read_api
from receiver.web.page import backtest, what_if
from receiver.web.page.chart import chart


def status(intake: Intake) -> str:
    """Show whether all is well, and what needs a person: as `postsync status`."""
    came, ran = intake.reader.history()
    charts = [
        chart("Notifications", "notification", came, [one.value for one in DeliveryVerdict]),
        chart("Runs", "run", ran, [one.value for one in RunState]),
    ]
    return render_template("status.html", status=read_api.get_status(intake), charts=charts)


def rules(intake: Intake) -> str:
    """Show the rules in force, those that fail first: as `postsync rules`."""
    found = read_api.list_rules(intake)
    handlers = sorted({handler for rule in found["rules"] for handler in rule["handlers"]})
    held = [one["name"] for rule in found["rules"] for one in rule["pauses"]
            if one["scope"] == Scope.HANDLER]  # fmt: skip
    forms = {"asked": what_if.Form("last"), "tested": backtest.Form(), "times": backtest.TIMES}
    return render_template("rules.html", rules=found, handlers=handlers, held=held, **forms)
