"""What a connection may read, for `postsync check --cluster`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.connections import Both
from receiver.argocd.discovery import Served
from receiver.argocd.kubernetes_api import PLURAL, VERSION, KubernetesApi
from receiver.argocd.objects import ApplicationState, ObjectRef, Unreadable
from receiver.argocd.rights import Right, missing

LOOKED_AT = 20
"""Applications of which it is tried whether their objects may be read."""


@dataclass(slots=True)
class Probe:
    """What was found out about one connection.

    Attributes:
        name: the connection's.
        applications: how many it shows; None where they cannot be listed.
        problems: why it does not work.
        missing: what it cannot read: the rules that need it see ``unknown``.
    """

    name: str
    applications: int | None = None
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def probe(connection: Connection, deadline: float) -> list[Probe]:
    """Try what a connection is for, each of its two ways by itself; nothing is changed."""
    if isinstance(connection, Both):
        return [*probe(connection.kubernetes, deadline), *probe(connection.argocd, deadline)]
    found = Probe(connection.name)
    try:
        if isinstance(connection, KubernetesApi):
            found.problems += _missing_on_applications(connection, deadline)
        if not found.problems:
            _look(connection, found, deadline)
    except ConnectionFailed as error:
        found.problems.append(str(error))
    return [found]


def _look(connection: Connection, found: Probe, deadline: float) -> None:
    listed = connection.applications(deadline)
    found.applications = len(listed)
    if not listed:
        found.missing.append("it shows no Application: is there one, and may it be seen?")
    states = (connection.application(one.namespace, one.name, deadline) for one in listed)
    some = [one for one in islice(states, LOOKED_AT) if isinstance(one, ApplicationState)]
    if isinstance(connection, KubernetesApi):
        own = [one for one in some if connection.serves(one)]
        refs = list(dict.fromkeys(entry.ref for one in own for entry in one.resources))
        found.missing += _missing_on_objects(connection, refs, deadline)
    elif isinstance(connection, ArgoCdApi):
        found.missing += _unreadable(connection, some, deadline)


def _missing_on_applications(api: KubernetesApi, deadline: float) -> Iterator[str]:
    group, _ = VERSION.split("/")
    for namespace in api.namespaces:
        right = Right(group, PLURAL, namespace, ("get", "list", "watch"))
        yield from missing(api.server, right, deadline)


def _missing_on_objects(
    api: KubernetesApi, refs: Sequence[ObjectRef], deadline: float
) -> Iterator[str]:
    """Yield the rights that lack for the kinds that Applications have here."""
    asked = set()
    for ref in refs:
        served = api.discovery.find(ref, deadline)
        if isinstance(served, Served):
            asked.add((ref.group, served.plural, ref.namespace if served.namespaced else ""))
    for group, plural, namespace in sorted(asked):
        right = Right(group, plural, namespace, ("get", "list"))
        yield from missing(api.server, right, deadline)


def _unreadable(
    api: ArgoCdApi, applications: Sequence[ApplicationState], deadline: float
) -> Iterator[str]:
    """Try one object: what may get an Application may read its objects, so one tells for all."""
    refs = ((one, entry.ref) for one in applications for entry in one.resources)
    for application, ref in islice(refs, 1):
        found = api.live(application, [ref], deadline=deadline)[ref]
        if isinstance(found, Unreadable) and not found.gone:
            yield f"{ref} of Application {application.summary.key} cannot be read: {found.reason}"
