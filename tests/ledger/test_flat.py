"""What a notification costs does not grow with all that was stored before it.

Each statement that a test has executed over a ledger of either engine is looked at as well: see the
fixtures `file_ledger` and `server_ledger`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Delete,
    Dialect,
    TextClause,
    Update,
    create_engine,
    text,
)
from sqlalchemy.sql.compiler import SQLCompiler
from whole_tables import READS, by_page, none_read, on_postgresql, on_sqlite

import receiver.dispatcher
import receiver.ledger
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.prepared import Prepared

OURS = re.compile(rf"\b({'|'.join(tables.metadata.tables)})\b")
"""What is asked of the engine itself, as its locks are, is not the same on both."""


def hot_statements(dialect: Dialect) -> dict[str, tuple[str, str]]:
    """What is defined at a module's level, with its file: nearly all that runs need.

    A SELECT that is not prepared may be a part of another; that one is seen when it is executed.
    """
    found = {}
    for room in (receiver.ledger, receiver.dispatcher):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if re.search(r"\.(engine|migrations)\.", module.name):
                continue
            for name, one in vars(importlib.import_module(module.name)).items():
                statement = one._statement if isinstance(one, Prepared) else one
                if isinstance(one, Prepared | Update | Delete | TextClause):
                    file = f"{module.name.replace('.', '/')}.py"
                    found[f"{module.name}.{name}"] = file, _written(statement, dialect)
    return {
        name: (file, one)
        for name, (file, one) in found.items()
        if READS.match(one) and OURS.search(one)
    }


def _written(statement: Any, dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    wanted = [name for name, bind in compiled.binds.items() if bind.required]
    return compiled.construct_expanded_state(dict.fromkeys(wanted)).statement


def test_no_hot_statement_reads_a_whole_table(ledger: Ledger, migrated: Path) -> None:
    """Of either engine, by what it would do or could do at any size."""
    engine = ledger.engine
    whole = on_sqlite(migrated) if engine.name == "sqlite" else on_postgresql(engine)
    hot = hot_statements(engine.dialect)
    assert len(hot) > 40
    found = [
        (name, step)
        for name, (file, one) in hot.items()
        for step in whole(one, None)
        if not by_page(file, one, step)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("statement", "step"),
    [
        ("SELECT * FROM plans WHERE ended_at = ?", "SCAN plans"),
        (
            "SELECT * FROM plans WHERE plans.state = 'collecting' AND awaited <> '' ORDER BY id",
            "SCAN plans USING INDEX sqlite_autoindex_plans_1",
        ),
        ("DELETE FROM memories WHERE images_at < 5", "SCAN memories"),
        ("SELECT * FROM plans WHERE plans.state = 'collecting'", ""),
        ("SELECT * FROM plans WHERE id = ?", ""),
        ("SELECT * FROM pauses", ""),
    ],
)
def test_what_reads_a_whole_table_is_found(migrated: Path, statement: str, step: str) -> None:
    """An index of what is open may be read as a whole, and so may a small table."""
    assert on_sqlite(migrated)(statement, None) == ([step] if step else [])


def test_statements_of_tests_are_their_own(migrated: Path) -> None:
    """Only what we execute counts."""
    engine = create_engine(f"sqlite:///{migrated}")
    with none_read(engine, on_sqlite(migrated)), engine.connect() as connection:
        connection.execute(text("SELECT COUNT(*) FROM runs WHERE reason = 'x'"))
    engine.dispose()


def analysed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("ANALYZE")
        assert file.execute("SELECT COUNT(*) FROM sqlite_stat1").fetchone() != (0,)


def test_a_start_drops_statistics(tmp_path: Path) -> None:
    """They would have it read whole tables of which there was little when they were made."""
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    analysed(path)
    with closing(open_ledger(path)) as ledger, ledger.read() as connection:
        names = connection.scalars(text("SELECT name FROM sqlite_master")).all()
    assert "runs" in names
    assert not [name for name in names if name.startswith("sqlite_stat")]


def test_statistics_keep_nobody_from_opening_what_another_writes_to(tmp_path: Path) -> None:
    """To open a file that is as it should be takes no lock."""
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    analysed(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(open_ledger(path, busy_timeout=0.1)) as ledger, ledger.read() as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM runs")) == 0
