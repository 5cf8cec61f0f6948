"""The built-in handlers as the kit is told of them: each has a row here."""

from __future__ import annotations

import json

from handlers.http_request import handler as http_request
from handlers.log_message import handler as log_message
from receiver.contract import Json, Pending, PermanentError, Succeeded
from receiver.testkit import Case, Fault, Reply, Subject, usual

JSON = {"Content-Type": "application/json"}
STARTED = Reply(201, json.dumps({"url": "/pipelines/7", "state": "created"}).encode(), JSON)
ASKED: Json = {"url": "/pipelines/7"}
TOKEN = {"env": "POSTSYNC_SECRET_CI", "format": "Bearer {}"}
CALL = {
    "url": "https://ci.example.com/api/pipelines",
    "headers": {"Authorization": TOKEN},
    "json": {"ref": "9f1c2ab"},
}


def _state(word: str) -> Reply:
    return Reply(200, json.dumps({"state": word}).encode(), JSON)


SUBJECTS = (
    Subject(
        http_request,
        parameters=CALL,
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 201, 202, 204)),
            *(Case(Reply(status), PermanentError) for status in (302, 304)),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    ),
    Subject(
        http_request,
        cases=[
            Case(STARTED, Pending),
            Case(_state("running"), Pending, state=ASKED, name="still running"),
            Case(_state("success"), Succeeded, state=ASKED, name="success"),
            Case(_state("failed"), PermanentError, state=ASKED, name="failed there"),
            Case(Reply(200), PermanentError, name="a status that is not expected"),
            Case(Fault.GARBLED, PermanentError),
            *usual(),
        ],
    ),
    Subject(
        log_message, parameters={"text": {"env": "POSTSYNC_SECRET_TEXT"}}, sends=False
    ),
)  # fmt: skip
