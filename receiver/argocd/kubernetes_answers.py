"""What the refusals of an API server mean."""

from __future__ import annotations

from http import HTTPStatus

from receiver.argocd.objects import Unreadable
from receiver.argocd.server import Server, message_of
from receiver.contract import Answer
from receiver.kubernetes.api_errors import missing_right


def refused(server: Server, answer: Answer) -> Unreadable | None:
    """Return why something is not shown; None where it is."""
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    why = message_of(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        return Unreadable(f"it is not there: {why}", gone=True)
    if right := missing_right(why):
        return Unreadable(f"the right to {right} is missing; see {server.page}")
    return Unreadable(f"it was answered {answer.status}: {why}")
