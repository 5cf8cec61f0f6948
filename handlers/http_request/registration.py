"""One attempt of `http.request`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from handlers.http_request.parameters import HttpRequest, Poll
from handlers.http_request.signature import sign
from receiver.contract import (
    Answer,
    Call,
    Handler,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
    TemporaryError,
    raise_for_status,
)

AGENT = f"postsync/{version('postsync-receiver')}"


def run(params: HttpRequest, call: Call) -> Outcome:
    """Send the request, or ask how what it started is getting on."""
    if call.state is not None and params.poll is not None:
        return _ask(params, params.poll, call)
    answer = _send(params, call)
    raise_for_status(answer, expect=_expected(params))
    if params.poll is None:
        return Succeeded(_facts(answer))
    url = _evaluate_url(params.poll, call, answer)
    _refuse_headers_elsewhere(params, params.poll, url)
    return Pending({"url": url}, params.poll.every)


def lane(parameters: Mapping[str, Json]) -> str:
    """Return the host that is called, "" while it is a secret."""
    url = parameters.get("url")
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:
        return ""


def _send(params: HttpRequest, call: Call) -> Answer:
    body = _body(params)
    headers = {"User-Agent": AGENT, "Idempotency-Key": call.idempotency_key}
    if params.json_ is not None:
        headers["Content-Type"] = "application/json"
    if params.signing_secret is not None:
        headers |= sign(params.signing_secret, call.idempotency_key, call.now, body or b"")
    headers = _merged(headers, params.headers)
    return call.http.send(
        params.method, params.url, headers=headers, body=body, max_answer=params.capture_limit
    )


def _body(params: HttpRequest) -> bytes | None:
    if params.json_ is not None:
        return json.dumps(params.json_, ensure_ascii=False).encode()
    return params.body.encode() if params.body is not None else None


def _merged(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Let the user's headers replace ours, however they are spelt."""
    named = {name.lower() for name in theirs}
    return {name: value for name, value in ours.items() if name.lower() not in named} | dict(theirs)


def _expected(params: HttpRequest) -> frozenset[int]:
    found: set[int] = set()
    for one in params.expect:
        text = str(one)
        found |= set(range(int(text[0]) * 100, int(text[0]) * 100 + 100)) if "x" in text else {
            int(text)
        }  # fmt: skip
    return frozenset(found)


def _facts(answer: Answer) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.text,
        "truncated": answer.truncated,
    }
    try:
        facts["json"] = answer.json()
    except ValueError:
        facts["json"] = None
    return facts


def _evaluate_url(poll: Poll, call: Call, answer: Answer) -> str:
    url = call.evaluate(poll.url, {"answer": _facts(answer)})
    if not isinstance(url, str):
        raise PermanentError("poll.url gives no text")
    return url


def _refuse_headers_elsewhere(params: HttpRequest, poll: Poll, url: str) -> None:
    """The other side names the address: it must not lead the headers, and their secrets, away."""
    start, asked = urlsplit(params.url), urlsplit(url)
    if poll.headers and (start.scheme, start.netloc) != (asked.scheme, asked.netloc):
        raise PermanentError(
            f"poll.url leads to {asked.netloc}, and poll.headers go to {start.netloc} alone",
            hint="leave poll.headers out, or ask at the address that was called",
        )


def _ask(params: HttpRequest, poll: Poll, call: Call) -> Outcome:
    url = call.state["url"]
    _refuse_headers_elsewhere(params, poll, url)
    headers = _merged({"User-Agent": AGENT}, poll.headers)
    try:
        answer = call.http.send(poll.method, url, headers=headers, max_answer=params.capture_limit)
        raise_for_status(answer)
    except TemporaryError as error:
        raise TemporaryError(error.message, delay=error.delay, state=call.state) from None
    facts: dict[str, Any] = {"answer": _facts(answer)}
    if poll.failed is not None and call.evaluate(poll.failed, facts) is True:
        raise PermanentError(f"it has failed there: {poll.failed}")
    if call.evaluate(poll.until, facts) is True:
        return Succeeded(facts["answer"])
    return Pending(call.state, poll.every)


EXAMPLE = """\
url: https://ci.example.com/api/pipelines
headers: {Authorization: {env: POSTSYNC_SECRET_CI, format: "Bearer {}"}}
json: {ref: "${{ sync.revision }}", application: "${{ application.name }}"}
expect: [201]
poll:
  url: answer.json.url
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
    lane=lane,
)
