"""Takes notifications: checks token, size and shape, and stores them in the ledger."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, request

from receiver.app.composition import Intake
from receiver.core.errors import LedgerUnavailable, PayloadError
from receiver.ledger.inbox.deliveries import Arrival, Receipt
from receiver.notification.own import OWN_CHANNEL
from receiver.notification.parse import read_notification
from receiver.notification.resource_list import too_many
from receiver.web import responses
from receiver.web.auth import ANONYMOUS, authenticate
from receiver.web.body import read_body
from receiver.web.metrics import Metrics
from receiver.web.operation import SEND_ERRORS, Operation, Who
from receiver.web.problem_details import (
    INTAKE,
    Refusal,
    internal_error,
    problem,
    refused,
    unavailable,
)
from receiver.web.query_params import ChannelQuery, NotificationQuery

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

    from receiver.tracing.notifications import NotificationSpan

CHANNEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
DEFAULT_CHANNEL = "sync"
PLAIN = re.compile(rf"{INTAKE}(?:/({CHANNEL.pattern}))?")
"""The address of a channel, as Argo CD's users write it."""

ROUTE = f"{INTAKE}/{{channel}}"
"""What the address is called in spans, of whatever channel."""

LARGE = 1 << 20
"""Bytes of a notification that is read while no other large one is: 8 MiB may be 120 MB once they
are read (measured), and Python reads one at a time anyway."""

BYTES_PER_VALUE = 8
"""Of `maxBody`, for each value that a notification may have. Those of Argo CD have 20 or more; 8
MiB of the smallest that JSON knows would be 400 MB once they are read."""


class NotificationEndpoint:
    """Answers one notification after another, in many threads at one time."""

    def __init__(self, intake: Intake, metrics: Metrics) -> None:
        self._intake = intake
        self._limit = intake.settings.max_body
        self._turn = threading.Lock()
        self._most = intake.settings.max_resources
        self._values = self._limit // BYTES_PER_VALUE
        self._open = intake.settings.allow_anonymous
        self._metrics = metrics

    def receive(self, channel: str) -> Response:
        """Answer the current request: 202 when it is on disk, else a problem."""
        begun = time.perf_counter()
        environ = request.environ
        try:
            sender = self._sender(environ.get("HTTP_AUTHORIZATION", ""))
            if not CHANNEL.fullmatch(channel):
                raise _no_channel(channel)
        except Refusal as refusal:
            return self._refuse(refusal)
        return self._take(environ, sender, channel, request.args.to_dict(), begun)

    def receive_plain(self, environ: dict[str, Any]) -> Response | None:
        """Answer a request that Flask has not seen.

        Returns:
            The same as `receive`; None if the request is none to the address of a channel, without
            a query and with a sender's token.
        """
        begun = time.perf_counter()
        address = PLAIN.fullmatch(environ["PATH_INFO"])
        if address is None or environ["REQUEST_METHOD"] != "POST" or environ["QUERY_STRING"]:
            return None
        try:
            sender = self._sender(environ.get("HTTP_AUTHORIZATION", ""))
        except Refusal:
            return None
        return self._take(environ, sender, address[1] or DEFAULT_CHANNEL, {}, begun)

    def _take(
        self, environ: dict[str, Any], sender: str, channel: str, query: dict[str, str],
        begun: float,
    ) -> Response:  # fmt: skip
        tracing = self._intake.tracing
        if tracing is None or (span := tracing.notification(environ, ROUTE)) is None:
            return self._store(environ, sender, channel, query, begun)
        response = self._store(environ, sender, channel, query, begun, span)
        span.answered(response.status_code)
        return response

    def _store(
        self, environ: dict[str, Any], sender: str, channel: str, query: dict[str, str],
        begun: float, span: NotificationSpan | None = None,
    ) -> Response:  # fmt: skip
        now = datetime.now(UTC)
        body = b""
        try:
            if channel == OWN_CHANNEL:
                raise _own_channel()
            with self._turn if _may_be_large(environ) else nullcontext():
                body = read_body(environ, self._limit)
                notification = read_notification(
                    body, sender=sender, channel=channel, query=query, resources=False, now=now,
                    most=self._most, values=self._values,
                )  # fmt: skip
        except Refusal as refusal:
            return self._refuse(refusal)
        except PayloadError as error:
            reason = f"{error.reason}: {error.message}"
            arrival = Arrival(sender, channel, body, now, None, refusal=reason, query=query)
            # Without what it holds on to: all that was read, until the commit.
            return self._refuse_payload(error.with_traceback(None), arrival)
        failure = too_many(notification.listed, self._most)
        arrival = Arrival(
            sender, channel, body, now, notification, failure=failure, query=query,
            trace=span.stored if span else "",
        )  # fmt: skip
        try:
            receipt = self._intake.writer.submit(arrival)
        except LedgerUnavailable as error:
            self._metrics.refused("ledger_unavailable")
            return unavailable(error, self._intake.log)
        if span:
            span.received(receipt, notification.sync)
        self._metrics.stored(sender, channel, receipt, time.perf_counter() - begun)
        return _accepted(receipt)

    def _sender(self, header: str) -> str:
        try:
            return authenticate(header, self._intake.keys, self._intake.keys.senders)
        except Refusal:
            if self._open:
                return ANONYMOUS
            raise

    def _refuse(self, refusal: Refusal) -> Response:
        self._metrics.refused(refusal.reason)
        return refused(refusal)

    def _refuse_payload(self, error: PayloadError, arrival: Arrival) -> Response:
        """Answer 400; the delivery is kept for an operator to look at, if it can be."""
        self._metrics.refused(error.reason)
        members = dict(error.details)
        # Whether or not it could be kept, the sender's mistake is the answer.
        with suppress(LedgerUnavailable):
            members["delivery"] = self._intake.writer.submit(arrival).delivery
        return problem(
            HTTPStatus.BAD_REQUEST, error.reason, error.message, hint=error.hint, **members
        )


