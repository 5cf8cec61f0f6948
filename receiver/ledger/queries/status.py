"""The state of the instance: readiness, rules in force, pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from receiver.core.errors import LedgerDamaged, LedgerGone, LedgerUnavailable
from receiver.ledger.audit.key_values import RULES, get_value, put_value
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.plans.custom_rules import count_custom_rules
from receiver.ledger.queries.row_mapping import moment
from receiver.ledger.queries.rows import DispatcherStatus, Pause, RulesStatus
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, read_heartbeats
from receiver.ledger.queue.pauses import pauses_in_force

PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the ledger takes writes.

    Attributes:
        reason: why it does not; "" if it does.
        damaged: whether it will never take one again.
        rules: which are in force; None where the ledger takes no writes.
        dispatcher: what the dispatchers say of themselves; None likewise.
        pauses: what is paused.
    """

    reason: str = ""
    damaged: bool = False
    rules: RulesStatus | None = None
    dispatcher: DispatcherStatus | None = None
    pauses: Sequence[Pause] = ()


def read_readiness(ledger: Ledger, owner: str = "") -> Readiness:
    """Try a write, and read what the dispatchers say of themselves, or the one of this name."""
    try:
        with ledger.write(LockMode.APPEND) as connection:
            put_value(connection, PROBE, ledger.now(connection))
        with ledger.read() as connection:
            found = read_heartbeats(connection)
            if owner:
                found = {name: last for name, last in found.items() if name == owner}
            return Readiness(
                rules=rules_in_force(connection),
                dispatcher=dispatchers_of(found, ledger.now(connection)),
                pauses=list_pauses(connection),
            )
    except LedgerUnavailable as error:
        return Readiness(str(error), isinstance(error, LedgerDamaged | LedgerGone))


NO_FILES: RulesStatus = {
    "ok": True, "refused": False, "error": "", "warnings": [], "digest": None, "rules": 0,
    "tenantRules": 0, "tenantRulesNotReady": 0,
}  # fmt: skip
"""What is told of rule files where they are none of one's business."""


def rules_in_force(connection: Connection) -> RulesStatus:
    """Return which rules are in force, and whether the files were refused since."""
    stored_rules = get_value(connection, RULES)
    ready, not_ready = count_custom_rules(connection)
    if stored_rules is None:
        error = "no rules have been loaded yet"
        return {
            "ok": False, "refused": False, "error": error, "warnings": [], "digest": None,
            "rules": 0, "tenantRules": ready + not_ready, "tenantRulesNotReady": not_ready,
        }  # fmt: skip
    return {
        "ok": stored_rules["ok"],
        "refused": not stored_rules["ok"],
        "error": stored_rules["error"],
        "warnings": stored_rules.get("warnings", []),
        "digest": stored_rules.get("digest"),
        "rules": stored_rules.get("rules", 0),
        "tenantRules": ready + not_ready,
        "tenantRulesNotReady": not_ready,
        "loadedAt": moment(stored_rules.get("loadedAt")),
        "refusedAt": None if stored_rules["ok"] else moment(stored_rules.get("refusedAt")),
    }


def list_pauses(connection: Connection) -> list[Pause]:
    """List what is paused, the oldest first."""
    return [
        {
            "scope": row.scope,
            "name": row.name,
            "by": row.operator,
            "at": moment(row.at),
            "reason": row.reason,
        }
        for row in pauses_in_force(connection)
    ]


DEAD_AFTER = 30.0
"""Seconds without a sign of life after which a dispatcher counts as dead; it beats every 5."""


def dispatchers_of(found: Mapping[str, DispatcherHeartbeat], now: int) -> DispatcherStatus:
    """Sum up what the dispatchers have said of themselves last."""
    ages = {owner: (now - last.at) / 1000 for owner, last in found.items()}
    alive = [owner for owner, age in ages.items() if age < DEAD_AFTER]
    return {
        "heartbeatAgeSeconds": min(ages.values(), default=None),
        "alive": len(alive),
        "hangingAttempts": sum(found[owner].hanging for owner in alive),
        "ailments": sorted({one for owner in alive for one in found[owner].thread_problems}),
    }
