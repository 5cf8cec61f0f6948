"""Builds the Flask app out of its blueprints."""

from __future__ import annotations

from functools import partial

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from receiver.app.composition import Intake
from receiver.ledger.queries.reader import Reader
from receiver.web import operator_api, read_api
from receiver.web.application_api import application_blueprint
from receiver.web.auth import authenticate, has_known_token
from receiver.web.connection_manager import ON_CUT
from receiver.web.health import health_blueprint
from receiver.web.intake import add_intake
from receiver.web.messages_api import messages_blueprint
from receiver.web.metrics import Metrics, Pid, metrics_blueprint
from receiver.web.openapi_document import openapi_blueprint
from receiver.web.page.blueprint import LOGIN, page_blueprint
from receiver.web.page.proxied import is_proxied
from receiver.web.page.sessions import read_session
from receiver.web.prefix import serve_below, without
from receiver.web.problem_details import handle_errors
from receiver.web.rejected_request_log import log_rejected_requests
from receiver.web.thread_pools import ADMISSION, Admission, Head
from receiver.web.tls import Tls


def create_app(intake: Intake, tls: Tls | None = None, dispatcher: Pid | None = None) -> Flask:
    """Return the app for these parts; it starts and stops nothing."""
    app = Flask("postsync", static_folder=None)
    app.json = provider = DefaultJSONProvider(app)
    provider.sort_keys = False  # keys stand in the order that reads best
    metrics = Metrics(intake.reader, "intake", tls, dispatcher)
    keys, settings = intake.keys, intake.settings
    add_intake(app, intake, metrics)
    app.register_blueprint(read_api.ROUTES.blueprint("read", intake))
    app.register_blueprint(operator_api.ROUTES.blueprint("operate", intake))
    app.register_blueprint(messages_blueprint(intake.messages, partial(_messenger, intake)))
    app.register_blueprint(page_blueprint(intake))
    app.register_blueprint(application_blueprint(intake.applications, keys))
    app.register_blueprint(openapi_blueprint())
    dispatches = settings.database is None
    discreet = settings.tenants is not None and bool(settings.tenants.tokens)
    app.register_blueprint(
        health_blueprint(intake.reader, dispatches=dispatches, discreet=discreet)
    )
    app.register_blueprint(metrics_blueprint(metrics))
    app.extensions[ON_CUT] = metrics.slow
    app.extensions[ADMISSION] = Admission(partial(_is_known, intake), LOGIN, settings.url_prefix)
    log_rejected_requests(app, intake.log, settings.trusted_proxies)
    handle_errors(app, intake.log)
    if settings.url_prefix:
        serve_below(app, settings.url_prefix)
    return app


def _is_known(intake: Intake, head: Head, reload: bool) -> bool:
    """Whether a request comes of somebody whose token, session or proxy is known."""
    settings, keys = intake.settings, intake.keys
    prefix = settings.url_prefix
    return (
        settings.allow_anonymous
        or has_known_token(head.authorization, keys, reload=reload)
        or read_session(head.cookie, keys, prefix=prefix, reload=reload) is not None
        or is_proxied(settings, without(prefix, head.path), head.remote, head.header)
    )


def _messenger(intake: Intake, header: str) -> str:
    """Name the token of whoever may send messages of any Application's hooks."""
    keys = intake.keys
    name = authenticate(header, keys, keys.messengers, keys.operators)
    if intake.of_token(name).binding.bound:
        authenticate(header, keys, keys.messengers)
    return name


def create_worker_app(reader: Reader, owner: str, dispatcher: Pid) -> Flask:
    """Return the app of a process that only works: its probes and metrics."""
    app = Flask("postsync", static_folder=None)
    app.register_blueprint(health_blueprint(reader, dispatches=True, owner=owner))
    metrics = Metrics(reader, "probes", dispatcher=dispatcher)
    app.register_blueprint(metrics_blueprint(metrics))
    app.extensions[ADMISSION] = Admission(lambda _head, _look: False)  # nothing is sent to it
    return app
