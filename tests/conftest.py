"""What many tests start from."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import cast

import pytest
from argocd_engine import Engine, build_engine
from argocd_server import ArgoCd, argocd_server
from control_plane import cluster
from hypothesis import settings
from kube import Kube
from kubelet import Kubelet, kubelet
from postgres import Databases, Postgres, postgres_server
from served import LIMIT, Serve, Served
from service import Target
from sqlalchemy import QueuePool
from whole_tables import none_read, on_postgresql, on_sqlite

from receiver.core import threads
from receiver.ledger.audit.key_values import CREATED, put_value
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.postgres import PostgresLedger, open_postgres
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.outbound import Outbound

# jsonschema makes 38 parsers of it when it is imported, a second of each worker's start, for
# formats that no schema here has.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment] # as if it were not installed

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background so, and all that tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis gives each example 200 ms, which a busy machine takes away from any test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

pytest_plugins = ["fault_report", "fault_fixtures", "in_process"]


# Else every process that a test starts compiles all of our modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture
def steady_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a thread that broke off count as well when it runs again, for the tests that follow."""
    monkeypatch.setattr(threads, "STEADY", 0.0)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Never search what is imported and collected for garbage: it stays until the end."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook as well
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests that share what is slow to make to one worker, and the slow ones first."""
    for item in items:
        if not group_of(item) and (group := shared_by(item)):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=begins)


LONGEST = ("kubernetes-services", "faults-sqlite", "faults-postgresql", "kubernetes", "image")
"""The groups that take minutes, most of them waiting, the longest first."""


def begins(item: pytest.Item) -> int:
    """Say when it is given out: else a worker is left alone with what takes longest."""
    group = group_of(item)
    if group in LONGEST:
        return LONGEST.index(group)
    return len(LONGEST) + (not group and item.get_closest_marker("slow") is None)


def group_of(item: pytest.Item) -> str:
    """Return the group that it belongs to, or ""."""
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else ""


def shared_by(item: pytest.Item) -> str:
    """Name whose fixture it has: Argo CD's engine, one of its module, or none ("")."""
    if not isinstance(item, pytest.Function):
        return ""
    fixtures = item._fixtureinfo.name2fixturedefs
    if "engine" in fixtures:
        return "argocd"
    of_module = any(made[-1].scope == "module" for made in fixtures.values())
    return item.path.stem if of_module else ""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger in a file; a copy is made in a twentieth of the time."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    open_ledger(path).close()
    return path


@pytest.fixture
def file_ledger(tmp_path: Path, migrated: Path) -> Iterator[SqliteLedger]:
    """A ledger in a file; no statement of ours may read a whole table that grows."""
    opened = open_ledger(Path(shutil.copy(migrated, tmp_path / "ledger.db")))
    with closing(opened), none_read(opened.engine, on_sqlite(migrated)):
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server; what it has committed does not wait for the disk."""
    with postgres_server() as started:
        yield started


@pytest.fixture(scope="session")
def ledgers(postgres: Postgres) -> Iterator[Databases]:
    with closing(Databases(postgres)) as made:
        yield made


@pytest.fixture(scope="session")
def engines() -> Iterator[dict[str, PostgresLedger]]:
    """By URL; an engine keeps its connections and the statements that it has compiled."""
    made: dict[str, PostgresLedger] = {}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def new_on_server(
    ledgers: Databases, engines: dict[str, PostgresLedger]
) -> Callable[[], AbstractContextManager[PostgresLedger]]:
    """Gives new ledgers on the server, one after the other."""

    @contextmanager
    def new() -> Iterator[PostgresLedger]:
        with ledgers.emptied() as url:
            if url not in engines:
                engines[url] = open_postgres(url)
            # An engine of the test's own, for its listeners, over the same connections.
            opened = PostgresLedger(engines[url].engine.execution_options(), engines[url].lasting)
            with opened.write(LockMode.APPEND) as connection:  # as new as the file of another test
                put_value(connection, CREATED, opened.now(connection))
            yield opened
            if cast("QueuePool", opened.engine.pool).checkedout():
                opened.close()

    return new


@pytest.fixture
def server_ledger(
    new_on_server: Callable[[], AbstractContextManager[PostgresLedger]],
) -> Iterator[PostgresLedger]:
    """A ledger in PostgreSQL; each statement of ours has an index that helps, if a table grows."""
    with new_on_server() as opened, none_read(opened.engine, on_postgresql(opened.engine)):
        yield opened


@pytest.fixture(params=["file_ledger", "server_ledger"], ids=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A new ledger, of either engine: what holds for one holds for the other."""
    made: Ledger = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return build_engine(tmp_path_factory.mktemp("argocd"))


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """A control plane; its tests belong to two xdist groups, to start but two at most.

    They are ``kubernetes``, and ``kubernetes-services`` for whole services beside it.
    """
    with cluster(tmp_path_factory.mktemp("kube")) as started:
        yield started


@pytest.fixture
def argocd(kube: Kube) -> Iterator[ArgoCd]:
    with argocd_server(kube) as started:
        yield started


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    with closing(Outbound()) as made:
        yield made


@pytest.fixture(scope="session")
def node(kube: Kube) -> Iterator[Kubelet]:
    with kubelet(kube, kube.authority.parent) as started:
        yield started


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers; all of them end with the test."""
    started: list[Served] = []

    def start(config: Path | None = None, limit: float = LIMIT, **settings: object) -> Served:
        started.append(Served(config, limit, **settings))
        return started[-1]

    yield start
    for served in started:
        served.stop()
