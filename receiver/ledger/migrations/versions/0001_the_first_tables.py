"""The first tables: those of the code, until the first release freezes them here."""

from alembic import op
from sqlalchemy.schema import CreateTable

from receiver.ledger.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table of the code.

    Indexes in the order of their names: SQLite takes the newest of two that cost it the same, and
    a table holds its indexes in no order.
    """
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            index.create(connection)
