"""Wire -> model: makes a Sync of what was parsed, with a verdict on each resource."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from receiver.core.errors import PayloadError
from receiver.core.model import Application, Destination, Resource, Source, Sync
from receiver.notification.change_detection import detect_change
from receiver.notification.own_list import own_resources, read_health, with_health
from receiver.notification.shapes import Found
from receiver.notification.wire import (
    WireDestination,
    WireInitiatedBy,
    WireName,
    WireOperation,
    WireOperationState,
    WireResource,
    WireSources,
    WireSyncOperation,
    WireSyncResult,
)

CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
"""``user:token@`` in a repository's address is a secret, and is not kept."""

NO_STATE, NO_OPERATION, NO_REQUEST = WireOperationState(), WireOperation(), WireSyncOperation()
NO_RESULT, NOBODY, NO_DESTINATION = WireSyncResult(), WireInitiatedBy(), WireDestination()


def build(found: Found, *, sender: str, channel: str, event_key: str, resources: bool) -> Sync:
    """Make a Sync of what was parsed; the ledger gives it its id and time of arrival.

    Without ``resources`` it has none: their verdicts cost more than all the rest.

    Raises:
        PayloadError: ``wrong_type`` for a time outside the years 1 to 9999 in UTC.
    """
    state = found.operation or NO_STATE
    operation = state.operation or NO_OPERATION
    requested = operation.sync or NO_REQUEST
    done = state.sync_result or NO_RESULT
    by = operation.initiated_by or NOBODY
    revision, revisions = _revisions(done, requested)
    sync = Sync(
        sender=sender,
        channel=channel,
        application=_application(found.application),
        phase=state.phase or "",
        started_at=_utc(state.started_at, "startedAt"),
        finished_at=_utc(state.finished_at, "finishedAt"),
        message=state.message or "",
        revision=revision,
        revisions=revisions,
        sources=_sources(done) or _sources(requested),
        retry_count=state.retry_count or 0,
        dry_run=bool(requested.dry_run),
        selective=bool(requested.resources),
        automated=bool(by.automated),
        initiated_by=by.username or "",
        options=_options(requested),
        event_key=event_key,
        held=found.held,
    )
    return _with_resources(sync, done, found) if resources else sync


def _revisions(done: WireSyncResult, requested: WireSyncOperation) -> tuple[str, tuple[str, ...]]:
    several = done.revisions or requested.revisions or ()
    return done.revision or requested.revision or "", tuple(filter(None, several))


def _options(requested: WireSyncOperation) -> tuple[str, ...]:
    return tuple(option.strip() for option in requested.sync_options or () if option)


def _with_resources(sync: Sync, done: WireSyncResult, found: Found) -> Sync:
    listed = (_resource(one, sync) for one in done.resources or ())
    healthy = with_health(listed, own_resources(found.own))
    return replace(sync, resources=(*healthy, *found.beside))


def _application(name: WireName) -> Application:
    there = name.destination or NO_DESTINATION
    return Application(
        name=name.name or "",
        namespace=name.namespace or "",
        project=name.project or "",
        uid=name.uid or "",
        labels={key: value or "" for key, value in (name.labels or {}).items()},
        destination=Destination(there.server or "", there.name or "", there.namespace or ""),
    )


def _resource(entry: WireResource, sync: Sync) -> Resource:
    message, status, hook_type = entry.message or "", entry.status or "", entry.hook_type or ""
    health, why = read_health(entry.health)
    return Resource(
        entry.group or "",
        entry.version or "",
        entry.kind,
        entry.namespace or "",
        entry.name,
        status,
        message,
        hook_type,
        entry.hook_phase or "",
        entry.sync_phase or "",
        tuple(filter(None, entry.images or ())),
        detect_change(
            message,
            status=status,
            retry_count=sync.retry_count,
            dry_run=sync.dry_run,
            options=sync.options,
            hook=entry.name if hook_type else "",
        ),
        health=health,
        health_message=why,
    )


def _sources(wire: WireSources) -> tuple[Source, ...]:
    return tuple(
        Source(
            repo_url=CREDENTIALS.sub("", source.repo_url or ""),
            path=source.path or "",
            target_revision=source.target_revision or "",
            chart=source.chart or "",
        )
        for source in wire.sources or [wire.source]
        if source and (source.repo_url or source.path or source.chart)
    )


def _utc(moment: datetime | None, name: str) -> datetime | None:
    """Take a time without a zone as UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        path = f"operationState.{name}"
        message = f"{path}: a time outside the years 1 to 9999"
        raise PayloadError("wrong_type", message, fields={path: message}) from None
