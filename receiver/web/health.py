"""`/healthz`: is everything alive; `/readyz`: can a notification be stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from threading import Lock
from typing import Generic, TypeVar

from flask import Blueprint

from receiver.core.threads import start_daemon, thread_problems
from receiver.ledger.queries.reader import DEAD_AFTER, Reader, Readiness
from receiver.web.operation import Operation, Who
from receiver.web.responses import Health, Ready

PROMPT = 0.5
"""Seconds that `/healthz` waits for the ledger. One that takes longer takes no write now, which no
restart would cure; so the probe is answered without it."""

PATIENT = 4.5
"""Seconds that `/readyz` waits: longer than a notification waits for its commit before it is
answered 503, and shorter than the probe of the manifests waits (k8s/base/deployment.yaml)."""

HEALTHZ = Operation(
    "get", "/healthz", "healthz", "Whether everything is alive.", Who.NOBODY,
    {200: Health, 503: Health},
)  # fmt: skip
READYZ = Operation(
    "get", "/readyz", "readyz", "Whether a notification can be stored.", Who.NOBODY,
    {200: Ready, 503: Ready},
)  # fmt: skip

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs a function in a thread of its own, of which there is never more than one.

    A ledger whose commits hang would otherwise take a thread and a connection for each probe.
    """

    def __init__(self, name: str, function: Callable[[], Result]) -> None:
        self._name = name
        self._function = function
        self._lock = Lock()
        self._under_way: Future[Result] | None = None

    def result(self, timeout: float) -> Result:
        """Return the result of the call that is under way, or of one that begins now.

        Raises:
            TimeoutError: there is none after ``timeout`` seconds.
        """
        with self._lock:
            future = self._under_way
            if future is None or future.done():
                future = self._under_way = Future()
                start_daemon(self._name, lambda: self._run(future))
        return future.result(timeout)

    def _run(self, future: Future[Result]) -> None:
        try:
            future.set_result(self._function())
        except BaseException as error:  # noqa: BLE001 it is raised where the result is waited for
            future.set_exception(error)


def health_blueprint(
    reader: Reader, *, dispatches: bool, owner: str = "", discreet: bool = False
) -> Blueprint:
    """Make the probes; they need no token and have no secret.

    Args:
        reader: of the ledger.
        dispatches: whether a dispatcher belongs to this instance: then its silence is an illness,
            and so are its threads' problems.
        owner: the dispatcher's name, where there may be others.
        discreet: whether what rule files and operators say is left out: there are tokens that do
            not see it, and the probes need none.
    """
    routes = Blueprint("health", __name__)
    started = time.monotonic()
    readiness = SingleFlight("readiness", lambda: reader.readiness(owner))

    @routes.get(HEALTHZ.url_rule)
    def healthy() -> tuple[Health, HTTPStatus]:
        young = time.monotonic() - started < DEAD_AFTER
        reasons = thread_problems()
        if dispatches:
            with suppress(TimeoutError):
                reasons += _problems(readiness.result(PROMPT), young=young)
        return {"healthy": not reasons, "reasons": reasons}, _status(ok=not reasons)

    @routes.get(READYZ.url_rule)
    def ready() -> tuple[Ready, HTTPStatus]:
        try:
            state = readiness.result(PATIENT)
        except TimeoutError:
            reason = f"the ledger has not taken a write for {PATIENT:g} s"
            return {"ready": False, "reasons": [reason]}, _status(ok=False)
        return _told(state, discreet=discreet), _status(ok=not state.reason)

    return routes


def _told(state: Readiness, *, discreet: bool) -> Ready:
    rules: Mapping[str, object] = state.rules or {}
    return {
        "ready": not state.reason,
        "reasons": [state.reason] if state.reason else [],
        "rules": {**rules, "error": "", "warnings": []} if rules and discreet else rules,
        "dispatcher": state.dispatcher or {},
        "pauses": [] if discreet else list(state.pauses),
    }


def _problems(state: Readiness, *, young: bool) -> list[str]:
    """Say what a restart might cure; a ledger that takes no write is no such thing.

    A damaged one is: the start looks at the file, and refuses it with the way out.
    """
    if state.damaged:
        return [state.reason]
    if state.dispatcher is None:
        return []
    problems = [f"the dispatcher: {one}" for one in state.dispatcher["ailments"]]
    seconds = state.dispatcher["heartbeatAgeSeconds"]
    if young:
        return problems
    if seconds is None:
        problems.append("the dispatcher has never given a sign of life")
    elif seconds > DEAD_AFTER:
        problems.append(f"the dispatcher has been silent for {seconds:.0f} s")
    return problems


def _status(*, ok: bool) -> HTTPStatus:
    return HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
