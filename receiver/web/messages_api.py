"""The endpoint for messages of hooks: a few lines of text about a sync that is under way."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Literal

from flask import Blueprint, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from receiver.core.validation import field_errors
from receiver.ledger.inbox.hook_messages import HookMessages, Message
from receiver.web.body import read_body
from receiver.web.operation import SEND_ERRORS, Operation, Who
from receiver.web.problem_details import Refusal
from receiver.web.responses import MessageReceipt

LARGEST = 4096
"""Bytes of a message: some lines of a log, not the log."""

NAME = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
"""A DNS subdomain (RFC 1123), as Kubernetes names its objects."""

UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What would steer a terminal, break a line, or turn its direction: Unicode's Cc without newline
and tab, its line separators and its bidirectional controls."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class Origin(BaseModel):
    """What a hook says of itself, in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: Annotated[str, Field(pattern=f"^({NAME}/)?{NAME}$")]
    hook: Literal["PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"] | None = (
        None
    )
    wave: Annotated[int, Field(ge=-(10**9), le=10**9)] | None = None
    namespace: Name | None = None
    name: Name | None = None


SAY = Operation(
    "post", "/v1/messages", "say", "Take the words of a hook, at most 4 KiB.",
    Who.MESSENGER, {202: MessageReceipt}, Origin, "text/plain", SEND_ERRORS, "applied 2 migrations",
)  # fmt: skip


def messages_blueprint(messages: HookMessages, authenticate: Callable[[str], str]) -> Blueprint:
    """Make the route for messages; ``authenticate`` names the token in a header, or refuses it."""
    routes = Blueprint("messages", __name__)

    @routes.post(SAY.url_rule)
    def receive() -> tuple[MessageReceipt, HTTPStatus]:
        message = _read(authenticate(request.headers.get("Authorization", "")))
        return {"message": messages.store(message)}, HTTPStatus.ACCEPTED

    return routes


def _read(sender: str) -> Message:
    """Read the current request."""
    query = request.args.to_dict()
    try:
        about = Origin.model_validate(query).model_dump(exclude_none=True)
    except ValidationError as error:
        found = field_errors(error, Origin, query)
        raise Refusal(
            "bad_parameter", "; ".join(map(str, found)),
            hint="for example ?application=shop&hook=PreSync&wave=1",
        ) from None  # fmt: skip
    body = read_body(request.environ, LARGEST, what="message", smaller="send its last lines")
    return Message(sender, about.pop("application"), _text(body), about)


def _text(body: bytes) -> str:
    try:
        text = body.decode().replace("\r\n", "\n").strip()
    except UnicodeDecodeError as error:
        detail = f"the message is no UTF-8 at byte {error.start}"
        raise Refusal("not_utf8", detail) from None
    if not text:
        raise Refusal(
            "empty_message", "the message is empty",
            hint="its text is the body, as of `curl --data-binary 'what happened'`",
        )  # fmt: skip
    return UNSAFE.sub(REPLACEMENT, text)
