"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "attempts",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    op.create_table(
        "audit_events",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("delivery_id", TEXT, nullable=True),
        sa.Column("sync_id", TEXT, nullable=True),
        sa.Column("plan_id", TEXT, nullable=True),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("data", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(
            "audit_events_alone",
            ["at"],
            unique=False,
            sqlite_where=sa.text("sync_id IS NULL"),
            postgresql_where=sa.text("sync_id IS NULL"),
        )
        batch_op.create_index(
            "audit_events_of_sync",
            ["sync_id"],
            unique=False,
            sqlite_where=sa.text("sync_id IS NOT NULL"),
            postgresql_where=sa.text("sync_id IS NOT NULL"),
        )

    op.create_table(
        "buckets",
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "counters",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sender", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("sync_id", TEXT, nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "deliveries_of_sync",
            ["sync_id"],
            unique=False,
            sqlite_where=sa.text("sync_id IS NOT NULL"),
            postgresql_where=sa.text("sync_id IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_refused",
            ["received_at"],
            unique=False,
            sqlite_where=sa.text("sync_id IS NULL"),
            postgresql_where=sa.text("sync_id IS NULL"),
        )

    op.create_table(
        "memories",
        sa.Column("sender", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("application", TEXT, nullable=False),
        sa.Column("images", TEXT, nullable=False),
        sa.Column("images_at", sa.BigInteger(), nullable=False),
        sa.Column("failed", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("sender", "channel", "application"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "marks",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "messages",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("application", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index("messages_of_application", ["application", "at"], unique=False)

    op.create_table(
        "pauses",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("operator", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
    )
    op.create_table(
        "plan_syncs",
        sa.Column("plan_id", TEXT, nullable=False),
        sa.Column("sync_id", TEXT, nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "sync_id"),
    )
    with op.batch_alter_table("plan_syncs", schema=None) as batch_op:
        batch_op.create_index("plan_syncs_of_sync", ["sync_id"], unique=False)

    op.create_table(
        "plans",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("sync_id", TEXT, nullable=False),
        sa.Column("rule_set", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("application", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("targets", TEXT, nullable=False),
        sa.Column("concurrency_key", TEXT, nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("hold_above", sa.Integer(), nullable=True),
        sa.Column("series", TEXT, nullable=True),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("newer_plan", TEXT, nullable=True),
        sa.Column("newer_sync", TEXT, nullable=True),
        sa.Column("collect_key", TEXT, nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("stirred", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.create_index(
            "plans_by_key",
            ["concurrency_key", "state", "place"],
            unique=False,
            sqlite_where=sa.text("state IN ('waiting', 'active')"),
            postgresql_where=sa.text("state IN ('waiting', 'active')"),
        )
        batch_op.create_index(
            "plans_by_state",
            ["state", "id"],
            unique=False,
            sqlite_where=sa.text("state <> 'succeeded'"),
            postgresql_where=sa.text("state <> 'succeeded'"),
        )
        batch_op.create_index(
            "plans_collected",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("state = 'collecting'"),
            postgresql_where=sa.text("state = 'collecting'"),
        )
        batch_op.create_index(
            "plans_collecting",
            ["collect_key"],
            unique=True,
            sqlite_where=sa.text("state = 'collecting'"),
            postgresql_where=sa.text("state = 'collecting'"),
        )
        batch_op.create_index("plans_of_application", ["application", "id"], unique=False)
        batch_op.create_index("plans_of_rule", ["rule", "id"], unique=False)
        batch_op.create_index("plans_of_rule_set", ["rule_set"], unique=False)
        batch_op.create_index(
            "plans_of_series",
            ["series", "newest"],
            unique=False,
            sqlite_where=sa.text("series IS NOT NULL"),
            postgresql_where=sa.text("series IS NOT NULL"),
        )
        batch_op.create_index("plans_of_sync", ["sync_id"], unique=False)
        batch_op.create_index(
            "plans_open_of_series",
            ["series", "newest"],
            unique=False,
            sqlite_where=sa.text("series IS NOT NULL AND ended_at IS NULL"),
            postgresql_where=sa.text("series IS NOT NULL AND ended_at IS NULL"),
        )
        batch_op.create_index(
            "plans_stirred",
            ["id"],
            unique=False,
            sqlite_where=sa.text("stirred > 0"),
            postgresql_where=sa.text("stirred > 0"),
        )

    op.create_table(
        "replays",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("sync_id", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("operator", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("with_rules_in_force", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("refusal", TEXT, nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("replays", schema=None) as batch_op:
        batch_op.create_index(
            "replays_asked",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'asked'"),
            postgresql_where=sa.text("state = 'asked'"),
        )
        batch_op.create_index("replays_of_sync", ["sync_id"], unique=False)

    op.create_table(
        "rule_sets",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "runs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("plan_id", TEXT, nullable=False),
        sa.Column("sync_id", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("section", TEXT, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("handler", TEXT, nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("target_index", sa.Integer(), nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("share", TEXT, nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("key_number", sa.Integer(), nullable=False),
        sa.Column("parameters", TEXT, nullable=True),
        sa.Column("secrets", TEXT, nullable=True),
        sa.Column("policy", TEXT, nullable=True),
        sa.Column("handler_state", TEXT, nullable=True),
        sa.Column("output", TEXT, nullable=True),
        sa.Column("first_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "runs_by_share",
            ["share", "turn"],
            unique=False,
            sqlite_where=sa.text("state IN ('due', 'running', 'pending')"),
            postgresql_where=sa.text("state IN ('due', 'running', 'pending')"),
        )
        batch_op.create_index(
            "runs_by_state",
            ["state", "id"],
            unique=False,
            sqlite_where=sa.text("state <> 'succeeded'"),
            postgresql_where=sa.text("state <> 'succeeded'"),
        )
        batch_op.create_index(
            "runs_failed",
            ["ended_at"],
            unique=False,
            sqlite_where=sa.text("state = 'failed'"),
            postgresql_where=sa.text("state = 'failed'"),
        )
        batch_op.create_index("runs_of_handler", ["handler", "id"], unique=False)
        batch_op.create_index("runs_of_plan", ["plan_id", "state"], unique=False)
        batch_op.create_index("runs_of_rule", ["rule", "id"], unique=False)
        batch_op.create_index(
            "runs_ready",
            ["lane", "turn"],
            unique=False,
            sqlite_where=sa.text("ready AND paused_at IS NULL"),
            postgresql_where=sa.text("ready AND paused_at IS NULL"),
        )
        batch_op.create_index(
            "runs_running",
            ["lease_until"],
            unique=False,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )
        batch_op.create_index(
            "runs_sleeping",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('due', 'pending') AND NOT ready"),
            postgresql_where=sa.text("state IN ('due', 'pending') AND NOT ready"),
        )

    op.create_table(
        "syncs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("identity", TEXT, nullable=False),
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("sender", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("application", TEXT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("phase", TEXT, nullable=False),
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("resources", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("rule_set", TEXT, nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("recalled", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identity"),
    )
    with op.batch_alter_table("syncs", schema=None) as batch_op:
        batch_op.create_index(
            "syncs_left_out",
            ["state", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('ignored', 'failed')"),
            postgresql_where=sa.text("state IN ('ignored', 'failed')"),
        )
        batch_op.create_index(
            "syncs_new",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'new'"),
            postgresql_where=sa.text("state = 'new'"),
        )
        batch_op.create_index("syncs_of_application", ["application", "id"], unique=False)
        batch_op.create_index(
            "syncs_of_rule_set",
            ["rule_set"],
            unique=False,
            sqlite_where=sa.text("rule_set IS NOT NULL"),
            postgresql_where=sa.text("rule_set IS NOT NULL"),
        )

    op.create_table(
        "tried",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
