"""gitlab.pipeline; the answers are those of https://docs.gitlab.com/api/."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.gitlab_pipeline import GitLabPipeline, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

GIVEN: dict[str, Any] = {
    "project": "acme/shop",
    "token": {"env": "POSTSYNC_SECRET_TRIGGER"},
    "variables": {"IMAGE": "shop:2"},
    "wait": True,
    "readToken": {"env": "POSTSYNC_SECRET_READ"},
}
STARTED = Reply(201, b'{"id": 257, "status": "created", "web_url": "https://gitlab.com/p/257"}')
ASKED: Json = {"id": 257, "url": "https://gitlab.com/p/257"}


def now(status: str) -> Reply:
    return Reply(200, json.dumps({"id": 257, "status": status}).encode())


UNDER_WAY = (
    "created", "waiting_for_resource", "preparing", "pending", "running", "manual", "scheduled",
)  # fmt: skip
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # GitLab knows none
        cases=[
            Case(STARTED, Pending),
            *(Case(now(word), Pending, state=ASKED, name=word) for word in UNDER_WAY),
            Case(now("success"), Succeeded, state=ASKED, name="success"),
            *(
                Case(now(word), PermanentError, state=ASKED, name=word)
                for word in ("failed", "canceled", "skipped")
            ),
            Case(
                STARTED, Succeeded, name="201 without waiting", parameters=GIVEN | {"wait": False}
            ),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    )
]


def test_it_is_started_by_the_trigger_and_read_by_the_other_token() -> None:
    """A trigger token cannot read."""
    made = attempt(SUBJECTS[0], [STARTED])
    assert made.addresses == ("https://gitlab.com/api/v4/projects/acme%2Fshop/trigger/pipeline",)
    body = json.loads(made.seen[0].body)
    assert (body["ref"], body["variables"]) == ("main", {"IMAGE": "shop:2"})
    asked = attempt(SUBJECTS[0], [now("running")], state=ASKED)
    assert asked.seen[0].path == "/api/v4/projects/acme%2Fshop/pipelines/257"
    assert body["token"] != asked.seen[0].headers["private-token"]


def test_waiting_needs_the_second_token() -> None:
    """Refused before anything is started."""
    with pytest.raises(ValidationError, match="wait needs a readToken"):
        GitLabPipeline.model_validate({"project": "1", "token": "t", "wait": True})
