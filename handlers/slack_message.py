"""`slack.message`: write to a Slack channel, in a thread, or over an earlier message.

Plain REST: https://docs.slack.dev/reference/methods/chat.postMessage, chat.update, and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. What an expression
puts into a text is escaped, so that a resource's name cannot mention a channel or hide a link
(https://docs.slack.dev/messaging/formatting-message-text/#escaping); what the rule says is not.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, model_validator

from receiver.contract import (
    Answer,
    Call,
    Handler,
    Json,
    Outcome,
    Params,
    PermanentError,
    Rate,
    Secret,
    Succeeded,
    TemporaryError,
    by_parameters,
    cut,
    host_of,
    object_of,
    raise_for_status,
    retry_after,
    wrong_shape,
)

LIMITED = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
PASSING = LIMITED | {
    "external_channel_migrating",
    "fatal_error",
    "internal_error",
    "org_login_required",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "update_failed",
}
"""Errors that a later try may not meet ("Errors" of chat.postMessage and chat.update)."""

TEXT_LIMIT = 40_000
"""Characters; Slack cuts a longer text off ("Truncating content" of chat.postMessage)."""

TEXT_OBJECT, HEADER, FIELD, MARKDOWN = 3_000, 150, 2_000, 12_000
"""Characters of a text in a block, and of those in a header, in the fields of a section and in a
markdown block; Slack refuses a longer one, and with it the message
(https://docs.slack.dev/reference/block-kit/composition-objects/text-object, and of the blocks
.../blocks/header-block, section-block and markdown-block)."""

MESSAGE_LENGTH = 500
"""Characters that are kept of what Slack adds to an error."""

BLOCKS_LIMIT = 50
"""https://docs.slack.dev/reference/block-kit/blocks"""


class SlackMessage(Params):
    """What to write, and where: through an incoming webhook, or with a bot's token."""

    webhook: Secret | None = Field(default=None, description="Address of an incoming webhook.")
    token: Secret | None = Field(default=None, description="Token of a bot, instead of `webhook`.")
    channel: str | None = Field(
        default=None,
        description="Channel, with `token`: its id, or its name with `#`. `update` takes ids "
        "alone: `${{ actions.NAME.output.channel }}`.",
    )
    text: str = Field(
        description="The message, or with `blocks` what notifications show of it. Markup of "
        "Slack: *bold*, `code`, :emoji:. What is longer than Slack takes is cut, in `blocks` too.",
        min_length=1,
    )
    blocks: tuple[dict[str, Any], ...] | None = Field(
        default=None, description="Block Kit blocks.", max_length=BLOCKS_LIMIT
    )
    thread: str | None = Field(
        default=None,
        description="Answer in the thread of an earlier message: `${{ actions.NAME.output.ts }}`.",
    )
    broadcast: bool = Field(
        default=False, description="Show an answer in a thread to the whole channel as well."
    )
    update: str | None = Field(
        default=None,
        description="Write over an earlier message: `${{ actions.NAME.output.ts }}`.",
    )
    api: str = Field(default="https://slack.com/api", description="Address of the Web API.")

    @model_validator(mode="after")
    def one_way(self) -> SlackMessage:
        """Refuse what the chosen way cannot do."""
        if (self.webhook is None) == (self.token is None):
            raise wrong_shape("give webhook or token, one of them")
        if self.token is not None and self.channel is None:
            raise wrong_shape("token needs the channel")
        needed = self.channel is not None or self.update is not None or self.broadcast
        if self.webhook is not None and needed:
            raise wrong_shape("channel, update and broadcast need a token: a webhook has none")
        if self.update is not None and self.thread is not None:
            raise wrong_shape("give thread or update, not both")
        return self


def run(params: SlackMessage, call: Call) -> Outcome:
    """Write it. Slack has no idempotency key: after a lost attempt it may be there twice."""
    if params.webhook is not None:
        raise_for_status(_post(call, params.webhook, None, _message(params)), now=call.now)
        return Succeeded({"ts": None, "channel": None})
    method = "chat.postMessage" if params.update is None else "chat.update"
    data = _checked(_post(call, f"{params.api}/{method}", params.token, _message(params)), call)
    return Succeeded({"ts": data.get("ts"), "channel": data.get("channel")})


