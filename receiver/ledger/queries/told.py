"""What rows tell a token that is bound to namespaces: nothing of the rules of others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection, Select

from receiver.core.states import SyncState
from receiver.ledger.binding import OF_ALL_RULES, Binding
from receiver.ledger.queries.row_mapping import read_events
from receiver.ledger.queries.rows import Event, Pause, Sync
from receiver.ledger.queue.pauses import Scope

ITS_OWN = frozenset({SyncState.IGNORED, SyncState.FAILED})
"""States of a sync whose reason is the sync's own; others' may name rules, files or servers."""


def read_lines(connection: Connection, query: Select[Any], binding: Binding) -> list[Event]:
    """Read lines of the trail, without what they say of all rules."""
    lines = read_events(connection, query)
    if not binding.bound:
        return lines
    return [
        cast("Event", {key: value for key, value in line.items() if key not in OF_ALL_RULES})
        if "plan" not in line else line
        for line in lines
    ]  # fmt: skip


def tell_syncs(syncs: Iterable[Sync], binding: Binding) -> None:
    """Take from syncs the reasons that may be of others' rules."""
    if binding.bound:
        for sync in syncs:
            sync["reason"] = told_reason(sync["state"], sync["reason"], binding)


def told_reason(state: str, reason: str, binding: Binding) -> str:
    """Return why a sync is in its state, "" if that may be of others' rules."""
    return reason if not binding.bound or state in ITS_OWN else ""


def told_pauses(pauses: Iterable[Pause], binding: Binding) -> list[Pause]:
    """Return the pauses that may hold one's rules back; who set others', and why, is not told."""
    if not binding.bound:
        return [*pauses]
    return [
        one if one["scope"] == Scope.RULE else {**one, "by": "", "reason": ""}
        for one in pauses
        if one["scope"] != Scope.RULE or binding.owns(one["name"])
    ]
