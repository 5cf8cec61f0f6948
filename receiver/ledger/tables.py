"""The tables. Times are milliseconds since 1970 UTC; JSON is text, so that both engines agree.

So does the order of ids, which is that of their time: text has the collation "C" on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
    types,
)
from sqlalchemy.ext.compiler import compiles

from receiver.core.states import LEFT_OUT_SYNCS, PlanState, RunState, SyncState, Trait

REVISION = "0001"
"""The newest migration; a ledger that has it needs none."""

metadata = MetaData()


def state_in(states: Sequence[StrEnum]) -> str:
    """Return the condition that ``state`` is one of these, for partial indexes and their queries.

    A query uses a partial index only if it has the index's condition in the same words.
    """
    names = ", ".join(f"'{state}'" for state in states)
    return f"state = {names}" if len(states) == 1 else f"state IN ({names})"


NOT_SUCCEEDED = f"state <> '{RunState.SUCCEEDED}'"
"""Plans and runs without the many that ended well."""

Seq = BigInteger().with_variant(Integer, "sqlite")


class Text(types.Text):
    """Text in the order of its bytes, on PostgreSQL too.

    The collation is a column's alone: SQLAlchemy would write one of the type into the cast of each
    parameter as well, where PostgreSQL does not take it between BETWEEN and AND.
    """


@compiles(Text, "postgresql")
def _text_of_postgresql(_type: Text, _compiler: object, **_options: object) -> str:
    return 'TEXT COLLATE "C"'


def _partial_index(name: str, where: str, *columns: str, unique: bool = False) -> Index:
    """Return an index of the rows that meet a condition, for both engines."""
    return Index(
        name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where)
    )


deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sync_id", Text),
    Column("size", Integer, nullable=False),
    Column("query", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _partial_index("deliveries_of_sync", "sync_id IS NOT NULL", "sync_id"),
    _partial_index("deliveries_refused", "sync_id IS NULL", "received_at"),
)

NEW_SYNC = state_in([SyncState.NEW])
VERIFYING_SYNC = state_in([SyncState.VERIFYING])
LEFT_OUT_SYNC = state_in(LEFT_OUT_SYNCS)

syncs = Table(
    "syncs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("identity", Text, nullable=False, unique=True),
    Column("delivery_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("resources", Integer, nullable=False),
    Column("changed", Integer),
    Column("unchanged", Integer),
    Column("unknown", Integer),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule_set", Text),
    Column("planned_at", BigInteger),
    Column("recalled", Text),
    Column("verify_until", BigInteger),
    Column("trace", Text),
    _partial_index("syncs_new", NEW_SYNC, "id"),
    _partial_index("syncs_verifying", VERIFYING_SYNC, "sender", "id"),
    Index("syncs_of_application", "application", "id"),
    _partial_index("syncs_left_out", LEFT_OUT_SYNC, "state", "id"),
    _partial_index("syncs_of_rule_set", "rule_set IS NOT NULL", "rule_set"),
)
"""``trace`` is the W3C trace context of its notification, where spans were written then."""

reaches = Table(
    "reaches",
    metadata,
    Column("sync_id", Text, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("tenant", Text),
    Index("reaches_of_namespace", "namespace", "sync_id"),
    Index("reaches_of_project", "project", "sync_id"),
)
"""What of a sync decides which tenants see it; of syncs that came while there were tenants.

``tenant`` is of those of our own channel alone; see `receiver.rules.tenants.sight`."""

rule_sets = Table(
    "rule_sets",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("files", LargeBinary, nullable=False),
    Column("loaded_at", BigInteger, nullable=False),
)

custom_rules = Table(
    "custom_rules",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("digest", Text),
    Column("ready", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("outline", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("told", Text, nullable=False),
    Column("left_out", Text, nullable=False),
    _partial_index("custom_rules_of_set", "digest IS NOT NULL", "digest"),
    Index("custom_rules_ready", "ready"),
)
"""The PostSyncRules of the cluster as they were known last; a row goes with its object.

``digest`` is of the rule set that is in force for it, NULL if there is none: of the version of
``generation`` if it is ``ready``, else of an earlier one that was; lists show its ``outline``.
``since`` is when that became so, ``told`` the digest of the status that was written into the object
last. ``left_out`` is, as JSON, of which sync this version was left out last, when and why; "" for
most."""

key_values = Table(
    "key_values",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Single facts: when the ledger was created, which rules are in force, who is alive."""

