"""`poll`: asks how the started thing is getting on, and what the answer means."""

from __future__ import annotations

from urllib.parse import urljoin

from handlers.http_request.exchange import expected, facts, output
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
    retry_after,
)
from receiver.core.errors import ExpressionError
from receiver.outbound import origin


def start_polling(params: HttpRequest, poll: Poll, call: Call, answer: Answer) -> Outcome:
    """Return a `Pending` with the address that the start's answer names."""
    url = _evaluate(params, call, "poll.url", poll.url, answer)
    if not isinstance(url, str) or not url:
        raise PermanentError("poll.url gives no text", hint=_if_cut(params, answer))
    if answer.mask(url) != url:
        raise PermanentError("poll.url gives an address with a secret in it, which is never stored")
    _checked_url(params, poll, url)
    return _again(poll, url, answer, call)


def poll_once(params: HttpRequest, poll: Poll, call: Call) -> Outcome:
    """Ask once; a temporary failure keeps the state."""
    url = _checked_url(params, poll, call.state["url"])
    try:
        answer = call.http.send(
            poll.method, url, headers=poll.headers, max_answer=params.capture_limit
        )
        raise_for_status(answer, expect=expected(poll.expect), now=call.now)
    except TemporaryError as error:
        raise TemporaryError(
            error.message, delay=error.delay, state=call.state, hint=error.hint
        ) from None
    if poll.failed is not None and _holds(params, call, "poll.failed", poll.failed, answer):
        raise PermanentError(f"it has failed there: {poll.failed} ({answer.excerpt()})")
    if _holds(params, call, "poll.until", poll.until, answer):
        return Succeeded(output(answer))
    return _again(poll, call.state["url"], answer, call)


def _again(poll: Poll, url: str, answer: Answer, call: Call) -> Pending:
    return Pending({"url": url}, max(poll.every, retry_after(answer, call.now) or 0.0))


def _checked_url(params: HttpRequest, poll: Poll, url: str) -> str:
    """Return the address to ask, made absolute.

    The other side names it: our headers, and the secrets in them, must not be sent elsewhere.
    """
    try:
        whole = urljoin(params.url, url)
    except ValueError:
        raise PermanentError("poll.url gives no URL") from None
    scheme, host, port = origin(whole)
    trusted = scheme == "https" and host in poll.trusted_hosts
    if poll.headers and (scheme, host, port) != origin(params.url) and not trusted:
        raise PermanentError(
            f"poll.url leads to {scheme}://{host}:{port}, where poll.headers are not sent",
            hint=f"add {host} to poll.trustedHosts, or leave poll.headers out",
        )
    return whole


def _holds(params: HttpRequest, call: Call, name: str, source: str, answer: Answer) -> bool:
    value = _evaluate(params, call, name, source, answer)
    if not isinstance(value, bool):
        raise PermanentError(f"{name} gives neither true nor false", hint=_if_cut(params, answer))
    return value


def _evaluate(params: HttpRequest, call: Call, name: str, source: str, answer: Answer) -> Json:
    try:
        value: Json = call.evaluate(source, {"answer": facts(answer)})
    except ExpressionError as error:
        answered = f"answered {answer.status}: {answer.excerpt()}"
        raise PermanentError(
            f"{name} cannot be evaluated: {error} ({answered})", hint=_if_cut(params, answer)
        ) from None
    return value


def _if_cut(params: HttpRequest, answer: Answer) -> str:
    """Return the way out for an answer of which only the beginning was read."""
    if not answer.truncated:
        return ""
    return f"the answer is longer than captureLimit ({params.capture_limit} bytes); raise it"
