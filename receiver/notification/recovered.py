"""The notification of an Application's last operation, written from the Application itself.

It says what the template of `postsync argocd-config` says, in the shape ``application``: neither
Helm values nor manifests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Fields: TypeAlias = "Mapping[str, Fields | None]"

_SOURCE: Fields = dict.fromkeys(("repoURL", "path", "chart", "targetRevision"))
_SOURCES: Fields = {"revision": None, "revisions": None, "source": _SOURCE, "sources": _SOURCE}
_OPERATION: Fields = {
    "initiatedBy": dict.fromkeys(("username", "automated")),
    "sync": {**_SOURCES, **dict.fromkeys(("dryRun", "resources", "syncOptions"))},
}
_STATE: Fields = {
    **dict.fromkeys(("phase", "message", "startedAt", "finishedAt", "retryCount")),
    "operation": _OPERATION,
    "syncResult": {**_SOURCES, "resources": None},
}
_APPLICATION: Fields = {
    "metadata": dict.fromkeys(("name", "namespace", "uid", "labels")),
    "spec": {"project": None, "destination": dict.fromkeys(("server", "name", "namespace"))},
    "status": {"operationState": _STATE},
}
"""What is kept of an Application; None keeps a value whole."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a sender's notifications name of a sync's identity.

    What is recovered names the same, so that it and a notification that comes late are one sync.

    Attributes:
        namespace: the Application's namespace.
        started_at: when the operation started.
        finished_at: when it finished; without it nothing can be recovered.
    """

    namespace: bool = True
    started_at: bool = True
    finished_at: bool = True


def recovered_body(application: Mapping[str, Any], wording: Wording) -> bytes:
    """Return the notification, as `receiver.notification.parse` reads it."""
    body = _chosen(application, _APPLICATION)
    if not wording.namespace:
        body["metadata"].pop("namespace", None)
    if not wording.started_at:
        body["status"]["operationState"].pop("startedAt", None)
    return json.dumps(body, ensure_ascii=False).encode()


def _chosen(tree: Any, fields: Fields | None) -> Any:
    if fields is None:
        return tree
    if isinstance(tree, list):
        return [_chosen(one, fields) for one in tree]
    if not isinstance(tree, dict):
        return tree
    return {name: _chosen(tree[name], fields[name]) for name in fields if name in tree}
