"""What an Application lists as its own, `status.resources`, and the health of each.

A sync's list says what its operation did; the Application's own says what there is, whatever
operation brought it. Up to Argo CD 2.14, and later where `controller.resource.health.persist` is
set, it has the health of each resource (controller/health.go of Argo CD).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias

from receiver.core.model import Change, ChangeVerdict, Resource
from receiver.notification.wire import WireResource

Name: TypeAlias = tuple[str, str, str, str]
"""What names a resource: group, kind, namespace and name."""

ALONE = Change(ChangeVerdict.UNCHANGED, "listed by the Application, and by no operation")


def read_health(told: Any) -> tuple[str, str]:
    """Return a health and its message, as Argo CD or a template of one's own writes them."""
    if told is None:
        return "", ""
    if not isinstance(told, dict):
        return _text(told), ""
    return _text(told.get("status")), _text(told.get("message"))


def own_resources(listed: Any) -> list[Resource]:
    """Return what an Application lists as its own; what has neither kind nor name is left out.

    Their ``status`` is "": it is what an operation did, and none lists them.
    """
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [one for one in map(_resource, entries) if one.kind and one.name]


def _resource(entry: dict[str, Any]) -> Resource:
    health, message = read_health(entry.get("health"))
    return Resource(
        group=_text(entry.get("group")),
        version=_text(entry.get("version")),
        kind=_text(entry.get("kind")),
        namespace=_text(entry.get("namespace")),
        name=_text(entry.get("name")),
        status="",
        message="",
        hook_type="",
        hook_phase="",
        sync_phase="",
        images=(),
        change=ALONE,
        health=health,
        health_message=message,
    )


def with_health(listed: Iterable[Resource], own: Iterable[Resource]) -> list[Resource]:
    """Return what an operation lists, with the health that the Application's own list tells."""
    told = {_name(one): one for one in own if one.health}
    if not told:
        return list(listed)
    # What is in no namespace has that of the destination in an operation's list.
    pairs = ((one, told.get(_name(one)) or told.get(_name(one, ""))) for one in listed)
    return [
        one._replace(health=of.health, health_message=of.health_message) if of else one
        for one, of in pairs
    ]


def others(own: Iterable[Resource], listed: Iterable[Resource | WireResource]) -> list[Resource]:
    """Return what the Application has beside what an operation lists."""
    names: Collection[Name] = {_name(one, space) for one in listed for space in (None, "")}
    return [one for one in own if _name(one) not in names]


def _name(one: Resource | WireResource, namespace: str | None = None) -> Name:
    space = one.namespace if namespace is None else namespace
    return one.group or "", one.kind, space or "", one.name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
