"""`log.message`: write a line on the trail."""

from __future__ import annotations

from pydantic import Field

from receiver.contract import Call, Handler, Outcome, Params, Succeeded


class LogMessage(Params):
    """What to write."""

    text: str = Field(description="The line.", max_length=10_000)


def run(params: LogMessage, call: Call) -> Outcome:
    """Write it; nothing can fail."""
    call.say(params.text)
    return Succeeded({"text": params.text})


handler = Handler(
    name="log.message",
    summary="Write a line on the trail.",
    params=LogMessage,
    run=run,
    example='text: "Deployed ${{ application.name }} at ${{ sync.revision }}"\n',
    output="`text`.",
)
