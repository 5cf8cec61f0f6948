"""Builds the request of `http.request`, and the facts and output from its answer."""

from __future__ import annotations

import json
from functools import lru_cache

from handlers.http_request.parameters import HttpRequest
from handlers.http_request.signature import sign
from handlers.http_request.storable import storable
from receiver.contract import Answer, Call, Json, PermanentError
from receiver.outbound import merged_headers


def send(params: HttpRequest, call: Call) -> Answer:
    """Send the request.

    The user's headers replace ours, however they are spelt; a signature replaces theirs.
    """
    body = _body(params)
    headers = {"Idempotency-Key": call.idempotency_key}
    if params.has_json:
        headers["Content-Type"] = "application/json"
    headers = merged_headers(headers, call.with_trace(params.headers))
    if params.signing_secret is not None:
        signature = sign(params.signing_secret, call.idempotency_key, call.now, body or b"")
        headers = merged_headers(headers, signature)
    return call.http.send(
        params.method, params.url, headers=headers, body=body, max_answer=params.capture_limit
    )


@lru_cache
def expected(words: tuple[int | str, ...]) -> frozenset[int]:
    """Return the statuses that ``[201, "3xx"]`` stands for."""
    found: set[int] = set()
    for word in map(str, words):
        first = int(word[0]) * 100
        found |= set(range(first, first + 100)) if word.endswith("xx") else {int(word)}
    return frozenset(found)


PRIVATE = frozenset({"set-cookie"})
"""Headers of an answer that are a key to a session there; they are not stored."""


def facts(answer: Answer) -> dict[str, Json]:
    """Return an answer as JSON; ``json`` is null where there is none, or not all of it."""
    kept = {name: value for name, value in answer.headers.items() if name not in PRIVATE}
    return {
        "status": answer.status,
        "headers": {**kept},
        "body": answer.text,
        "json": _json(answer),
        "truncated": answer.truncated,
    }


def output(answer: Answer) -> dict[str, Json]:
    """Return what is stored of an answer.

    Where a secret made the address, neither headers nor text, which may have it in words of the
    server's own: an error page, a link, a name that was cut out of it.
    """
    stored = facts(answer)
    if answer.private:
        kind: dict[str, Json] = {"content-type": answer.content_type}
        stored |= {"headers": kind if answer.content_type else {}, "body": ""}
    return stored


def _json(answer: Answer) -> Json:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        return storable(answer.json())
    except ValueError:
        return None


def _body(params: HttpRequest) -> bytes | None:
    try:
        if params.has_json:
            return json.dumps(params.json_, allow_nan=False).encode()
        return params.body.encode() if params.body is not None else None
    except ValueError:
        raise PermanentError(
            "the body cannot be sent: it has a number that is none (NaN, infinity) "
            "or half of a character (a lone surrogate)"
        ) from None
