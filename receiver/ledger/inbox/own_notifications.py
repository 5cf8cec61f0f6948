"""Tells what waits for an approval: a notification of our own, in the transaction that holds it.

It is a delivery and a sync like those that arrive, so the rules that name the channel `postsync`
plan it, nothing of it is lost when a process ends, and none is stored of a hold that was not.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Text, bindparam, select, union_all

from receiver.contract.durations import seconds
from receiver.core.model import Event, Held, Sync, from_ms, rfc3339
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.deliveries import Arrival, InboxRows
from receiver.notification.own import OWN_CHANNEL, own_body
from receiver.notification.own_excerpt import Excerpt, excerpt, short
from receiver.notification.parse import read_notification

PLAN, RUN, EXPIRING = "plan.held", "run.held", "run.expiring"

NAMED = 10
"""Targets that one names; who wants all looks at the plan."""


class OwnNotifications:
    """Stores them.

    Args:
        page_url: the address of the page, if it is known.
        reaches: whether there are tenants: which of them see a sync is noted down with it.
    """

    def __init__(self, page_url: str | None, *, reaches: bool) -> None:
        self._plans = f"{page_url.rstrip('/')}/page/plans/" if page_url else ""
        self._reaches = reaches

    def tell_held(self, uow: UnitOfWork) -> None:
        """Store one for each plan that the transaction holds, or of which it holds runs.

        And one for each of which held runs are about to expire. However many runs a wave has, it is
        one: an approval of the plan is one of all of them. The lines of the trail get its sync's
        id. Of plans of such syncs none is made, or a rule that holds what it does about them would
        never come to an end.
        """
        held: dict[tuple[str, str], list[int]] = {}
        for place, event in enumerate(uow.events):
            if event.name in {PLAN, RUN, EXPIRING}:
                held.setdefault((event.plan, event.name), []).append(place)
        if not held:
            return
        uow.flush()
        rows, known = InboxRows({}, reaches=self._reaches), _Syncs(uow.connection)
        for (plan, _), places in held.items():
            lines = [uow.events[place] for place in places]
            about = known.of(plan, lines[0].sync)
            if about is None:
                continue
            arrival = self._arrival(uow.now, about, lines)
            told = rows.add(arrival, zlib.compress(arrival.body, 1)).sync
            for place, line in zip(places, lines, strict=True):
                uow.events[place] = replace(line, data={**line.data, "notifiedAs": told})
        if rows.deliveries:
            rows.write(uow.connection)
            uow.events += rows.events

    def _arrival(self, now: int, found: _About, lines: Sequence[Event]) -> Arrival:
        about = found.told.sync
        held = self._held(now, about, lines)
        what = "expiring" if held.expiring else "held"
        body = own_body(about, held, f"{held.plan} {what} at {now}")
        notification = read_notification(
            body, sender=about.sender, channel=OWN_CHANNEL, query={}, resources=False
        )
        until = f" until {held.expires}" if held.expires else ""
        why = f"plan {held.plan} of sync {about.id} is held{until}: {held.reason}"
        if found.told.shortened:
            why += f"; shortened: {found.told.shortened}"
        return Arrival(
            about.sender, OWN_CHANNEL, body, from_ms(now), notification, own=why, trace=found.trace
        )

    def _held(self, now: int, about: Sync, lines: Sequence[Event]) -> Held:
        plan, data = lines[0].plan, lines[0].data
        expiring = lines[0].name == EXPIRING
        return Held(
            sync=about.id, plan=plan, rule=str(data["rule"]), reason=str(data["reason"]),
            since=str(data["since"]) if expiring else rfc3339(from_ms(now)),
            expires=str(data["expires"]) if expiring else _expires(now, lines), expiring=expiring,
            command=f"postsync approve {plan}", link=self._plans and f"{self._plans}{plan}",
            **_whole(data) if lines[0].name == PLAN else _parts(lines),
        )  # fmt: skip


def _whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is held where it is a plan that has not started."""
    return {
        "targets": tuple(map(short, data["holds"])),
        "count": len(data["holds"]) + data.get("more", 0),
    }


def _parts(lines: Sequence[Event]) -> dict[str, Any]:
    """Return what is held where these runs of a plan are."""
    return {
        "actions": tuple(dict.fromkeys(line.data["action"] for line in lines)),
        "targets": tuple(short(str(line.data["target"])) for line in lines[:NAMED]),
        "count": len(lines),
    }


def _expires(now: int, lines: Sequence[Event]) -> str | None:
    """Return when the first of what is held now expires; None if nothing of it does."""
    times = [seconds(line.data["within"]) for line in lines if "within" in line.data]
    return rfc3339(from_ms(now + int(min(times) * 1000))) if times else None


@dataclass(frozen=True, slots=True)
class _About:
    """A sync as we tell of it, and its trace, which what we tell goes on with."""

    told: Excerpt
    trace: str


@dataclass(slots=True)
class _Syncs:
    """The syncs that plans are of; what several rules hold of one is read once."""

    connection: Connection
    known: dict[str, _About] = field(default_factory=dict)

    def of(self, plan: str, newest: str) -> _About | None:
        """Return the newest sync of a plan that a sender notified of, without its resources.

        Only plans that collect have more than the ``newest``; one that collects our own alone has
        none.
        """
        found = self.connection.scalar(_ABOUT, {"plan": plan, "newest": newest})
        if found is not None and found not in self.known:
            self.known[found] = self._read(found)
        return None if found is None else self.known[found]

    def _read(self, sync: str) -> _About:
        row = self.connection.execute(_NOTIFICATION, {"sync": sync}).one()
        read = read_notification(
            zlib.decompress(row.body), sender=row.sender, channel=row.channel,
            query=json.loads(row.query), resources=False,
        )  # fmt: skip
        return _About(excerpt(replace(read.sync, id=sync)), row.trace or "")


_S, _D, _M = tables.syncs.c, tables.deliveries.c, tables.plan_syncs.c
_COLLECTED = select(_M.sync_id).where(_M.plan_id == bindparam("plan"))
# One list, not an OR of two conditions, for which PostgreSQL would read all syncs.
_NEWEST = select(bindparam("newest", type_=Text))
_ABOUT = (
    select(_S.id)
    .where(_S.id.in_(union_all(_COLLECTED, _NEWEST)), _S.channel != OWN_CHANNEL)
    .order_by(_S.finished_at.desc().nulls_last(), _S.id.desc())
    .limit(1)
)
_NOTIFICATION = (
    select(_S.sender, _S.channel, _S.trace, _D.query, _D.body)
    .join(tables.deliveries, _D.id == _S.delivery_id)
    .where(_S.id == bindparam("sync"))
)
