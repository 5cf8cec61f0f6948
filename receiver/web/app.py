"""Builds the Flask app out of its doors."""

from __future__ import annotations

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from receiver.service import Intake
from receiver.web.api import api_door
from receiver.web.auth import authenticate
from receiver.web.health import health_door
from receiver.web.intake import intake_door
from receiver.web.messages import messages_door
from receiver.web.metrics import Metrics, metrics_door
from receiver.web.operations import operations_door
from receiver.web.problems import handle_errors
from receiver.web.server import ON_CUT


def create_app(intake: Intake) -> Flask:
    """Return the app for these parts; it starts and stops nothing."""
    app = Flask("postsync", static_folder=None)
    app.json = provider = DefaultJSONProvider(app)
    provider.sort_keys = False  # an event's keys are told in the order that reads best
    metrics = Metrics(intake.reader)
    app.register_blueprint(intake_door(intake, metrics))
    app.register_blueprint(api_door(intake))
    app.register_blueprint(operations_door(intake))
    app.register_blueprint(
        messages_door(
            intake.messages,
            lambda header: authenticate(header, intake.keys.messengers, intake.keys.operators),
        )
    )
    app.register_blueprint(health_door(intake))
    app.register_blueprint(metrics_door(metrics))
    app.extensions[ON_CUT] = metrics.slow
    handle_errors(app, intake.log)
    return app