STARTED_PLAN = state_in(PlanState.where(Trait.OPEN | Trait.STARTED))
COLLECTING_PLAN = state_in([PlanState.COLLECTING])
GATED_PLAN = state_in([PlanState.GATED])
HELD_PLAN = state_in([PlanState.HELD])
SIGNALLED_PLAN = "signals > 0"

plans = Table(
    "plans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sync_id", Text, nullable=False),
    Column("rule_set", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("concurrency_key", Text),
    Column("concurrency_limit", Integer),
    Column("queue_position", BigInteger),
    Column("hold_above", Integer),
    Column("failure", Text),
    Column("gate", Text),
    Column("awaited", Text),
    Column("series", Text),
    Column("sync_finished_at", BigInteger, nullable=False),
    Column("newer_plan", Text),
    Column("newer_sync", Text),
    Column("collect_key", Text),
    Column("due_at", BigInteger),
    Column("held_at", BigInteger),
    Column("signals", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("plans_of_sync", "sync_id"),
    Index("plans_of_rule_set", "rule_set"),
    Index("plans_of_rule", "rule", "id"),
    Index("plans_of_application", "application", "id"),
    _partial_index("plans_by_state", NOT_SUCCEEDED, "state", "id"),
    _partial_index("plans_signalled", SIGNALLED_PLAN, "id"),
    _partial_index("plans_by_key", STARTED_PLAN, "concurrency_key", "state", "queue_position"),
    _partial_index("plans_collecting", COLLECTING_PLAN, "collect_key", unique=True),
    _partial_index("plans_collected", COLLECTING_PLAN, "due_at"),
    _partial_index("plans_gated", GATED_PLAN, "id"),
    _partial_index("plans_held", HELD_PLAN, "held_at"),
    _partial_index(
        "plans_open_of_series",
        "series IS NOT NULL AND ended_at IS NULL",
        "series",
        "sync_finished_at",
    ),
    _partial_index("plans_of_series", "series IS NOT NULL", "series", "sync_finished_at"),
)
"""``sync_id`` is the newest sync of the plan, ``sync_finished_at`` when that finished.

``queue_position`` is its number in the queue of its concurrency key, from when it starts.
``series`` is what plans have in common of which a newer may supersede an older; ``newer_plan`` is
the one that did. ``collect_key`` is of a plan that collects syncs, ``awaited`` the Applications
that such a one waits for, ``hold_above`` the number of targets above which it waits for an
approval, ``gate`` how it waits for its resources to be healthy, ``failure`` why it has failed
before its first wave. ``due_at`` is when it collects no more, or waits for its resources no longer.
``held_at`` is since when it is held; of a plan in another state it means nothing.

``signals`` counts what has happened to it since its last step was worked out; see
`receiver.ledger.plans.signals`."""

plan_syncs = Table(
    "plan_syncs",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("sync_id", Text, primary_key=True),
    Column("sync_finished_at", BigInteger, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    Index("plan_syncs_of_sync", "sync_id"),
)
"""The syncs of each plan that has collected them; any other plan has only its ``sync_id``."""

throttle_windows = Table(
    "throttle_windows",
    metadata,
    Column("collect_key", Text, primary_key=True),
    Column("every", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("throttle_windows_ended", "ends_at"),
)
"""Until when no further plan with this ``collect_key`` begins (`throttle`); ``every`` is how long
its windows are, in milliseconds."""

QUEUED_RUN = state_in(RunState.where(Trait.QUEUED))
SLEEPING_RUN = f"{state_in(RunState.where(Trait.CLAIMABLE))} AND NOT ready"
RUNNING_RUN = state_in([RunState.RUNNING])
FAILED_RUN = state_in([RunState.FAILED])
HELD_RUN = state_in([RunState.HELD])
EXPIRING_RUN = f"{HELD_RUN} AND expiry_due_at IS NOT NULL"
READY_RUN = "ready AND paused_at IS NULL"

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("plan_id", Text, nullable=False),
    Column("sync_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("section", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("handler", Text, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("target_index", Integer),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("skip_cause", Text),
    Column("rendered", Boolean, nullable=False, default=False),
    Column("ready", Boolean, nullable=False),
    Column("lane", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("virtual_time", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("owner", Text),
    Column("lease_until", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("key_number", Integer, nullable=False),
    Column("parameters", Text),
    Column("secrets", Text),
    Column("policy", Text),
    Column("handler_state", Text),
    Column("output", Text),
    Column("first_attempt_at", BigInteger),
    Column("paused_at", BigInteger),
    Column("held_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("expiry_due_at", BigInteger),
    Column("ended_at", BigInteger),
    Index("runs_of_plan", "plan_id", "state"),
    Index("runs_of_rule", "rule", "id"),
    Index("runs_of_handler", "handler", "id"),
    _partial_index("runs_by_state", NOT_SUCCEEDED, "state", "id"),
    _partial_index("runs_ready", READY_RUN, "lane", "virtual_time"),
    _partial_index("runs_sleeping", SLEEPING_RUN, "due_at"),
    _partial_index("runs_by_flow", QUEUED_RUN, "flow", "virtual_time"),
    _partial_index("runs_running", RUNNING_RUN, "lease_until"),
    _partial_index("runs_failed", FAILED_RUN, "ended_at"),
    _partial_index("runs_held", HELD_RUN, "held_at"),
    _partial_index("runs_expiring", EXPIRING_RUN, "expiry_due_at"),
)
"""``attempts`` counts how often it was started; ``claims`` also each time that the other side was
asked whether it has finished. So each claim has a number of its own, and an outcome with an older
one than the row's, of a claim that was taken over, is not stored.

``rendered`` is whether its parameters are rendered and valid: a retry repeats it with them.

``paused_at`` is since when a pause of its rule or handler holds a queued run back; of a run that
is not queued it means nothing. ``held_at`` is since when it is held, likewise; ``expires_at`` when
it is cancelled unless somebody approves it, NULL if never, ``expiry_due_at`` when that is told, or
where it was told, when that is done."""

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("blocked_until", BigInteger, nullable=False),
)
"""Lanes in which nothing begins for a while, because the other side has asked for it."""

buckets = Table(
    "buckets",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""Levels of the token buckets that several dispatchers share, and when they were counted."""

pauses = Table(
    "pauses",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""What is paused now: of the scope ``all`` the name is empty."""

ASKED_REPLAY = "state = 'asked'"
READY_REPLAY = (
    f"replays.{ASKED_REPLAY} AND NOT EXISTS "
    f"(SELECT 1 FROM syncs WHERE syncs.id = replays.sync_id AND syncs.{VERIFYING_SYNC})"
)

replays = Table(
    "replays",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sync_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("with_rules_in_force", Boolean, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("refusal", Text, nullable=False),
    Column("asked_again", Boolean, nullable=False),
    Column("ended_at", BigInteger),
    Index("replays_of_sync", "sync_id"),
    _partial_index("replays_asked", ASKED_REPLAY, "id"),
)
"""Syncs that an operator wants planned anew; an empty rule means all of them.

``with_rules_in_force`` is whether these are meant also while newer files are refused;
``asked_again`` whether the sync's live objects, which nobody could read, were asked for again."""

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("ended_at", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""``pending`` counts how often the other side, asked again, still worked on what the attempt had
started there: asking again is no attempt of its own. ``outcome`` is empty while the attempt is
under way."""

audit_events = Table(
    "audit_events",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("delivery_id", Text),
    Column("sync_id", Text),
    Column("plan_id", Text),
    Column("run_id", Text),
    Column("attempt", Integer),
    Column("data", Text, nullable=False),
    _partial_index("audit_events_of_sync", "sync_id IS NOT NULL", "sync_id"),
    _partial_index("audit_events_alone", "sync_id IS NULL", "at"),
)

messages = Table(
    "messages",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("application", Text, nullable=False),
    Index("messages_of_application", "application", "at"),
)
"""Hook messages: ``seq`` is the trail's line with the text, ``application`` is as the hook gave it.
Which sync a message belongs to is found when it is read: most messages come before their sync."""

memories = Table(
    "memories",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("packed_images", LargeBinary, nullable=False),
    Column("images_at", BigInteger, nullable=False),
    Column("failed", Text, nullable=False),
)
"""What is remembered of an Application between its syncs, as JSON by resource: its images
(compressed by zlib, for they are long and much alike), and what failed syncs changed."""

field_values = Table(
    "field_values",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("previous", Text),
    Column("finished_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("field_values_old", "at"),
)
"""Fields of live objects that rules compare: ``value`` after the sync that ran then,
``previous`` after the one before that; both are JSON, and a digest where they are long or a
Secret's. ``at`` is when it was known last that a rule asks for it."""

missed_operations = Table(
    "missed_operations",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("started_at", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index("missed_operations_old", "at"),
)
"""Operations that were overwritten before anybody saw them and are on the trail, so that none is
told of twice."""

planning_attempts = Table(
    "planning_attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Syncs, plans and replays being planned, syncs whose objects are being read, and how many
dispatchers in a row have begun that."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Float, nullable=False),
    sqlite_with_rowid=False,
)
"""Counted in the transaction that they count, so that a metric never disagrees with the ledger."""
