"""`http.request`: call any HTTP service, and optionally wait for what it started."""

from __future__ import annotations

from handlers.http_request.exchange import expected, output, send
from handlers.http_request.parameters import HttpRequest
from handlers.http_request.polling import poll_once, start_polling
from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Succeeded,
    by_parameters,
    host_of,
    raise_for_status,
)

__all__ = ["handler"]


def run(params: HttpRequest, call: Call) -> Outcome:
    """Send the request, or ask how what it started is getting on."""
    if call.state is not None and params.poll is not None:
        return poll_once(params, params.poll, call)
    answer = send(params, call)
    raise_for_status(answer, expect=expected(params.expect), now=call.now)
    if params.poll is not None:
        return start_polling(params, params.poll, call, answer)
    return Succeeded(output(answer))


EXAMPLE = """\
url: https://ci.example.com/api/pipelines
headers: {Authorization: {env: POSTSYNC_SECRET_CI, format: "Bearer {}"}}
json: {ref: "${{ sync.revision }}", application: "${{ application.name }}"}
expect: [201]
poll:
  url: answer.json.url
  headers: {Authorization: {env: POSTSYNC_SECRET_CI, format: "Bearer {}"}}
  every: 10s
  until: answer.json.state == 'success'
  failed: answer.json.state in ['failed', 'canceled']
"""

handler = Handler(
    name="http.request",
    summary="Call an HTTP service, and optionally wait for what it started.",
    params=HttpRequest,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`status`, `headers`, `body`, `json` (null where the answer is none) and `truncated`;"
    " with `poll` those of the last answer. Where a secret is in the address, `headers` has the"
    " content type alone and `body` is empty.",
    lane=host_of("url"),
)
