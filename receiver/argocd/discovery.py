"""Which kinds an API server serves, and how their paths call them.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from receiver.argocd.application_json import mappings, text
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.objects import ObjectRef, Unreadable
from receiver.argocd.server import AnswerFailed, Server
from receiver.contract import PermanentError
from receiver.kubernetes.paths import version_path

STALE = 60.0
"""Seconds after which a kind that was not served is asked for again: it may be new."""
RENEWED = 3600.0
"""Seconds after which all of a group is asked for again: a kind may have changed its scope."""
REMEMBERED = 500
"""Groups and versions, those that were asked for last: large clusters serve some 200, and
notifications may name any."""


@dataclass(frozen=True, slots=True)
class Served:
    """A kind as its cluster serves it."""

    plural: str
    namespaced: bool


class Discovery:
    """Remembers the kinds of each group and version that was asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._groups: dict[str, tuple[float, Mapping[str, Served] | Unreadable]] = {}

    def find(self, ref: ObjectRef, deadline: float) -> Served | Unreadable:
        """Return how a kind is served.

        Raises:
            ConnectionFailed: the API server itself fails.
        """
        group = ref.api_version
        try:
            path = version_path(group)
        except PermanentError as error:
            return Unreadable(error.message)
        with self._lock:
            at, kinds = self._groups.get(group, (float("-inf"), {}))
        is_known = not isinstance(kinds, Unreadable) and ref.kind in kinds
        if time.monotonic() - at > (RENEWED if is_known else STALE):
            kinds = self._ask(path, deadline)
            self._remember(group, kinds)
        if isinstance(kinds, Unreadable):
            return kinds
        missing = Unreadable(f"its cluster serves no {ref.kind} in {group}")
        return kinds.get(ref.kind, missing)

    def _remember(self, group: str, kinds: Mapping[str, Served] | Unreadable) -> None:
        with self._lock:
            self._groups.pop(group, None)
            while len(self._groups) >= REMEMBERED:
                del self._groups[next(iter(self._groups))]
            self._groups[group] = (time.monotonic(), kinds)

    def _ask(self, path: str, deadline: float) -> Mapping[str, Served] | Unreadable:
        try:
            answer = self._server.get(path, deadline)
        except AnswerFailed as error:  # an aggregated API that is away
            return Unreadable(str(error))
        if answer.status == HTTPStatus.NOT_FOUND:
            return {}
        if why := refused(self._server, answer):
            return why
        return {
            text(one, "kind"): Served(text(one, "name"), one.get("namespaced") is True)
            for one in mappings(self._server.json(answer), "resources")
            if "/" not in text(one, "name")
        }
