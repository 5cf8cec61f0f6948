"""The URL of a PostgreSQL database, and the arguments that psycopg connects with."""

from __future__ import annotations

from typing import Any

from receiver.core.errors import LedgerError

CONNECT_TIMEOUT = 5
"""Seconds to wait for a host: a server that is away is noticed before the sender gives up."""

SILENCE_MS = 10_000
"""How long data may stay unacknowledged before the connection counts as broken, and how long a
transaction may be idle before the server ends it: a process that was frozen within one must not
hold its locks for longer."""

KEEPALIVES = {"idle": SILENCE_MS // 1000, "interval": 2, "count": 3}
"""Seconds of silence before a probe, seconds between probes, and probes that may be lost. On both
sides: a server that waits for the rest of a batch of statements does not count as idle, and would
hold its locks for two hours after the network has lost the client.
"""

_SCHEMES = ("postgresql://", "postgres://")


def connect_arguments(url: str, busy_timeout: float) -> dict[str, Any]:
    """Return what psycopg connects with (https://www.postgresql.org/docs/current/libpq-connect.html).

    Args:
        url: ``postgresql://USER@HOST/DATABASE``; it may name several hosts, of which the one is
            taken that can be written to.
        busy_timeout: seconds to wait for another's write.

    Raises:
        LedgerError: the URL is none of PostgreSQL, or psycopg is not installed.
    """
    options = {
        "lock_timeout": int(busy_timeout * 1000),
        "idle_in_transaction_session_timeout": SILENCE_MS,
        "tcp_user_timeout": SILENCE_MS,
        **{f"tcp_keepalives_{name}": value for name, value in KEEPALIVES.items()},
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
    return {
        **_parsed(url),
        "connect_timeout": CONNECT_TIMEOUT,
        "tcp_user_timeout": SILENCE_MS,
        **{f"keepalives_{name}": value for name, value in KEEPALIVES.items()},
        "target_session_attrs": "read-write",
        "application_name": "postsync",
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }


def redacted_url(url: str) -> str:
    """Return user, hosts and database of a URL, without the password and the parameters.

    Raises:
        LedgerError: as `connect_arguments`.
    """
    known = _parsed(url)
    hosts, ports = (str(known.get(key, "")).split(",") for key in ("host", "port"))
    if len(ports) < len(hosts):
        ports = ports[:1] * len(hosts)
    places = [f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True)]
    user = f"{known['user']}@" if "user" in known else ""
    return f"postgresql://{user}{','.join(places)}/{known.get('dbname', '')}"


def _parsed(url: str) -> dict[str, Any]:
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise LedgerError(
            "a ledger in PostgreSQL needs psycopg, which is not installed",
            hint="`pip install '.[postgres]'` in a clone of Postsync",
        ) from None
    try:
        known = conninfo_to_dict(url) if url.startswith(_SCHEMES) else None
    except psycopg.ProgrammingError:
        known = None
    if known is None or _is_split(known):
        raise LedgerError(
            "the database's URL is not understood",
            hint="write it as postgresql://USER@HOST:5432/DATABASE; its password may stand in "
            "PGPASSWORD or a PGPASSFILE instead",
        )
    return dict(known)


def _is_split(known: dict[str, Any]) -> bool:
    """Whether a / in the password has cut the URL, so that its halves count as port and name."""
    ports = str(known.get("port", "")).split(",")
    return "@" in str(known.get("dbname", "")) or not all(
        port == "" or (port.isascii() and port.isdecimal()) for port in ports
    )
