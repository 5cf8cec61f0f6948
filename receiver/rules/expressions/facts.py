"""The words of the model as expressions see them: camelCase, JSON values only, with their types.

Times are RFC 3339 strings, as in the API and the logs; ``timestamp(sync.finishedAt)``
makes one of CEL's. A value that is not known is ``""``, or null for ``imageChanged``,
the times, and a resource's labels and annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

from pydantic.alias_generators import to_camel

from receiver.core.model import (
    Application,
    FieldChange,
    Json,
    Live,
    Resource,
    Source,
    Sync,
    rfc3339,
)

Fields: TypeAlias = Mapping[str, tuple[str, Callable[[Any], Json]]]
"""Of each field its type, as `cel` declares it, and what reads its value from the model."""


def _texts(*names: str) -> Fields:
    """Return fields that are texts in the model too, from their names there."""
    return {to_camel(name): ("string", attrgetter(name)) for name in names}


DESTINATION = _texts("server", "name", "namespace")
APPLICATION: Fields = {
    **_texts("name", "namespace", "project", "uid"),
    "labels": ("map", lambda app: dict(app.labels)),
}
SYNC: Fields = {
    **_texts("id", "sender", "channel", "phase", "message", "revision"),
    "revisions": ("strings", lambda sync: list(sync.revisions)),
    "sources": ("list", lambda sync: [_source_facts(source) for source in sync.sources]),
    "startedAt": ("any", lambda sync: _moment(sync.started_at)),
    "finishedAt": ("any", lambda sync: _moment(sync.finished_at)),
    "retryCount": ("int", attrgetter("retry_count")),
    "dryRun": ("bool", attrgetter("dry_run")),
    "selective": ("bool", attrgetter("selective")),
    "automated": ("bool", attrgetter("automated")),
    **_texts("initiated_by"),
    "options": ("strings", lambda sync: list(sync.options)),
}
HELD: Fields = {
    **_texts("sync", "plan", "rule"),
    "actions": ("strings", lambda held: list(held.actions)),
    "count": ("int", attrgetter("count")),
    "targets": ("strings", lambda held: list(held.targets)),
    **_texts("reason", "since", "command", "link"),
    "expires": ("any", attrgetter("expires")),
    "expiring": ("bool", attrgetter("expiring")),
}
RESOURCE: Fields = {
    **_texts("group", "version", "kind", "namespace", "name", "status", "message"),
    **_texts("hook_type", "hook_phase", "sync_phase", "health", "health_message"),
    "images": ("strings", lambda resource: list(resource.images)),
    "change": ("string", lambda resource: str(resource.change.verdict)),
    "changeReason": ("string", attrgetter("change.reason")),
    "imageChanged": ("any", attrgetter("image_changed")),
    "labels": ("any", lambda resource: _mapping(resource.live.labels)),
    "annotations": ("any", lambda resource: _annotations(resource.live)),
    "fields": ("any", lambda resource: _field_facts(resource, ())),
    **_texts("key"),
}


def application_facts(app: Application) -> dict[str, Json]:
    """Return ``application``; its ``destination`` has fields of its own."""
    return _facts(APPLICATION, app) | {"destination": _facts(DESTINATION, app.destination)}


def sync_facts(sync: Sync) -> dict[str, Json]:
    """Return ``sync``, without its resources; each of its ``sources`` is a mapping.

    ``held`` has fields of its own, which are empty but on our own channel.
    """
    return _facts(SYNC, sync) | {"held": _facts(HELD, sync.held)}


def resource_facts(resource: Resource, paths: Iterable[str] = ()) -> dict[str, Json]:
    """Return ``resource``: Argo CD's fields, the change verdict with its reason, the key.

    ``change`` is ``changed``, ``unchanged`` or ``unknown``; ``imageChanged`` is null while
    it is unknown; ``key`` is readable and unique within the sync: ``apps/Deployment/shop/web``.
    ``fields`` has each of the ``paths``, as a selector writes it: null where nothing is known.
    """
    return _facts(RESOURCE, resource) | {"fields": _field_facts(resource, paths)}


def types_of(fields: Fields, prefix: str = "") -> dict[str, str]:
    """Return the types of fields by their names, below ``prefix``."""
    return {prefix + name: kind for name, (kind, _) in fields.items()}


def _facts(fields: Fields, subject: object) -> dict[str, Json]:
    return {name: read(subject) for name, (_, read) in fields.items()}


def _source_facts(source: Source) -> Json:
    return {
        "repoURL": source.repo_url,
        "path": source.path,
        "targetRevision": source.target_revision,
        "chart": source.chart,
    }


def _mapping(texts: Mapping[str, str] | None) -> Json:
    return None if texts is None else {**texts}


def _annotations(live: Live) -> Json:
    """Return those that there are."""
    if live.annotations is None:
        return None
    return {name: text for name, text in live.annotations.items() if text is not None}


def _field_facts(resource: Resource, paths: Iterable[str]) -> Json:
    unknown = FieldChange(unknown=resource.live.unknown)
    fields = {**dict.fromkeys(paths, unknown), **resource.live.fields}
    return {
        path: {"before": one.before, "after": one.after, "changed": one.changed}
        for path, one in fields.items()
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