def escape(text: str) -> str:
    """Write the three characters of Slack's markup that can address somebody as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message(params: SlackMessage) -> dict[str, Json]:
    message: dict[str, Any] = {"text": cut(params.text, TEXT_LIMIT)}
    blocks = [_fitting(block) for block in params.blocks or ()]
    if params.blocks is not None:
        message["blocks"] = blocks
    if params.channel is not None:
        message["channel"] = params.channel
    if params.thread is not None:
        message["thread_ts"] = params.thread
    if params.broadcast:
        message["reply_broadcast"] = True
    if params.update is not None:
        # chat.update keeps the blocks that it is given no others for, and would link names.
        message |= {"ts": params.update, "parse": "none", "blocks": blocks}
    return message


def _fitting(part: Any, most: int = TEXT_OBJECT) -> Any:
    """Return a block, or a part of one, with its texts cut to what Slack takes there."""
    if isinstance(part, list):
        return [_fitting(one, most) for one in part]
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    inside = HEADER if kind == "header" else most
    fitted = {
        key: _fitting(value, FIELD if key == "fields" else inside) for key, value in part.items()
    }
    if kind in {"mrkdwn", "plain_text", "markdown"} and isinstance(part.get("text"), str):
        fitted["text"] = cut(part["text"], MARKDOWN if kind == "markdown" else most)
    return fitted


def _post(call: Call, address: str, token: str | None, message: dict[str, Json]) -> Answer:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return call.http.send("POST", address, headers=headers, body=json.dumps(message).encode())


def _checked(answer: Answer, call: Call) -> dict[str, Json]:
    """Return the Web API's answer, or raise: it answers 200 to most errors, and names them."""
    raise_for_status(answer, now=call.now)
    data = object_of(answer)
    if data.get("ok") is True:
        return data
    error = str(data.get("error", ""))
    message = f"Slack answered {error or answer.excerpt()}{_details(data, answer)}"
    if error in PASSING:
        raise TemporaryError(message, delay=retry_after(answer, call.now), limited=error in LIMITED)
    raise PermanentError(message, hint=HINTS.get(error, ""))


def _details(data: dict[str, Json], answer: Answer) -> str:
    """Return what Slack adds to an error: which block it refuses, which scope is missing."""
    metadata = data.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    if not isinstance(messages, list):
        return ""
    lines = [" ".join(str(one).split()) for one in messages if one]
    return f": {cut(answer.mask('; '.join(lines)), MESSAGE_LENGTH)}" if lines else ""


HINTS = {
    "cant_update_message": "only the bot that wrote a message can write over it",
    "channel_not_found": "a private channel is found by a bot that is in it alone, and update "
    "takes the channel's id",
    "invalid_auth": "the token is not valid; was it revoked?",
    "message_not_found": "update takes the ts of a message of the same channel",
    "missing_scope": "the token needs the scope chat:write",
    "not_in_channel": "invite the bot to the channel, or give it chat:write.public",
}

EXAMPLE = """\
token: {env: POSTSYNC_SECRET_SLACK}
channel: "#deployments"
text: "Purged ${{ size(resources) }} objects of *${{ application.name }}*"
"""

handler = Handler(
    name="slack.message",
    summary="Write to a Slack channel, in a thread, or over an earlier message.",
    params=SlackMessage,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`ts` and `channel`, for `thread` and `update` of later actions; both null from a "
    "webhook.",
    errors="`ratelimited` and faults of Slack's are tried again; others, such as "
    "`not_in_channel` or `invalid_auth`, fail the run.",
    lane=host_of("api"),
    quote=escape,
    # https://docs.slack.dev/apis/web-api/rate-limits: about one message a second and channel.
    rate=Rate(per_second=1, burst=5),
    permissions="A bot token with the scope `chat:write` (and `chat:write.public` to write where "
    "the bot is no member), or an incoming webhook, which can write to its one channel.",
)
