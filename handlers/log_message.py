"""`log.message`: write a line on the trail."""

from __future__ import annotations

from pydantic import Field

from receiver.contract import Call, Handler, Outcome, Params, Succeeded, by_parameters, cut

LONGEST = 10_000
"""Our choice: the trail is read as lines."""


class LogMessage(Params):
    """What to write."""

    text: str = Field(description=f"The line; it is cut to {LONGEST} characters.")


def run(params: LogMessage, call: Call) -> Outcome:
    """Write it; nothing can fail."""
    text = cut(call.mask(params.text), LONGEST)
    call.say(text)
    return Succeeded({"text": text})


handler = Handler(
    name="log.message",
    summary="Write a line on the trail.",
    params=LogMessage,
    run=run,
    example='text: "Deployed ${{ application.name }} at ${{ sync.revision }}"\n',
    confine=by_parameters,
    output="`text`.",
)
