"""The words of the model as expressions see them: camelCase, JSON values only.

Times are RFC 3339 strings, as in the API and the logs; ``timestamp(sync.finishedAt)``
makes one of CEL's. A value that is not known is ``""``, or null for ``imageChanged``
and the times.
"""

from __future__ import annotations

from datetime import datetime

from receiver.core.model import Application, Json, Resource, Source, Sync, rfc3339


def application_facts(app: Application) -> dict[str, Json]:
    """Return ``application``: name, namespace, project, uid, labels, destination.

    ``destination`` has server, name and namespace.
    """
    return {
        "name": app.name,
        "namespace": app.namespace,
        "project": app.project,
        "uid": app.uid,
        "labels": dict(app.labels),
        "destination": {
            "server": app.destination.server,
            "name": app.destination.name,
            "namespace": app.destination.namespace,
        },
    }


def sync_facts(sync: Sync) -> dict[str, Json]:
    """Return ``sync``, without its resources.

    id, sender, channel, phase, message, revision, revisions, sources (repoURL, path,
    targetRevision, chart), startedAt, finishedAt (RFC 3339), retryCount, dryRun,
    selective, automated, initiatedBy, options.
    """
    return {
        "id": sync.id,
        "sender": sync.sender,
        "channel": sync.channel,
        "phase": sync.phase,
        "message": sync.message,
        "revision": sync.revision,
        "revisions": list(sync.revisions),
        "sources": [_source_facts(source) for source in sync.sources],
        "startedAt": _moment(sync.started_at),
        "finishedAt": _moment(sync.finished_at),
        "retryCount": sync.retry_count,
        "dryRun": sync.dry_run,
        "selective": sync.selective,
        "automated": sync.automated,
        "initiatedBy": sync.initiated_by,
        "options": list(sync.options),
    }


def resource_facts(resource: Resource) -> dict[str, Json]:
    """Return ``resource``: Argo CD's fields, the change verdict with its reason, the key.

    ``change`` is ``changed``, ``unchanged`` or ``unknown``; ``imageChanged`` is null while
    it is unknown; ``key`` is readable and unique within the sync: ``apps/Deployment/shop/web``.
    """
    return {
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
        "namespace": resource.namespace,
        "name": resource.name,
        "status": resource.status,
        "message": resource.message,
        "hookType": resource.hook_type,
        "hookPhase": resource.hook_phase,
        "syncPhase": resource.sync_phase,
        "images": list(resource.images),
        "change": str(resource.change.verdict),
        "changeReason": resource.change.reason,
        "imageChanged": resource.image_changed,
        "key": resource.key,
    }


def _source_facts(source: Source) -> Json:
    return {
        "repoURL": source.repo_url,
        "path": source.path,
        "targetRevision": source.target_revision,
        "chart": source.chart,
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
