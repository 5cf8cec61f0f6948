"""Maps the error answers of an API server to `TemporaryError` and `Refused`.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

from receiver.contract import (
    Answer,
    AttemptError,
    PermanentError,
    TemporaryError,
    is_temporary,
    retry_after,
)

MISSING_VERB = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
"""How RBAC words a refusal (k8s.io/apiserver, responsewriters.ForbiddenStatusError)."""
NOT_OF_THE_KIND = "failed to create typed patch object"
"""An apply of a field that the kind does not have: it is answered 500, and for good
(k8s.io/apimachinery, managedfields/internal/structuredmerge.go)."""


class Refused(PermanentError):
    """The API server has refused, and would do so again.

    ``status`` is that of HTTP; ``reason`` is Kubernetes' word: `NotFound`, `AlreadyExists`,
    `Conflict`, `Invalid`, `Forbidden`, ...; "" where something else has answered.
    ``of_fields`` says of a `Conflict` that another manager has the fields that were applied.
    ``causes`` are the fields that are wrong, as in ``spec.containers[0].image``, and why.
    ``why`` is the message in the server's own words.
    """

    def __init__(
        self, message: str, *, status: int, reason: str, of_fields: bool = False, hint: str = "",
        causes: tuple[tuple[str, str], ...] = (), why: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.of_fields = of_fields
        self.causes = causes
        self.why = why


def refusal(answer: Answer, what: str, now: datetime) -> AttemptError:
    """Return the error for an answer that is no success.

    Args:
        answer: with a `Status` as its body, or something else.
        what: what was asked, ``METHOD PATH``, for messages.
        now: the attempt's time, from which a Retry-After as a date counts.
    """
    body = _status(answer)
    why = " ".join(answer.mask(str(body.get("message") or "")).split()) or answer.excerpt()
    message = f"{what} was answered {answer.status}" + (f": {why}" if why else "")
    if is_temporary(answer.status) and NOT_OF_THE_KIND not in why:
        limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        return TemporaryError(message, delay=retry_after(answer, now), limited=limited)
    reason = answer.mask(str(body.get("reason") or ""))
    return Refused(
        message,
        status=answer.status,
        reason=reason,
        of_fields=any(one.get("reason") == "FieldManagerConflict" for one in _causes(body)),
        hint=_hint(answer.status, why),
        why=why,
        causes=tuple(
            (answer.mask(str(one.get("field") or "")), answer.mask(str(one.get("message") or "")))
            for one in _causes(body)
        ),
    )


def _causes(body: dict[str, Any]) -> list[dict[str, Any]]:
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [one for one in causes if isinstance(one, dict)] if isinstance(causes, list) else []


def _status(answer: Answer) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def missing_right(why: str) -> str:
    """Return the right that a refusal names: ``get on pods in namespace shop``; "" for another."""
    found = MISSING_VERB.search(why)
    if found is None:
        return ""
    resource = f"{found['resource']}.{found['group']}".rstrip(".")
    where = f" in namespace {found['namespace']}" if found["namespace"] else ""
    return f"{found['verb']} on {resource}{where}"


def _hint(status: int, why: str) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        return "the token or certificate is not, or no longer, valid for this cluster"
    if status == HTTPStatus.FORBIDDEN and (right := missing_right(why)):
        return f"grant the verb {right}; see docs/kubernetes.md"
    if status == HTTPStatus.NOT_FOUND and why.startswith("namespaces "):
        return "the namespace must be there before"
    if status == HTTPStatus.NOT_FOUND and "could not find the requested resource" in why:
        return "this cluster does not serve that kind in that version"
    return ""
