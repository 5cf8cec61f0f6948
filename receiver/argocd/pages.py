"""Lists of an API server, page by page.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from receiver.argocd.application_json import mapping, mappings, text
from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.objects import Unreadable
from receiver.argocd.server import JSON, Server, TooLarge, clock_of

LIMIT = 50
"""Objects of a page, where they come whole: Applications of some 30 KB each."""


class ListRefused(ConnectionFailed):
    """A list may not be read, or is not there; ``why`` without the server's name."""

    def __init__(self, message: str, why: Unreadable) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list.

    Attributes:
        items: as they came; those of Kubernetes' own kinds without their kind.
        version: of the list; a watch can go on from it.
        read_at: what the server's clock said.
    """

    items: list[Mapping[str, Any]]
    version: str
    read_at: datetime | None


def pages(
    server: Server, path: str, deadline: float, *, limit: int = LIMIT, accept: str = JSON,
    largest: int | None = None, whole: bool = False,
) -> Iterator[Page]:  # fmt: skip
    """Yield the pages of a list; smaller ones where one is too large.

    Without what is nested too deep, unless objects have to be ``whole``, to be compared.

    Where it takes so long that etcd no longer has its version, all come again.

    Raises:
        ListRefused: with the right that is missing.
        ConnectionFailed: the server itself fails.
    """
    token = ""
    while True:
        query = {"limit": str(limit)} | ({"continue": token} if token else {})
        try:
            answer = server.get(path, deadline, query, accept, largest)
        except TooLarge:
            if limit == 1:
                raise
            limit //= 2
            continue
        if answer.status == HTTPStatus.GONE and token:
            token = ""
            continue
        if why := refused(server, answer):
            raise ListRefused(f"{server.name}: GET {path}: {why.reason}", why)
        body = server.json(answer) if whole else server.objects(answer)
        metadata = mapping(body, "metadata")
        yield Page(
            list(mappings(body, "items")), text(metadata, "resourceVersion"), clock_of(answer)
        )
        token = text(metadata, "continue")
        if not token:
            return
