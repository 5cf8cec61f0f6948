"""The first tables: those of the code, until the first release freezes them here."""

from alembic import op

from receiver.ledger.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table of the code."""
    metadata.create_all(op.get_bind(), checkfirst=False)