def _may_be_large(environ: dict[str, Any]) -> bool:
    length = environ.get("CONTENT_LENGTH") or ""
    plain = length.isdecimal() and not environ.get("HTTP_CONTENT_ENCODING")
    return not plain or int(length) > LARGE


def _no_channel(name: str) -> Refusal:
    return Refusal(
        "bad_channel", f"{name[:100]!r} is no name of a channel",
        hint=f"a channel matches {CHANNEL.pattern}; without one it is {DEFAULT_CHANNEL!r}",
        status=HTTPStatus.NOT_FOUND,
    )  # fmt: skip


def _own_channel() -> Refusal:
    return Refusal(
        "reserved_channel", f"the channel {OWN_CHANNEL!r} is for what Postsync itself tells",
        hint="send to another channel, and name that in match.channel of the rules",
        status=HTTPStatus.FORBIDDEN,
    )  # fmt: skip


def _accepted(receipt: Receipt) -> Response:
    answer = {
        "delivery": receipt.delivery, "sync": receipt.sync,
        "verdict": receipt.verdict.value, "reason": receipt.reason,
    }  # fmt: skip
    return Response(json.dumps(answer) + "\n", HTTPStatus.ACCEPTED, content_type="application/json")


EXAMPLE = {
    "application": {"name": "shop", "namespace": "argocd", "project": "web"},
    "operationState": {
        "phase": "Succeeded",
        "startedAt": "2026-06-10T08:20:03Z",
        "finishedAt": "2026-06-10T08:21:17Z",
        "syncResult": {
            "revision": "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12",
            "resources": [{
                "version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "assets",
                "status": "Synced", "message": "configmap/assets configured",
            }],
        },
    },
}  # fmt: skip

OPERATIONS = (
    Operation(
        "post", INTAKE, "notify", "Take a notification of Argo CD, on `sync`.",
        Who.SENDER, {202: responses.Receipt}, NotificationQuery, "application/json", SEND_ERRORS,
        EXAMPLE,
    ),
    Operation(
        "post", f"{INTAKE}/{{channel}}", "notifyChannel",
        "Take a notification of Argo CD on a channel.",
        Who.SENDER, {202: responses.Receipt}, ChannelQuery, "application/json", SEND_ERRORS,
        EXAMPLE,
    ),
)  # fmt: skip


def add_intake(app: Flask, intake: Intake, metrics: Metrics) -> None:
    """Add the routes for notifications; a token of a sender is needed.

    What is plainly a notification, as nearly every request is, is answered before Flask: its
    request context and its routing take about as long as all of the parsing. All else is Flask's.
    """
    endpoint = NotificationEndpoint(intake, metrics)
    blueprint = Blueprint("intake", __name__)
    for operation, defaults in zip(OPERATIONS, ({"channel": DEFAULT_CHANNEL}, {}), strict=True):
        blueprint.add_url_rule(
            operation.url_rule, operation.name, endpoint.receive, defaults=defaults,
            methods=["POST"], provide_automatic_options=False,
        )  # fmt: skip
    app.register_blueprint(blueprint)
    in_flask = app.wsgi_app

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = endpoint.receive_plain(environ)
        except Exception as error:  # noqa: BLE001 as Flask would, none reaches the server
            response = internal_error(
                intake.log, environ["REQUEST_METHOD"], environ["PATH_INFO"], error
            )
        return (response or in_flask)(environ, start_response)

    app.wsgi_app = answer  # type: ignore[method-assign]  # as Flask's documentation has it
