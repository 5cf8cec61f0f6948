"""A client that the network has lost in the middle of a batch of statements."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest
from postgres import postgres_server
from service import wait_for
from wires import wire

from receiver.ledger.engine.dsn import connect_arguments


@pytest.mark.slow
@pytest.mark.xdist_group("faults-postgresql")
def test_a_server_drops_who_is_lost_within_a_batch_of_statements() -> None:
    """It would wait for the rest of the batch, as active and not as idle, and hold all locks."""
    with ExitStack() as stack:
        far = stack.enter_context(wire())
        server = stack.enter_context(postgres_server(host=far.address, namespace=far.namespace))
        lost = psycopg.connect(**connect_arguments(server.url(), busy_timeout=4.0))
        stack.callback(lost.close)
        batch = lost.pgconn
        batch.enter_pipeline_mode()
        for statement in (b"BEGIN", b"SELECT pg_advisory_xact_lock(1)"):
            batch.send_query_params(statement, None)
        batch.send_flush_request()
        batch.flush()
        wait_for(lambda: "active" in server.activity(), 10, "the server to take the lock")
        far.cut()
        wait_for(lambda: server.activity() == "", 60, "the server to drop the session")
