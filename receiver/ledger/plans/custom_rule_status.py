"""What is told of PostSyncRules in their status: which was told last, and how their plans do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, literal, select, text

from receiver.core.model import Json, first_id, from_ms, rfc3339
from receiver.core.states import PlanState
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rules import CustomRule, Key, select_custom_rules
from receiver.ledger.plans.records import Planning

MOST_PLANS = 10_000
"""Plans of one rule that are counted, the newest."""

_C, _P = tables.custom_rules.c, tables.plans.c


@dataclass(frozen=True, slots=True)
class Told:
    """A rule with the digest of what was told of it last.

    ``left_out`` is of which sync it was left out last, as its status has it; None for most.
    """

    rule: CustomRule
    told: str
    left_out: Json = None


@dataclass(frozen=True, slots=True)
class RuleNews:
    """How the plans of a rule do.

    Attributes:
        counts: of those that the ledger has, by state.
        sync: the one that was matched last.
        application: its Application.
        at: when it was planned, in milliseconds.
    """

    counts: dict[str, int] = field(default_factory=dict)
    sync: str = ""
    application: str = ""
    at: int = 0

    @property
    def open(self) -> bool:
        """Whether some are under way."""
        return any(not PlanState(state).ended for state in self.counts)


def read_told(connection: Connection) -> list[Told]:
    """Return all rules, with what was told of each."""
    rows = connection.execute(select_custom_rules().add_columns(_C.told, _C.left_out))
    return [
        Told(CustomRule(*row[:-2]), row.told, json.loads(row.left_out) if row.left_out else None)
        for row in rows
    ]


def matched_since(connection: Connection, since: int) -> list[str]:
    """Return the rules of custom resources that have plans made since then, in milliseconds."""
    query = select(_P.rule).where(_P.id >= first_id("p", since), _P.rule.contains("/")).distinct()
    return list(connection.scalars(query))


def read_news(connection: Connection, rule: str) -> RuleNews:
    """Return how the plans of a rule do."""
    newest = (
        select(_P.state)
        .where(_P.rule == rule)
        .order_by(_P.id.desc())
        .limit(literal(MOST_PLANS))
        .subquery()
    )
    counted = select(newest.c.state, func.count()).group_by(newest.c.state)
    counts = {row[0]: row[1] for row in connection.execute(counted)}
    last = select(_P.sync_id, _P.application, _P.created_at).where(_P.rule == rule)
    row = connection.execute(last.order_by(_P.id.desc()).limit(1)).one_or_none()
    return RuleNews(counts, *row) if row else RuleNews()


_TOLD = text(
    "UPDATE custom_rules SET told = :told "
    "WHERE namespace = :in_namespace AND name = :of_name AND uid = :of_uid"
)


_LEFT_OUT = text(
    "UPDATE custom_rules SET left_out = :left_out "
    "WHERE namespace = :in_namespace AND name = :of_name"
)


def store_left_out(uow: UnitOfWork, planning: Planning) -> None:
    """Store which rules of namespaces were left out of a sync."""
    for rule, why in planning.left_out.items():
        about = {
            "time": rfc3339(from_ms(uow.now - uow.now % 1000)), "sync": planning.sync,
            "application": planning.application, "message": why,
        }  # fmt: skip
        namespace, _, name = rule.rpartition("/")
        row = {"left_out": dumps(about), "in_namespace": namespace, "of_name": name}
        uow.add(_LEFT_OUT, row)


def store_told(uow: UnitOfWork, told: Sequence[tuple[Key, str, str]]) -> None:
    """Store the digests of what was told, each with the rule's namespace and name, and its uid."""
    for (namespace, name), uid, digest in told:
        row = {"told": digest, "in_namespace": namespace, "of_name": name, "of_uid": uid}
        uow.add(_TOLD, row)
