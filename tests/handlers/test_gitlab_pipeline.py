"""gitlab.pipeline; the answers are those of https://docs.gitlab.com/api/.

Statuses: docs.gitlab.com/api/pipelines/ (list, `status`); refusals: docs.gitlab.com/api/rest/
troubleshooting/ and docs.gitlab.com/api/pipeline_triggers/.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.gitlab_pipeline import GitLabPipeline, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
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


def listed(*names: str | None) -> Reply:
    found = [
        {"id": number, "name": name, "web_url": f"https://gitlab.com/p/{number}"}
        for number, name in enumerate(names, 257)
    ]
    return Reply(200, json.dumps(found).encode())


UNDER_WAY = (
    "created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running",
    "canceling", "manual", "scheduled",
)  # fmt: skip
REFUSED = (
    (400, '{"message": {"base": ["Reference not found"]}}'),
    (400, '{"message": {"base": ["Missing CI config file"]}}'),
    (400, '{"message": {"base": ["Insufficient permissions to set pipeline variables"]}}'),
    (401, '{"message": "401 Unauthorized"}'),
    (403, '{"message": "403 Forbidden"}'),
    (404, '{"message": "404 Not Found"}'),
    (404, '{"message": "404 Project Not Found"}'),
)
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # GitLab knows none; with keyVariable below it goes along
        cases=[
            Case(STARTED, Pending),
            *(Case(now(word), Pending, state=ASKED, name=word) for word in UNDER_WAY),
            Case(now("a_status_of_tomorrow"), Pending, state=ASKED, name="an unknown status"),
            Case(now("success"), Succeeded, state=ASKED, name="success"),
            *(
                Case(now(word), PermanentError, state=ASKED, name=word)
                for word in ("failed", "canceled", "skipped")
            ),
            *(
                Case(Reply(status, text.encode()), PermanentError, name=text)
                for status, text in REFUSED
            ),
            Case(Reply(404), PermanentError, state=ASKED, name="a pipeline that was deleted"),
            Case(
                STARTED, Succeeded, name="201 without waiting", parameters=GIVEN | {"wait": False}
            ),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    )
]
KEYED = GIVEN | {"keyVariable": "POSTSYNC_KEY"}


def test_it_is_started_by_the_trigger_and_read_by_the_other_token() -> None:
    """A trigger token cannot read."""
    made = attempt(SUBJECTS[0], [STARTED])
    assert made.addresses == ("https://gitlab.com/api/v4/projects/acme%2Fshop/trigger/pipeline",)
    body = json.loads(made.seen[0].body)
    assert (body["ref"], body["variables"]) == ("main", {"IMAGE": "shop:2"})
    asked = attempt(SUBJECTS[0], [now("running")], state=ASKED)
    assert asked.seen[0].path == "/api/v4/projects/acme%2Fshop/pipelines/257"
    assert body["token"] != asked.seen[0].headers["private-token"]


def test_a_limit_holds_back_the_credential() -> None:
    """As long as Retry-After says; the body is text."""
    made = attempt(SUBJECTS[0], [Reply(429, b"Retry later", {"Retry-After": "42"})])
    assert (made.outcome.limited, made.outcome.delay) == (True, 42)


def test_a_pipeline_that_a_lost_attempt_started_is_not_started_again() -> None:
    """Its name has the key; a longer key is another one's."""
    made = attempt(
        SUBJECTS[0], [listed(None, "Test r-kit.10", "Test r-kit.1")], parameters=KEYED, number=2
    )
    (seen,) = made.seen
    assert seen.path.startswith("/api/v4/projects/acme%2Fshop/pipelines?source=trigger&ref=main")
    assert made.outcome.state == {"id": 259, "url": "https://gitlab.com/p/259"}


def test_a_pipeline_that_no_attempt_started_is_started_with_the_key() -> None:
    """The first attempt need not look."""
    look, start = attempt(
        SUBJECTS[0], [listed("Test r-other.1"), STARTED], parameters=KEYED, number=2
    ).seen
    assert (look.method, start.method) == ("GET", "POST")
    wanted = {"IMAGE": "shop:2", "POSTSYNC_KEY": "r-kit.1"}
    assert json.loads(start.body)["variables"] == wanted
    (first,) = attempt(SUBJECTS[0], [STARTED], parameters=KEYED).seen
    assert json.loads(first.body)["variables"] == wanted


def test_after_an_unclear_start_the_list_gets_time_to_show_it() -> None:
    """And a list that is none starts nothing."""
    outcome = attempt(SUBJECTS[0], [Fault.RESET], parameters=KEYED).outcome
    assert (outcome.kind, outcome.delay) == (OutcomeKind.TEMPORARY, 10)
    for strange in (Reply(200, b"{}"), Fault.GARBLED):
        made = attempt(SUBJECTS[0], [strange], parameters=KEYED, number=2)
        assert (made.outcome.kind, len(made.seen)) == (OutcomeKind.TEMPORARY, 1)


@pytest.mark.parametrize("given", [{"wait": True}, {"keyVariable": "KEY"}])
def test_reading_needs_the_second_token(given: dict[str, Any]) -> None:
    """Refused before anything is started."""
    with pytest.raises(ValidationError, match="needs a readToken"):
        GitLabPipeline.model_validate({"project": "1", "token": "t", **given})
