"""The rules in force, each with what it has matched last and how its plans have ended.

The cost grows with the number of rules and with the plans of a day, of which so many are read at
most, never with the history.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select, text

from receiver.core.model import first_id, made_at
from receiver.core.states import PlanState
from receiver.ledger import tables
from receiver.ledger.audit.key_values import OUTLINE, get_value
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.plans.custom_rules import CustomRule, read_custom_rules
from receiver.ledger.prepared import Prepared
from receiver.ledger.queries.row_mapping import moment
from receiver.ledger.queries.rows import Pause
from receiver.ledger.queries.rule_rows import LastMatch, RuleInForce, RuleList, RuleOutline
from receiver.ledger.queries.status import NO_FILES, list_pauses, rules_in_force
from receiver.ledger.queries.told import told_pauses
from receiver.ledger.queue.pauses import Scope
from receiver.rules.tenants.names import file_name, full_name

DAY_MS = 86_400_000
MOST_PLANS = 100_000
"""Plans that are counted at most: so many take a tenth of a second."""

Counts = Mapping[str, Mapping[str, int]]


def read_rules(
    connection: Connection, now: int, only: str = "", binding: Binding = UNBOUND
) -> RuleList:
    """Read them, or the one of a name; ``now`` in milliseconds."""
    outlines: Sequence[RuleOutline] = get_value(connection, OUTLINE) or []
    custom = {full_name(*one.key): one for one in read_custom_rules(connection)}
    outlines = [*outlines, *(_outline(one) for one in custom.values())]
    since, counts = _count_plans(connection, now - DAY_MS)
    pauses = told_pauses(list_pauses(connection), binding)
    rules = [
        _rule(connection, one, counts.get(one["rule"], {}), pauses, custom.get(one["rule"]))
        for one in outlines
        if only in ("", one["rule"]) and binding.owns(one["rule"])
    ]
    status = NO_FILES if binding.bound else rules_in_force(connection)
    return {
        "digest": status["digest"], "loadedAt": status.get("loadedAt"),
        "refused": status["refused"], "countedSince": moment(since),
        "rules": sorted(rules, key=_trouble),
    }  # fmt: skip


def _trouble(rule: RuleInForce) -> tuple[bool, bool, bool]:
    """Sort by it: first what fails now, then what is not ready, then what has failed lately."""
    return not rule["failing"], rule["ready"], not rule["plans"].get(PlanState.FAILED)


def custom_outlines(connection: Connection) -> list[RuleOutline]:
    """Return those of the rules of PostSyncRules that are in force."""
    return [_outline(one) for one in read_custom_rules(connection) if one.outline]


def _outline(custom: CustomRule) -> RuleOutline:
    """Return that of the version in force; of a rule that has none, what names it."""
    if custom.outline:
        found: RuleOutline = json.loads(custom.outline)
        return found
    return {
        "rule": full_name(*custom.key), "file": file_name(*custom.key), "line": 1,
        "description": "", "enabled": True, "mode": "run", "channel": [], "handlers": [],
    }  # fmt: skip


def _rule(
    connection: Connection, outline: RuleOutline, plans: Mapping[str, int],
    pauses: Sequence[Pause], custom: CustomRule | None,
) -> RuleInForce:  # fmt: skip
    last = _last_match(connection, outline["rule"])
    return {
        **outline,
        "ready": custom is None or custom.ready,
        "message": custom.message if custom else "",
        "failing": last is not None and last["state"] == PlanState.FAILED,
        "pauses": [one for one in pauses if _holds(one, outline)],
        "lastMatched": last,
        "plans": {state.value: plans[state] for state in PlanState if state in plans},
    }


def _holds(pause: Pause, rule: RuleOutline) -> bool:
    """Whether a pause holds a rule back, or a part of it."""
    names = {Scope.ALL: [""], Scope.RULE: [rule["rule"]], Scope.HANDLER: rule["handlers"]}
    return pause["name"] in names[Scope(pause["scope"])]


_P = tables.plans.c
_NEWEST = Prepared(select(func.max(_P.id)).where(_P.rule == bindparam("rule")))
_PLAN = Prepared(
    select(_P.id, _P.sync_id, _P.application, _P.created_at, _P.state, _P.reason).where(
        _P.id == bindparam("id")
    )
)


def _last_match(connection: Connection, rule: str) -> LastMatch | None:
    (newest,) = _NEWEST.scalars(connection, rule=rule)
    if newest is None:
        return None
    row = _PLAN.one(connection, id=newest)
    return {
        "plan": row.id, "sync": row.sync_id, "application": row.application,
        "at": moment(row.created_at), "state": row.state, "reason": row.reason,
    }  # fmt: skip


_COUNT = text(
    "SELECT rule, state, COUNT(*) AS n, MIN(id) AS oldest FROM ("
    "  SELECT id, rule, state FROM plans WHERE id >= :since "
    "  ORDER BY id DESC LIMIT :most) AS newest "
    "GROUP BY rule, state"
)


def _count_plans(connection: Connection, since: int) -> tuple[int, Counts]:
    """Count plans by rule and state; return since when, and the counts."""
    wanted = {"since": first_id("p", since), "most": MOST_PLANS}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    oldest = []
    for row in connection.execute(_COUNT, wanted):
        counts[row.rule][row.state] = row.n
        oldest.append(row.oldest)
    if sum(each.total() for each in counts.values()) == MOST_PLANS:
        since = made_at(min(oldest))
    return since, counts
