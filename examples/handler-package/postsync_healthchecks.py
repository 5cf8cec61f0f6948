"""`healthchecks.pause`: pause checks of Healthchecks, so that nobody is called for nothing.

The API is documented at https://healthchecks.io/docs/api/#pause-check.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    PermanentError,
    Secret,
    Succeeded,
    host_of,
    raise_for_status,
    send_each,
)

Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class Pause(Params):
    """What stands under `with`."""

    checks: tuple[Uuid, ...] = Field(
        min_length=1,
        max_length=100,
        description="UUIDs of the checks, for example `0c8983c9-9d73-446f-adb5-0641fdacc9d4`.",
    )
    api_key: Secret = Field(min_length=1, description="A read-write key of the checks' project.")
    site: Annotated[str, Field(pattern=r"^https?://[^/?#]+$")] = Field(
        default="https://healthchecks.io",
        description="Where Healthchecks runs, for example `https://checks.example.com`.",
    )


def run(params: Pause, call: Call) -> Outcome:
    """Pause one check after the other; what is paused already is not sent again."""

    def pause(check: str) -> None:
        answer = call.http.send(
            "POST",
            f"{params.site}/api/v3/checks/{check}/pause",
            headers={"X-Api-Key": params.api_key},
        )
        if answer.status == 404:  # noqa: PLR2004 as their page says
            raise PermanentError(f"there is no check {check} at {params.site}")
        raise_for_status(answer, now=call.now)

    send_each(call.state, params.checks, pause)
    return Succeeded({"paused": list(params.checks)})


handler = Handler(
    name="healthchecks.pause",
    summary="Pause checks of Healthchecks.",
    params=Pause,
    run=run,
    example="""\
checks: [0c8983c9-9d73-446f-adb5-0641fdacc9d4]
apiKey: {env: POSTSYNC_SECRET_HEALTHCHECKS}
""",
    lane=host_of("site"),
    permissions="The read-write API key of the checks' project.",
)
