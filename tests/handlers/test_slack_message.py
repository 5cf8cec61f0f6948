"""slack.message; the answers are those of https://docs.slack.dev/reference/methods/chat.postMessage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.slack_message import SlackMessage, escape, handler
from receiver.contract import PermanentError, Succeeded, TemporaryError
from receiver.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

TOKEN = {"env": "POSTSYNC_SECRET_SLACK"}
POSTED = Reply(200, b'{"ok": true, "channel": "C123456", "ts": "1503435956.000247"}')
PERMANENT = (
    "channel_not_found", "not_in_channel", "is_archived", "msg_too_long", "no_text",
    "restricted_action", "invalid_auth", "token_revoked", "account_inactive", "missing_scope",
    "invalid_arguments", "message_not_found", "cant_update_message",
)  # fmt: skip
TEMPORARY = ("ratelimited", "request_timeout", "team_added_to_org", "fatal_error", "internal_error")


def refused(error: str) -> Reply:
    return Reply(200, json.dumps({"ok": False, "error": error}).encode())


SUBJECTS = [
    Subject(
        handler,
        parameters={"token": TOKEN, "channel": "C123456", "text": "hello"},
        uses_key=False,  # Slack knows none
        cases=[
            Case(POSTED, Succeeded),
            *(Case(refused(error), PermanentError, name=error) for error in PERMANENT),
            *(Case(refused(error), TemporaryError, name=error) for error in TEMPORARY),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
    Subject(
        handler,
        parameters={"webhook": {"env": "POSTSYNC_SECRET_HOOK"}, "text": "hello"},
        secrets={"POSTSYNC_SECRET_HOOK": "https://hooks.slack.com/services/T0/B0/XXXXhushXXXX"},
        uses_key=False,
        cases=[
            Case(Reply(200, b"ok"), Succeeded),
            Case(Reply(404, b"no_service"), PermanentError, name="no_service"),
            Case(Reply(400, b"invalid_payload"), PermanentError, name="invalid_payload"),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    ),
]


def posted(**given: Any) -> tuple[str, dict[str, Any], Any]:
    """The address, the message and the output."""
    made = attempt(
        SUBJECTS[0], [POSTED], parameters={"token": TOKEN, "channel": "C1", "text": "t", **given}
    )
    assert made.outcome.kind is OutcomeKind.SUCCEEDED
    return made.addresses[0], json.loads(made.seen[0].body), made.outcome.output


def test_a_message_leaves_what_threads_and_updates_need() -> None:
    """Its ts, and the channel's id."""
    address, message, output = posted(text="*done*")
    assert address == "https://slack.com/api/chat.postMessage"
    assert message == {"channel": "C1", "text": "*done*"}
    assert output == {"ts": "1503435956.000247", "channel": "C123456"}


def test_an_answer_in_a_thread_and_a_message_written_over() -> None:
    """Both name the earlier message."""
    _, message, _ = posted(thread="15.2", broadcast=True)
    assert (message["thread_ts"], message["reply_broadcast"]) == ("15.2", True)
    address, message, _ = posted(update="15.2", blocks=[{"type": "divider"}])
    assert address == "https://slack.com/api/chat.update"
    assert (message["ts"], message["blocks"]) == ("15.2", [{"type": "divider"}])


def test_a_limit_of_the_api_is_one_of_the_credential() -> None:
    """Other messages with the token wait as well."""
    busy = Reply(200, b'{"ok": false, "error": "ratelimited"}', {"Retry-After": "30"})
    outcome = attempt(SUBJECTS[0], [busy]).outcome
    assert (outcome.limited, outcome.delay) == (True, 30)


def test_what_expressions_give_cannot_call_a_channel() -> None:
    """The handler quotes with Slack's three entities."""
    assert handler.quote is escape
    assert escape("<!channel> & <https://x|y>") == "&lt;!channel&gt; &amp; &lt;https://x|y&gt;"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give webhook or token"),
        ({"token": "t"}, "token needs the channel"),
        ({"webhook": "w", "update": "1"}, "a webhook has none"),
        ({"token": "t", "channel": "c", "thread": "1", "update": "1"}, "not both"),
    ],
)
def test_what_the_chosen_way_cannot_do_is_refused_before(given: dict[str, Any], words: str) -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match=words):
        SlackMessage.model_validate({"text": "x", **given})
