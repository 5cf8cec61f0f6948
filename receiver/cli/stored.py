"""A notification that a server has stored, read again where a command runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from receiver.cli.client import Client, in_commands
from receiver.core.errors import ServerError
from receiver.core.model import Sync
from receiver.inspection.stored_notification import sync_of
from receiver.ledger.queries.delivery_rows import DeliveredSync, DeliveryStory
from receiver.notification.recalled import Recalled, with_recalled


@dataclass(frozen=True, slots=True)
class StoredNotification:
    """A sync as its notification tells it, with what was known beside.

    Attributes:
        sync: with its id.
        recalled: what was known when it was planned.
        connected: whether its sender has a connection to Argo CD.
        outcome: what became of it.
    """

    sync: Sync
    recalled: Recalled
    connected: bool
    outcome: DeliveredSync

    @property
    def judged(self) -> Sync:
        """The sync with its verdicts, as it was planned."""
        return with_recalled(self.sync, self.recalled)


def connected_senders(client: Client) -> set[str]:
    """Return the senders that have a connection to Argo CD or its cluster, by the settings.

    Raises:
        ServerError: for one, the token is bound to namespaces. It is not told what was recalled
            either, without which it would seem that nobody had asked the live objects.
    """
    return {one["sender"] for one in client.get("/v1/status")["connections"]}


def fetch_stored(client: Client, sync: str) -> StoredNotification:
    """Ask a server for the notification of a sync.

    Raises:
        ServerError: there is none, or it cannot be read.
    """
    found: DeliveryStory = client.get(f"/v1/deliveries/{quote(sync, safe='')}")
    return read_stored(found, connected_senders(client))


def read_stored(found: DeliveryStory, connected: set[str]) -> StoredNotification:
    """Read what a server has told of a delivery.

    Raises:
        ServerError: it is none of a sync.
        PayloadError: this version does not understand it.
    """
    outcome = found["outcome"]
    if found["notification"] is None or outcome is None:
        why = in_commands(found["note"]) or found["reason"]
        raise ServerError(f"delivery {found['id']} has no notification of a sync: {why}")
    sync, recalled = sync_of(found, outcome, json.dumps(found["notification"]).encode())
    return StoredNotification(sync, recalled, found["sender"] in connected, outcome)
