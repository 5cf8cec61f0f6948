"""Live objects by Argo CD's API.

``/resource`` reads one object from its cluster. ``/managed-resources`` has all of an Application at
once, as they were when Argo CD last compared them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import msgspec

from receiver.argocd.application_json import application_of, json_object, mappings, text
from receiver.argocd.argocd_paths import application_path, application_query, refused
from receiver.argocd.live_json import live_object
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.argocd.server import AnswerFailed, Server, TooLarge
from receiver.argocd.unanswered import read_twice, unanswered

FEW = 3
"""As many objects are asked for one by one: each is read live, whatever Argo CD has cached."""
MANY = 100
"""As many are asked for one by one at most, where what is cached cannot serve."""
LAST_MOMENT = 0.25
"""Part of the time that is kept for asking one by one, where Argo CD has not compared in time."""
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each look at whether Argo CD has compared anew; the last one goes on."""

Found = LiveObject | Unreadable
LATE = Unreadable("Argo CD has not compared the Application again since the operation's end")
TOO_LARGE = Unreadable("the Application's objects are too large to be read at once")


class _Item(msgspec.Struct):
    """Of a managed resource what is read; all else is not even unpacked, and may be larger."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    liveState: str = ""  # noqa: N815 Argo CD's name


class _Managed(msgspec.Struct):
    items: list[_Item] = []


@dataclass(frozen=True, slots=True)
class LiveByArgoCd:
    """One reading of an Application's objects; ``keep`` returns what is kept of one."""

    server: Server
    application: ApplicationState
    deadline: float
    content: bool
    keep: Callable[[LiveObject], LiveObject | Unreadable]

    def read(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, Found]:
        """Read objects; each is in what is returned."""
        return read_twice(self._read, refs, self.deadline)

    def _read(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, Found]:
        if len(refs) <= FEW:
            return self._one_by_one(refs)
        left = self.deadline - time.monotonic()
        compared = self._wait_until_compared(self.deadline - LAST_MOMENT * left)
        if isinstance(compared, Unreadable):
            return dict.fromkeys(refs, compared)
        why = LATE
        if compared:
            try:
                return self._from_cache(refs)
            except TooLarge:
                why = TOO_LARGE
            except AnswerFailed as error:
                return dict.fromkeys(refs, unanswered(error))
        return dict.fromkeys(refs, why) | self._one_by_one(refs[:MANY])

    def _wait_until_compared(self, until: float) -> bool | Unreadable:
        """Return whether Argo CD has compared the Application since its operation's end."""
        summary = self.application.summary
        ended, reconciled_at = summary.finished_at, self.application.reconciled_at
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            if ended and reconciled_at and reconciled_at >= ended:
                return True
            if ended is None or time.monotonic() + pause >= until:  # None: another one runs
                return False
            time.sleep(pause)
            answer = self.server.get(
                application_path(summary.name), until, application_query(summary.namespace)
            )
            if why := refused(self.server, answer):
                return why
            reconciled_at = application_of(self.server.json(answer)).reconciled_at
        raise AssertionError("the pauses go on for ever")

    def _from_cache(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, Found]:
        """Read all of the Application at once.

        Raises:
            AnswerFailed: they cannot be told; `TooLarge`.
        """
        states = self._managed()
        if isinstance(states, Unreadable):
            return dict.fromkeys(refs, states)
        found: dict[ObjectRef, Found] = {}
        for ref in refs:
            state = states.get((ref.group, ref.kind, ref.namespace, ref.name))
            if state is None:  # what is in no namespace
                state = states.get((ref.group, ref.kind, "", ref.name))
            found[ref] = (
                Unreadable("it is not among the Application's resources any more")
                if state is None
                else self._object_of(ref, state)
            )
        return found

    def _managed(self) -> dict[tuple[str, ...], str] | Unreadable:
        """Return all live objects of the Application as JSON, by what names them."""
        summary = self.application.summary
        answer = self.server.get(
            application_path(summary.name, "managed-resources"),
            self.deadline,
            application_query(summary.namespace),
        )
        if why := refused(self.server, answer):
            return why
        try:
            items = msgspec.json.decode(answer.body, type=_Managed).items
        except msgspec.MsgspecError:
            items = [
                _Item(*(text(item, name) for name in _Item.__struct_fields__))
                for item in mappings(self.server.json(answer), "items")
            ]
        return {(one.group, one.kind, one.namespace, one.name): one.liveState for one in items}

    def _one_by_one(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, Found]:
        return {ref: self._one(ref) for ref in refs}

    def _one(self, ref: ObjectRef) -> Found:
        summary = self.application.summary
        query = application_query(summary.namespace) | {
            "namespace": self._namespace_of(ref),
            "resourceName": ref.name,
            "group": ref.group,
            "version": ref.version,
            "kind": ref.kind,
        }
        path = application_path(summary.name, "resource")
        try:
            answer = self.server.get(path, self.deadline, query)
        except AnswerFailed as error:  # the object's cluster may be away
            return unanswered(error)
        why = refused(self.server, answer)
        return why or self._object_of(ref, text(self.server.json(answer), "manifest"))

    def _namespace_of(self, ref: ObjectRef) -> str:
        """Return its namespace, "" if Argo CD knows the object as one that is in none."""
        listed = {replace(one.ref, version=ref.version) for one in self.application.resources}
        bare = replace(ref, namespace="")
        return "" if bare in listed and ref not in listed else ref.namespace

    def _object_of(self, ref: ObjectRef, state: str) -> Found:
        if state in {"", "null"}:
            return Unreadable("it is not there any more", gone=True)
        found = json_object(state)
        if found is None:
            return Unreadable(f"{self.server.name} tells it in a form that cannot be read")
        return self.keep(live_object(ref, found, self.server.name, content=self.content))
