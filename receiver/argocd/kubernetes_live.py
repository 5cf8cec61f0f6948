"""Live objects by an API server: their metadata alone, unless they are wanted whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from receiver.argocd.application_json import mapping, text
from receiver.argocd.discovery import Discovery, Served
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.live_json import live_object
from receiver.argocd.objects import LiveObject, ObjectRef, Unreadable
from receiver.argocd.pages import ListRefused, pages
from receiver.argocd.server import JSON, AnswerFailed, Server, clock_of
from receiver.argocd.unanswered import read_twice, unanswered
from receiver.contract import PermanentError
from receiver.kubernetes.paths import below, path_of

FEW = 3
"""As many objects of a kind and namespace are asked for one by one, more by a list."""
METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""
SMALL, WHOLE = 500, 50
"""Objects of a page: their metadata alone (a few KB each), and whole."""
LARGEST_PAGE = 16 << 20
"""Bytes of a page: it is in memory three times while it is read. A larger one is parted."""
T = TypeVar("T")
GONE = Unreadable("it is not there any more", gone=True)


@dataclass(frozen=True, slots=True)
class LiveByKubernetes(Generic[T]):
    """One reading of objects.

    Attributes:
        server: the API server.
        discovery: its kinds.
        deadline: as `time.monotonic` counts.
        content: read whole objects.
        keep: returns what is kept of an object: those of one page alone are in memory at once.
    """

    server: Server
    discovery: Discovery
    deadline: float
    content: bool
    keep: Callable[[LiveObject], T]

    def read(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, T | Unreadable]:
        """Read objects; each is in what is returned."""
        return read_twice(self._read, refs, self.deadline)

    def _read(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, T | Unreadable]:
        found: dict[ObjectRef, T | Unreadable] = {}
        alike: dict[tuple[str, str], list[ObjectRef]] = defaultdict(list)
        for ref in refs:
            served = self.discovery.find(ref, self.deadline)
            if isinstance(served, Unreadable):
                found[ref] = served
                continue
            try:
                alike[collection(ref, served), ref.kind].append(ref)
            except PermanentError as error:
                found[ref] = Unreadable(error.message)
        for (path, _), some in alike.items():
            found |= self._listed(path, some) if len(some) > FEW else self._each(path, some)
        return found

    def _each(self, path: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, T | Unreadable]:
        return {ref: self._one(path, ref) for ref in refs}

    def _one(self, path: str, ref: ObjectRef) -> T | Unreadable:
        path = below(path, ref.name)
        try:
            answer = self.server.get(path, self.deadline, accept=self._form())
        except AnswerFailed as error:
            return unanswered(error)
        if why := refused(self.server, answer):
            return GONE if why.gone else why
        return self._object(ref, self.server.json(answer), clock_of(answer))

    def _listed(self, path: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, T | Unreadable]:
        """Read the collection until all are found."""
        missing = {ref.name: ref for ref in refs}
        found: dict[ObjectRef, T | Unreadable] = {}
        limit, form = WHOLE if self.content else SMALL, self._form("List")
        try:
            for page in pages(
                self.server, path, self.deadline, limit=limit, accept=form, largest=LARGEST_PAGE,
                whole=self.content,
            ):  # fmt: skip
                for item in page.items:
                    ref = missing.pop(text(mapping(item, "metadata"), "name"), None)
                    if ref is not None:
                        found[ref] = self._object(ref, item, page.read_at)
                if not missing:
                    break
        except ListRefused as error:
            return dict.fromkeys(refs, error.why)
        except AnswerFailed as error:
            return dict.fromkeys(refs, unanswered(error))
        return {**dict.fromkeys(missing.values(), GONE), **found}

    def _object(self, ref: ObjectRef, found: Mapping[str, Any], read_at: datetime | None) -> T:
        name, whole = self.server.name, self.content
        return self.keep(live_object(ref, found, name, content=whole, read_at=read_at))

    def _form(self, of: str = "") -> str:
        return JSON if self.content else METADATA.format(list=of)


def collection(ref: ObjectRef, served: Served) -> str:
    """Return the path of the objects of a kind that lie beside this one.

    Raises:
        PermanentError: a name that Kubernetes does not allow either, or a namespace is missing.
    """
    if served.namespaced and not ref.namespace:  # else that of all namespaces, one of them its own
        raise PermanentError(f"a {ref.kind} is in a namespace, and none is named")
    path = path_of(ref.api_version, served.plural, ref.namespace if served.namespaced else None)
    below(path, ref.name)
    return path
