"""The same cluster, its database with a standby that takes over."""

from __future__ import annotations

from contextlib import ExitStack

from cluster import Cluster
from postgres import SUPERUSER, Postgres, postgres_server, standby_of


class StandbyCluster(Cluster):
    """The URL names both servers; what is committed is on both."""

    standby: Postgres

    def _database(self, stack: ExitStack) -> tuple[Postgres, str]:
        server = stack.enter_context(postgres_server(durable=True))
        self.standby = stack.enter_context(standby_of(server))
        places = ",".join(f"{one.host}:{one.port}" for one in (server, self.standby))
        return server, f"postgresql://{SUPERUSER}@{places}/postgres"

    def fail_over(self) -> None:
        """Lose the primary for good, with its power, and promote the standby."""
        self.server.kill()
        self.standby.run("SELECT pg_promote()")
