"""Problem bodies (RFC 9457): the one shape of every answer that is no success.

Argo CD logs the whole body of such an answer, so it says what is wrong and the way out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from receiver.core.errors import (
    BeyondBinding,
    LedgerDamaged,
    LedgerGone,
    LedgerUnavailable,
    PostsyncError,
    StateConflict,
    UnknownId,
)
from receiver.core.logs import Log

INTAKE = "/v1/notifications"

RETRY_AFTER = "2"
"""Seconds. The sender obeys it without a cap and stands still meanwhile: keep it small."""

UNASKED = {"HEAD", "OPTIONS"}
"""Methods that Flask adds by itself, of which nobody who mistook another one thinks."""

NO_POST = (
    "the template of this trigger lacks `method: POST` in its webhook entry, so Argo CD falls "
    "back to GET; `postsync argocd-config` prints a complete template"
)


FAULT = "this is a fault of the receiver; its log has the details"


class Refusal(PostsyncError):
    """A request that is not served; ``reason`` is a stable word for metrics and programs."""

    def __init__(
        self, reason: str, message: str, *, hint: str = "",
        status: HTTPStatus = HTTPStatus.BAD_REQUEST, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.headers = headers


def problem(
    status: int, reason: str, detail: str, *, hint: str = "",
    headers: Mapping[str, str] | None = None, **members: Any,
) -> Response:  # fmt: skip
    """Make a problem response; ``members`` are added to its body as they are."""
    text = problem_text(status, reason, detail, hint=hint, **members)
    return Response(text, status, headers, content_type="application/problem+json")


def problem_text(status: int, reason: str, detail: str, *, hint: str = "", **members: Any) -> str:
    """Make the body of a problem response."""
    body = {
        "type": f"urn:postsync:problem:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "reason": reason,
    }
    if hint:
        body["hint"] = hint
    return json.dumps({**members, **body}, default=str, ensure_ascii=False) + "\n"


def refused(refusal: Refusal) -> Response:
    """Make the response for a request that is not served."""
    return problem(
        refusal.status, refusal.reason, refusal.message, hint=refusal.hint, headers=refusal.headers
    )


def unavailable(error: LedgerUnavailable, log: Log) -> Response:
    """Make the response for a ledger that does not take or give anything now."""
    if isinstance(error, LedgerDamaged | LedgerGone):
        event = "ledger.gone" if isinstance(error, LedgerGone) else "ledger.damaged"
        log.error(event, reason=error.message, hint=error.hint)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "ledger_unavailable", error.message,
        hint=error.hint or "try again", headers={"Retry-After": RETRY_AFTER},
    )  # fmt: skip


def handle_errors(app: Flask, log: Log) -> None:
    """Give every error of the app a problem body; none shows a traceback."""
    app.register_error_handler(Exception, lambda error: problem_of(error, log))


def problem_of(error: Exception, log: Log) -> Response:
    """Make the response for an error of the current request; a fault is logged."""
    match error:
        case Refusal():
            return refused(error)
        case BeyondBinding() | UnknownId() | StateConflict():
            return _not_done(error)
        case LedgerUnavailable():
            return unavailable(error, log)
        case HTTPException():
            return _of_http(error)
    return internal_error(log, request.method, request.path, error)


def internal_error(log: Log, method: str, path: str, error: Exception) -> Response:
    """Log an error that nothing provides for, and make the response for it."""
    log.error("request.failed", method=method, path=path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", FAULT)


def _not_done(error: BeyondBinding | UnknownId | StateConflict) -> Response:
    message, hint = error.message, error.hint
    if isinstance(error, BeyondBinding):
        return problem(HTTPStatus.FORBIDDEN, "bound_token", message, hint=hint)
    if isinstance(error, UnknownId):
        return problem(HTTPStatus.NOT_FOUND, f"no_such_{error.kind}", message, hint=hint)
    return problem(HTTPStatus.CONFLICT, "wrong_state", message, hint=hint, state=error.state)


def _of_http(error: HTTPException) -> Response:
    if isinstance(error, MethodNotAllowed):
        return _wrong_method(error)
    if error.code == HTTPStatus.NOT_FOUND:
        return problem(
            HTTPStatus.NOT_FOUND, "not_found", f"there is nothing at {request.path}",
            hint=f"notifications go to {INTAKE} or {INTAKE}/CHANNEL; GET /v1/openapi.json lists "
            "the rest",
        )  # fmt: skip
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, "bad_request", error.description or error.name)


def _wrong_method(error: MethodNotAllowed) -> Response:
    to_intake = request.path.startswith(INTAKE)
    methods = ["POST"] if to_intake else sorted(set(error.valid_methods or ()) - UNASKED)
    detail = f"{request.method} is not allowed here, {' or '.join(methods)} is"
    return problem(
        HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail,
        hint=NO_POST if to_intake else "", headers={"Allow": ", ".join(methods)},
    )  # fmt: skip
