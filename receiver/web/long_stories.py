"""A long story is told to one asker at a time, since each takes memory for all of it at once."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from flask import Response, after_this_request

from receiver.app.composition import Intake
from receiver.web.problem_details import RETRY_AFTER, Refusal

LONG = 5_000
"""Lines on the trail of a sync or a plan above which its story is long."""

PATIENCE = 2.0
"""Seconds that a request waits until another long story is told."""


def take_turn_if_long(intake: Intake, kind: Literal["sync", "plan"], wanted: str) -> None:
    """Wait for the turn to tell a long story; the request keeps it until its JSON is made.

    Raises:
        Refusal: 503, others are told long stories.
    """
    if not intake.reader.is_long(kind, wanted, LONG):
        return
    if not intake.long_story.acquire(timeout=PATIENCE):
        raise Refusal(
            "busy", f"{kind} {wanted} is long, and others are told long stories now",
            hint=f"ask again; GET /v1/runs?{kind}={wanted} lists its runs by pages",
            status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": RETRY_AFTER},
        )  # fmt: skip

    @after_this_request
    def release(response: Response) -> Response:
        intake.long_story.release()
        return response
