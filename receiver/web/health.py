"""`/healthz`: is everything alive; `/readyz`: can a notification be stored."""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from receiver.core.threads import thread_problems
from receiver.ledger.queries.reader import SILENCE, Reader, Readiness
from receiver.web.asking import Shared

PROMPT = 0.5
"""Seconds that `/healthz` waits for the ledger. One that takes longer takes no write now, which no
restart would cure; so whoever asks is not kept waiting."""

PATIENT = 4.5
"""Seconds that `/readyz` waits: longer than a notification waits for its commit before it is
answered 503, and shorter than the probe of the manifests waits (k8s/base/deployment.yaml)."""


def health_door(reader: Reader, *, dispatches: bool, owner: str = "") -> Blueprint:
    """Make the probes; they need no token and tell no secret.

    Args:
        reader: of the ledger.
        dispatches: whether a dispatcher belongs to this instance: then its silence is an illness,
            and what it says of its threads.
        owner: the dispatcher's name, where there may be others.
    """
    door = Blueprint("health", __name__)
    started = time.monotonic()
    readiness = Shared("readiness", lambda: reader.readiness(owner))

    @door.get("/healthz")
    def healthy() -> Response:
        young = time.monotonic() - started < SILENCE
        reasons = thread_problems()
        if dispatches:
            with suppress(TimeoutError):
                reasons += _ailments(readiness.ask(PROMPT), young=young)
        return _answer({"healthy": not reasons, "reasons": reasons}, ok=not reasons)

    @door.get("/readyz")
    def ready() -> Response:
        try:
            state = readiness.ask(PATIENT)
        except TimeoutError:
            reason = f"the ledger has not taken a write for {PATIENT:g} s"
            return _answer({"ready": False, "reasons": [reason]}, ok=False)
        body = {
            "ready": state.writable,
            "reasons": [state.reason] if state.reason else [],
            "rules": state.rules,
            "dispatcher": state.dispatcher,
            "pauses": state.pauses,
        }
        return _answer(body, ok=state.writable)

    return door


def _ailments(state: Readiness, *, young: bool) -> list[str]:
    """Say what a restart might cure; a ledger that takes no write is no such thing.

    A damaged one is: the start looks at the file, and refuses it with the way out.
    """
    if state.damaged:
        return [state.reason]
    if not state.writable:
        return []
    ails = [f"the dispatcher: {one}" for one in state.dispatcher["thread_problems"]]
    return ails if young else ails + _silence(state.dispatcher["heartbeatAgeSeconds"])


def _silence(seconds: float | None) -> list[str]:
    if seconds is None:
        return ["the dispatcher has never given a sign of life"]
    return [f"the dispatcher has been silent for {seconds:.0f} s"] if seconds > SILENCE else []


def _answer(body: dict[str, object], *, ok: bool) -> Response:
    response = jsonify(body)
    response.status_code = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return response
