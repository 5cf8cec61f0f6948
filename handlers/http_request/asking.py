"""How `poll` asks: where, and what the answer means."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from handlers.http_request.exchange import expected, facts, merged
from handlers.http_request.parameters import HttpRequest, Poll
from receiver.contract import (
    Answer,
    Call,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
    TemporaryError,
    raise_for_status,
)

PORTS = {"http": 80, "https": 443}


def start_asking(params: HttpRequest, poll: Poll, call: Call, answer: Answer) -> Outcome:
    """Keep the address that the start's answer names; it is asked after `every`."""
    url = call.evaluate(poll.url, {"answer": facts(answer)})
    if not isinstance(url, str) or not url:
        raise PermanentError("poll.url gives no text")
    if answer.mask(url) != url:
        raise PermanentError("poll.url gives an address with a secret in it, which is never stored")
    _judge(params, poll, url)
    return Pending({"url": url}, poll.every)


def ask(params: HttpRequest, poll: Poll, call: Call) -> Outcome:
    """Ask once; what is only temporary keeps the state."""
    url = _judge(params, poll, call.state["url"])
    try:
        answer = call.http.send(
            poll.method, url, headers=merged({}, poll.headers), max_answer=params.capture_limit
        )
        raise_for_status(answer, expect=expected(poll.expect))
    except TemporaryError as error:
        raise TemporaryError(
            error.message, delay=error.delay, state=call.state, hint=error.hint
        ) from None
    told = facts(answer)
    if poll.failed is not None and _holds(call, "poll.failed", poll.failed, told):
        raise PermanentError(f"it has failed there: {poll.failed}")
    if _holds(call, "poll.until", poll.until, told):
        return Succeeded(told)
    return Pending(call.state, poll.every)


def _judge(params: HttpRequest, poll: Poll, url: str) -> str:
    """Return the address to ask, made absolute.

    The other side names it: it must not lead our headers, and the secrets in them, away.
    """
    try:
        whole = urljoin(params.url, url)
    except ValueError:
        raise PermanentError("poll.url gives no URL") from None
    if poll.headers and _origin(whole) != _origin(params.url):
        raise PermanentError(
            f"poll.url leads to {_shown(whole)}, and poll.headers go to {_shown(params.url)} alone",
            hint="leave poll.headers out, or ask at the address that was called",
        )
    return whole


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        raise PermanentError("poll.url gives no URL") from None


def _shown(url: str) -> str:
    scheme, host, port = _origin(url)
    return f"{scheme}://{host}:{port}"


def _holds(call: Call, name: str, source: str, told: dict[str, Json]) -> bool:
    value = call.evaluate(source, {"answer": told})
    if not isinstance(value, bool):
        raise PermanentError(f"{name} gives neither true nor false")
    return value
