"""slack.message; Slack's answers are in tests/data/services/slack-errors.yaml, sources too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.slack_message import SlackMessage, escape, handler
from receiver.contract import PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

TOKEN = {"env": "POSTSYNC_SECRET_SLACK"}
POSTED = Reply(200, b'{"ok": true, "channel": "C123456", "ts": "1503435956.000247"}')
ERRORS = yaml.safe_load((Path(__file__).parents[1] / "data/services/slack-errors.yaml").read_text())


def refused(error: str) -> Reply:
    return Reply(200, json.dumps({"ok": False, "error": error}).encode())


SUBJECTS = [
    Subject(
        handler,
        parameters={"token": TOKEN, "channel": "C123456", "text": "hello"},
        uses_key=False,  # Slack knows none
        cases=[
            Case(POSTED, Succeeded),
            *(Case(refused(error), PermanentError, name=error) for error in ERRORS["permanent"]),
            *(Case(refused(error), TemporaryError, name=error) for error in ERRORS["temporary"]),
            *(Case(refused(error), TemporaryError, name=error) for error in ERRORS["limited"]),
            Case(refused("an_error_of_tomorrow"), PermanentError, name="an unknown error"),
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
            *(
                Case(
                    Reply(status, word.encode()),
                    PermanentError if status < 500 else TemporaryError,
                    name=f"{status} {word}",
                )
                for word, status in ERRORS["webhook"].items()
            ),
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


def test_writing_over_replaces_the_whole_message() -> None:
    """Slack would keep the earlier blocks, and link names, which chat.postMessage does not."""
    _, message, _ = posted(update="15.2")
    assert (message["blocks"], message["parse"]) == ([], "none")
    assert "blocks" not in posted()[1]


@pytest.mark.parametrize("error", ERRORS["limited"])
def test_a_limit_of_the_api_is_one_of_the_credential(error: str) -> None:
    """Other messages with the token wait as well, as long as Slack asks for."""
    told = json.dumps({"ok": False, "error": error}).encode()
    for status in (200, 429):
        outcome = attempt(SUBJECTS[0], [Reply(status, told, {"Retry-After": "30"})]).outcome
        assert (outcome.limited, outcome.delay) == (True, 30)


def test_a_refusal_is_told_with_the_way_out() -> None:
    """In Slack's word, and in ours."""
    reason = attempt(SUBJECTS[0], [refused("not_in_channel")]).outcome.reason
    assert reason.startswith("Slack answered not_in_channel (invite the bot")


def test_what_slack_adds_to_a_refusal_is_told() -> None:
    """Which of the blocks it was, on one line; other shapes are passed over."""
    for messages, told in (
        (["[ERROR] must be more than 0\n characters [json-pointer:/blocks/0/text]", "[WARN] b"],
         ": [ERROR] must be more than 0 characters [json-pointer:/blocks/0/text]; [WARN] b"),
        ("x", ""), ([], ""), ([""], ""),
    ):  # fmt: skip
        body = {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": messages}}
        answer = Reply(200, json.dumps(body).encode())
        assert (
            attempt(SUBJECTS[0], [answer]).outcome.reason == f"Slack answered invalid_blocks{told}"
        )


def test_texts_are_cut_to_what_slack_takes_of_each() -> None:
    """A message that is too long for a block is no reason to send none."""
    long, kept = (
        "x" * 50_000,
        {"type": "rich_text", "elements": [{"type": "text", "text": "y" * 4000}]},
    )
    text = {"type": "mrkdwn", "text": long}
    _, message, _ = posted(
        text=long,
        blocks=[
            {"type": "section", "text": text, "fields": [text]},
            {"type": "header", "text": text | {"type": "plain_text"}},
            {"type": "context", "elements": [text]},
            {"type": "markdown", "text": long},
            kept,
        ],
    )  # fmt: skip
    section, header, context, markdown, last = message["blocks"]
    texts = [
        message["text"], section["text"]["text"], section["fields"][0]["text"],
        header["text"]["text"], context["elements"][0]["text"], markdown["text"],
    ]  # fmt: skip
    assert [len(one) for one in texts] == [40_000, 3_000, 2_000, 150, 3_000, 12_000]
    assert {one[-2:] for one in texts} == {"x…"}
    assert last == kept


def test_a_webhook_answers_in_a_thread_as_well() -> None:
    """Of a message whose ts is known from elsewhere; its own ts nobody tells."""
    made = attempt(
        SUBJECTS[1], [Reply(200, b"ok")],
        parameters={**(SUBJECTS[1].parameters or {}), "thread": "15.2"},
    )  # fmt: skip
    assert json.loads(made.seen[0].body) == {
        "text": "hello", "thread_ts": "15.2"
    }  # fmt: skip
    assert made.outcome.output == {"ts": None, "channel": None}


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
