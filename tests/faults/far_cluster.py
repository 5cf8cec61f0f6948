"""The same cluster, its database on another host, behind a wire that can be cut."""

from __future__ import annotations

from contextlib import ExitStack

from cluster import Cluster
from postgres import Postgres, postgres_server
from wires import Wire, wire


class FarCluster(Cluster):
    """All share one wire to the database."""

    wire: Wire

    def _database(self, stack: ExitStack) -> tuple[Postgres, str]:
        self.wire = stack.enter_context(wire())
        server = stack.enter_context(
            postgres_server(durable=True, host=self.wire.address, namespace=self.wire.namespace)
        )
        return server, server.url()
