"""How Argo CD's API names an Application, and what its refusals mean."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from receiver.argocd.objects import Unreadable
from receiver.argocd.server import Server, message_of
from receiver.contract import Answer

UNSHOWN = "it is not there, or the account lacks `applications, get` on its project"


def application_path(name: str, part: str = "") -> str:
    """Return the path of an Application, or of a part of it: ``resource``."""
    return f"/api/v1/applications/{quote(name, safe='')}" + (f"/{part}" if part else "")


def application_query(namespace: str) -> dict[str, str]:
    """Return the parameters that say which Application of that name is meant."""
    return {"appNamespace": namespace} if namespace else {}


def refused(server: Server, answer: Answer) -> Unreadable | None:
    """Return why something is not shown; None where it is."""
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    why = message_of(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        return Unreadable(f"it is not there: {why}", gone=True)
    if answer.status == HTTPStatus.FORBIDDEN:  # so it answers for what is not there, too
        return Unreadable(f"{UNSHOWN}: {why}")
    return Unreadable(f"{server.name} answered {answer.status}: {why}")
