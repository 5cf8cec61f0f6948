"""What of the ledger a token sees and acts on: all, or what is of the namespaces it is bound to.

A bound token has the rules of its namespaces, with their plans and runs, and the syncs that these
rules may see. Decided once for a request, it goes with whoever reads or acts for that request, and
an id of what is another's is answered as one that there is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    and_,
    cast,
    exists,
    false,
    or_,
    select,
    type_coerce,
)

from receiver.core.errors import BeyondBinding
from receiver.ledger import tables
from receiver.rules.tenants.names import full_name, tenant_of
from receiver.rules.tenants.sight import Sight

OF_SYNC = (
    "notification.accepted", "notification.duplicate", "notification.made", "sync.recovered",
    "sync.verifying", "sync.verified", "sync.unverified", "sync.planned", "sync.ignored",
    "sync.failed",
)  # fmt: skip
"""Lines of the trail that tell of a sync, and nothing of a rule, an operator or the instance."""

OF_RULE = (
    "rule.error", "sync.replay_asked", "sync.replayed", "sync.replay_refused",
    "postsyncrule.loaded", "postsyncrule.refused", "postsyncrule.removed",
)  # fmt: skip
"""Lines that tell of the rule that they name, beside those of plans and runs."""

OF_PAUSE = ("pause.set", "pause.lifted")

OF_ALL_RULES = frozenset({"rules", "matched", "ruleSet", "objects", "health"})
"""Keys of a line about a sync that tell of the rules of all, or of what these ask for."""

Conditions = Sequence[ColumnElement[bool]]

_E, _P, _REACH = tables.audit_events.c, tables.plans.c, tables.reaches.c


@dataclass(frozen=True, slots=True)
class Binding:
    """Which namespaces a token is bound to.

    Attributes:
        namespaces: whose rules these are; None for a token that is not bound.
        sights: which syncs these rules see.
    """

    namespaces: frozenset[str] | None = None
    sights: Sequence[Sight] = ()

    @property
    def bound(self) -> bool:
        """Whether the token sees only a part."""
        return self.namespaces is not None

    def __str__(self) -> str:
        names = sorted(self.namespaces or ())
        return f"namespace{'s' if len(names) > 1 else ''} {', '.join(names)}"

    def owns(self, rule: str) -> bool:
        """Whether a rule of this name is one that the token may see."""
        return self.namespaces is None or tenant_of(rule) in self.namespaces

    def refusal(self, what: str, hint: str = "") -> BeyondBinding:
        """Return the error of whoever asks for what such a token has no part in."""
        other = "a token that is bound to no namespace sees it: the setting is tenants.tokens"
        return BeyondBinding(f"this token is bound to {self}, and {what}", hint=hint or other)

    def of_rules(self, rule: ColumnElement[str]) -> Conditions:
        """Return the conditions of rows that have the name of a rule; none where all are seen."""
        return [] if self.namespaces is None else [self._is_own(rule)]

    def of_syncs(self, sync: ColumnElement[Any]) -> Conditions:
        """Return the conditions of rows that have the id of a sync; none where all are seen."""
        if not self.bound:
            return []
        return [exists(self._reaches(select(_REACH.sync_id)).where(_REACH.sync_id == sync))]

    def newest_syncs(self, before: str, most: int) -> Select[Any]:
        """Select the newest of the syncs that are seen, before this id; an index leads to them."""
        query = self._reaches(select(_REACH.sync_id)).order_by(_REACH.sync_id.desc()).limit(most)
        return query.where(_REACH.sync_id < before) if before else query

    def of_lines(self, connection: Connection) -> Conditions:
        """Return the conditions of lines of the trail; none where all are seen."""
        if not self.bound:
            return []
        plan = exists().where(_P.id == _E.plan_id, *self.of_rules(_P.rule))
        alone = _E.plan_id.is_(None) & _E.run_id.is_(None)
        rule, scope, name = (data_of(connection, key) for key in ("rule", "scope", "name"))
        return [or_(
            plan,
            and_(alone, _E.name.in_(OF_SYNC), *self.of_syncs(_E.sync_id)),
            and_(alone, _E.name.in_(OF_RULE), *self.of_rules(rule)),
            and_(alone, _E.name.in_(OF_PAUSE), scope == "rule", *self.of_rules(name)),
        )]  # fmt: skip

    def _is_own(self, rule: ColumnElement[str]) -> ColumnElement[bool]:
        """Write it as ranges, for which an index of rules serves."""
        names = sorted(self.namespaces or ())
        ranges = [and_(rule >= full_name(one, ""), rule < f"{one}{AFTER}") for one in names]
        return or_(false(), *ranges)

    def _reaches(self, query: Select[Any]) -> Select[Any]:
        return query.where(or_(false(), *map(_seen_by, self.sights)))


UNBOUND = Binding()
"""Of a token that sees and may act on all."""

AFTER = chr(ord("/") + 1)
"""What follows the slash in a rule's name in the order of bytes."""


def _seen_by(sight: Sight) -> ColumnElement[bool]:
    """Write `Sight.takes` as a condition."""
    places: list[ColumnElement[bool]] = []
    if sight.projects:
        places.append(_REACH.project.in_(sorted(sight.projects)))
    if sight.namespace:
        clusters = _REACH.cluster.in_(sorted(sight.clusters))
        places.append(and_(_REACH.namespace == sight.namespace, clusters))
    senders = [_REACH.sender.in_(sorted(sight.senders))] if sight.senders else []
    told = or_(_REACH.tenant.is_(None), _REACH.tenant == sight.namespace)
    return and_(or_(false(), *places), told, *senders)


def data_of(connection: Connection, key: str) -> ColumnElement[str]:
    """Return the value of a key of a line's data, as an expression."""
    on_postgres = connection.dialect.name == "postgresql"
    data: Any = cast(_E.data, JSON) if on_postgres else type_coerce(_E.data, JSON)
    value: ColumnElement[str] = data[key].as_string()
    return value
