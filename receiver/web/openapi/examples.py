"""What may be sent, for readers of the document: a notification's query, and examples of bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from receiver.notification.parse import EVENT_KEY_LIMIT


class NotificationQuery(BaseModel):
    """What a notification may say in its address where its body does not."""

    model_config = ConfigDict(extra="allow")

    application: str = Field(default="", description="The Application, if the body names none.")
    namespace: str = Field(default="", description="Its namespace, likewise.")
    phase: str = Field(default="", description="How the sync ended, for a list of resources.")
    revision: str = Field(default="", description="What was synced, for a list of resources.")
    startedAt: str = Field(  # noqa: N815 the name in the address
        default="", description="When the sync began, likewise: RFC 3339."
    )
    finishedAt: str = Field(  # noqa: N815 the name in the address
        default="", description="When it ended, likewise; without both only equal bodies within "
        "ten minutes are duplicates.",
    )  # fmt: skip


class ChannelQuery(NotificationQuery):
    """The same, on a channel where events need no operation."""

    eventKey: str = Field(  # noqa: N815 the name in the address
        default="",
        max_length=EVENT_KEY_LIMIT,
        description="Tells one event from the next; on `sync` the operation does.",
    )


NOTIFICATION = {
    "application": {"name": "shop", "namespace": "argocd", "project": "web"},
    "operationState": {
        "phase": "Succeeded",
        "startedAt": "2026-06-10T08:20:03Z",
        "finishedAt": "2026-06-10T08:21:17Z",
        "syncResult": {
            "revision": "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12",
            "resources": [
                {
                    "version": "v1",
                    "kind": "ConfigMap",
                    "namespace": "shop",
                    "name": "assets",
                    "status": "Synced",
                    "message": "configmap/assets configured",
                }
            ],
        },
    },
}

EXAMPLES: Mapping[str, Any] = {
    "notify": NOTIFICATION,
    "notifyChannel": NOTIFICATION,
    "say": "applied 2 migrations",
    "retryRun": {"reason": "the CDN is back"},
    "retryRuns": {"rule": "purge", "since": "2h", "limit": 100, "reason": "the CDN is back"},
    "replaySync": {"rule": "purge", "reason": "the zone was wrong"},
    "cancelRun": {"reason": "rolled back"},
    "cancelPlan": {"reason": "rolled back"},
    "cancelSync": {"reason": "rolled back"},
    "approveRun": {"reason": "checked by hand"},
    "approvePlan": {"reason": "the bootstrap is meant"},
    "pauseAll": {"reason": "maintenance of the cluster"},
    "pauseRule": {"reason": "the CDN is down"},
    "pauseHandler": {"reason": "the CDN is down"},
}
"""A body by the name of its operation."""
