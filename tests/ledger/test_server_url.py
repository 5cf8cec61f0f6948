"""URLs of databases: libpq's own, with several hosts, and never shown with a password."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from postgres import Databases

from receiver.core.errors import LedgerError, LedgerUnavailable
from receiver.ledger.engine.dsn import connect_arguments, redacted_url
from receiver.ledger.engine.ledger import LockMode
from receiver.ledger.engine.open import prepare
from receiver.ledger.engine.pg_listen import Listener
from receiver.ledger.engine.postgres import open_postgres


@pytest.fixture
def url(ledgers: Databases) -> Iterator[str]:
    with ledgers.database() as made:
        yield made


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hush@db/postsync", "postgresql://me@db/postsync"),
        ("postgres://me@db:6432/postsync?password=hush", "postgresql://me@db:6432/postsync"),
        ("postgresql://me:hush@a:1,b:2/x", "postgresql://me@a:1,b:2/x"),
        ("postgresql://me:hush@a,b:5/x", "postgresql://me@a,b:5/x"),
        ("postgresql://me@/x?host=a,b&port=5", "postgresql://me@a:5,b:5/x"),
        ("postgresql:///x?host=/run/postgresql", "postgresql:///run/postgresql/x"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    """Where the place of a ledger is named."""
    assert redacted_url(url) == shown


def test_what_the_url_says_of_tls_is_kept() -> None:
    """And everything else that libpq knows and we do not set."""
    url = "postgresql://me@db/postsync?sslmode=verify-full&sslrootcert=/ca.crt"
    arguments = connect_arguments(url, 5.0)
    assert (arguments["sslmode"], arguments["sslrootcert"]) == ("verify-full", "/ca.crt")


def test_a_word_that_libpq_does_not_know_is_refused() -> None:
    """Without showing the URL, which may have a password."""
    with pytest.raises(LedgerError, match="URL is not understood") as refused:
        connect_arguments("postgresql://me:hush@db/postsync?pool=3", 5.0)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("password", ["pa/ss", "12/34", "a/b@c"])
def test_a_password_that_cuts_the_url_in_two_is_not_shown(password: str) -> None:
    """Its halves would count as a port and as the database's name, and be told as such."""
    for read in (redacted_url, lambda url: connect_arguments(url, 5.0)):
        with pytest.raises(LedgerError, match="URL is not understood") as refused:
            read(f"postgresql://me:{password}@db/postsync")
        assert not {"pa", "ss", "12", "34", "a/b"} & set(str(refused.value).split())


def test_of_several_hosts_the_one_that_answers_is_taken(url: str) -> None:
    """By whoever writes and by whoever listens."""
    both = url.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1")
    prepare(both)
    heard = threading.Event()
    listener = Listener(both, heard.set)
    listener.start()
    try:
        assert heard.wait(60)  # it listens
        heard.clear()
        with closing(open_postgres(both)) as ledger, ledger.write(LockMode.APPEND) as connection:
            ledger.notify(connection)
        assert heard.wait(60)
    finally:
        listener.stop()


def test_a_host_that_only_reads_is_not_taken(url: str, ledgers: Databases) -> None:
    """As a standby is before it is promoted."""
    name = url.rpartition("/")[2]
    ledgers.server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(LedgerUnavailable, match="read-only"):
        prepare(url)
