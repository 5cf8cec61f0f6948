"""What Argo CD's page shows of an Application, asked for by Argo CD's proxy extension.

Argo CD has checked that its user may see the Application before it passes a request on; so what its
headers say counts only together with the token that Argo CD alone has. That token's name is the
sender's: another Argo CD may have an Application of the same name.
"""

from __future__ import annotations

import re

from flask import Blueprint, request
from werkzeug.datastructures import Headers

from receiver.core.errors import UnknownId
from receiver.inspection.application_view import ApplicationOf, ApplicationView
from receiver.ledger.queries.application_rows import ApplicationRuns, ApplicationSyncs
from receiver.notification.parse import NAME
from receiver.settings.tokens import Keyring
from receiver.web.auth import authenticate
from receiver.web.operation import READ_ERRORS, Operation, Who
from receiver.web.problem_details import Refusal
from receiver.web.query_params import NewestQuery, NoQuery, read_query

APPLICATION, PROJECT = "Argocd-Application-Name", "Argocd-Project-Name"
"""Headers that Argo CD's API server demands, checks against its RBAC rules, and passes on."""

SYNCS = Operation(
    "get", "/v1/application/syncs", "listApplicationSyncs",
    "List the newest syncs of the Application that the headers name.",
    Who.EXTENSION, {200: ApplicationSyncs}, NewestQuery, errors=READ_ERRORS,
)  # fmt: skip
RUNS = Operation(
    "get", "/v1/application/syncs/{sync}/runs", "listApplicationRuns",
    "List the runs of one of its newest 100 syncs.",
    Who.EXTENSION, {200: ApplicationRuns}, errors=(*READ_ERRORS, 404),
)  # fmt: skip
OPERATIONS = (SYNCS, RUNS)


def application_blueprint(view: ApplicationView, keys: Keyring) -> Blueprint:
    """Make the routes for Argo CD's proxy extension; a token of an extension is needed."""
    routes = Blueprint("application", __name__)

    @routes.get(SYNCS.url_rule)
    def list_syncs() -> ApplicationSyncs:
        whose = _whose(request.headers, keys)
        return view.syncs(whose, read_query(NewestQuery).limit)

    @routes.get(RUNS.url_rule)
    def list_runs(sync: str) -> ApplicationRuns:
        whose = _whose(request.headers, keys)
        read_query(NoQuery)
        found = view.runs(whose, sync)
        if found is None:
            raise UnknownId("sync", sync)
        return found

    return routes


def _whose(headers: Headers, keys: Keyring) -> ApplicationOf:
    """Return what the current request is about, as Argo CD says."""
    sender = authenticate(headers.get("Authorization", ""), keys, keys.extensions)
    namespace, _, name = headers.get(APPLICATION, "").partition(":")
    project = headers.get(PROJECT, "")
    if not (re.fullmatch(NAME, namespace) and re.fullmatch(NAME, name) and project):
        raise Refusal(
            "bad_header", f"{APPLICATION} and {PROJECT} do not name an Application",
            hint=f"Argo CD's proxy sets them: {APPLICATION}: NAMESPACE:NAME, and {PROJECT}: NAME",
        )  # fmt: skip
    return ApplicationOf(sender, f"{namespace}/{name}", project)
