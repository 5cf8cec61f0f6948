"""`/healthz`: is everything alive; `/readyz`: can a notification be stored."""

from __future__ import annotations

import time
from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from receiver.ledger.reader import Readiness
from receiver.service import Intake

SILENCE = 30.0
"""Seconds without a heartbeat after which the dispatcher counts as dead; it beats every 5."""


def health_door(intake: Intake) -> Blueprint:
    """Make the probes; they need no token and tell no secret."""
    door = Blueprint("health", __name__)
    started = time.monotonic()

    @door.get("/healthz")
    def healthy() -> Response:
        reasons = _ailments(intake.reader.readiness(), time.monotonic() - started)
        return _answer({"healthy": not reasons, "reasons": reasons}, ok=not reasons)

    @door.get("/readyz")
    def ready() -> Response:
        state = intake.reader.readiness()
        body = {
            "ready": state.writable,
            "reasons": [state.reason] if state.reason else [],
            "rules": state.rules,
            "dispatcher": state.dispatcher,
            "pauses": state.pauses,
        }
        return _answer(body, ok=state.writable)

    return door


def _ailments(state: Readiness, age: float) -> list[str]:
    """Say what a restart might cure; a ledger that takes no write is no such thing."""
    if not state.writable or age < SILENCE:
        return []
    silence = state.dispatcher.get("heartbeatAgeSeconds")
    if silence is None:
        return ["the dispatcher has never given a sign of life"]
    if silence > SILENCE:
        return [f"the dispatcher has been silent for {silence:.0f} s"]
    return []


def _answer(body: dict[str, object], *, ok: bool) -> Response:
    response = jsonify(body)
    response.status_code = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return response
