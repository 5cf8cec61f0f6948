"""Runs the migrations over the connection that `receiver.ledger.engine.open` hands in."""

from alembic import context

from receiver.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
