"""Statements of the hot path: compiled once for each engine, then run by the driver itself.

SQLAlchemy looks a statement up, binds its values and wraps what comes back anew at each execution,
which takes about ten times as long as SQLite does (24 us against 2 us for a row by its key, 250 us
against 58 us for forty rows). So what every notification and every run needs is still written as
SQLAlchemy's expressions, once for both engines, and executed without it.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Select,
    Text,
    TypeDecorator,
    bindparam,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

from receiver.core.storable import storable_values

Convert = Callable[[Any], Any]


class Prepared:
    """A statement that is defined once, at a module's level, and executed often.

    Its parameters are named; a list of any length is one of them (see `any_of`), so that the text
    of the statement is always the same.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._forms: dict[tuple[str, tuple[str, ...]], _Form] = {}

    def all(self, connection: Connection, /, **values: Any) -> list[Any]:
        """Return all rows, whose columns are attributes too."""
        form = self._form(connection, values)
        with _Errors(form, connection):
            cursor = _driver(connection).execute(form.sql, form.bind(values))
            return form.rows(cursor)

    def one(self, connection: Connection, /, **values: Any) -> Any:
        """Return the first row, where there always is one."""
        return self.all(connection, **values)[0]

    def scalars(self, connection: Connection, /, **values: Any) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.all(connection, **values)]

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the statement once for each row; all rows have the same names."""
        form = self._form(connection, rows[0])
        with _Errors(form, connection):
            driver = _driver(connection)
            if len(rows) == 1:
                driver.execute(form.sql, form.bind(rows[0]))
            else:
                driver.cursor().executemany(form.sql, [form.bind(row) for row in rows])

    def _form(self, connection: Connection, values: Mapping[str, Any]) -> _Form:
        key = connection.dialect.name, tuple(values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _Form.of(self._statement, connection.dialect, key[1])
        return form


@cache
def prepared(statement: Executable) -> Prepared:
    """Return a statement that was defined at a module's level as a prepared one."""
    return Prepared(statement)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


@dataclass(slots=True)
class _Form:
    """A statement as one engine takes it, with these parameters.

    Attributes:
        sql: its text.
        given: values that the statement itself has, by name.
        names: of the values, in the order in which the text wants them.
        by_name: whether the driver wants them by name instead.
        writers: how values of some names are written.
        readers: how the columns of a row are read, None if as they come.
        row: makes a row of its columns, None until the first one came.
    """

    sql: str
    given: Mapping[str, Any]
    names: tuple[str, ...]
    by_name: bool
    writers: Mapping[str, Convert]
    readers: tuple[Convert, ...] | None
    row: Any = None

    @classmethod
    def of(cls, statement: Executable, dialect: Dialect, names: Collection[str]) -> _Form:
        compiled = statement.compile(  # type: ignore[attr-defined]  # every statement of ours has it
            dialect=dialect, column_keys=list(names)
        )
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 what an expression compiles to
        state = compiled.construct_expanded_state(dict.fromkeys(names))
        writers = {
            name: write
            for name, bind in compiled.binds.items()
            if (write := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        given = {
            name: writers.get(name, _as_it_is)(value)
            for name, value in state.parameters.items()
            if name not in names
        }
        return cls(
            state.statement, given, tuple(state.positiontup or ()), state.positiontup is None,
            {name: write for name, write in writers.items() if name in names},
            _readers(statement, dialect),
        )  # fmt: skip

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Return the values of one execution as the driver wants them."""
        if self.writers or self.given:
            written = {name: write(values[name]) for name, write in self.writers.items()}
            values = {**self.given, **values, **written}
        if self.by_name:
            return dict(zip(values, storable_values(values.values()), strict=True))
        return storable_values([values[name] for name in self.names])

    def rows(self, cursor: Any) -> list[Any]:
        """Return what a cursor gives."""
        found = cursor.fetchall()
        if not found:
            return []
        if self.row is None:
            columns = [column[0] for column in cursor.description]
            self.row = namedtuple("Row", columns, rename=True)  # type: ignore[misc]  # noqa: PYI024 its columns are the statement's
        if self.readers is not None:
            readers = self.readers
            found = [
                [read(value) for read, value in zip(readers, one, strict=True)] for one in found
            ]
        return [self.row._make(one) for one in found]


class _Errors:
    """Raises what the driver raises as SQLAlchemy would."""

    __slots__ = ("_dialect", "_form")

    def __init__(self, form: _Form, connection: Connection) -> None:
        self._form = form
        self._dialect = connection.dialect

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Translate an error of the driver."""
        base = self._dialect.loaded_dbapi.Error
        if isinstance(error, base):
            raise DBAPIError.instance(
                self._form.sql, None, error, base, hide_parameters=True, dialect=self._dialect
            ) from error


def _readers(statement: Executable, dialect: Dialect) -> tuple[Convert, ...] | None:
    if not isinstance(statement, Select):
        return None
    types = [column.type for column in statement.selected_columns]
    found = [one.dialect_impl(dialect).result_processor(dialect, None) for one in types]
    return tuple(one or _as_it_is for one in found) if any(found) else None


def _as_it_is(value: Any) -> Any:
    return value


class _Texts(TypeDecorator[Sequence[str]]):
    """A list of texts as one parameter: JSON for SQLite, an array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the engine's own type."""
        own: TypeEngine[Any] = ARRAY(Text) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Write the list."""
        listed = list(value or ())
        return listed if dialect.name == "postgresql" else json.dumps(listed)


class any_of(FunctionElement[Any]):  # noqa: N801 as SQLAlchemy's own functions
    """Whether a column is one of the texts of a parameter: `IN`, whatever their number."""

    type = NullType()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, bindparam(name, type_=_Texts()))


@compiles(any_of, "sqlite")
def _in_json(element: any_of, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"


@compiles(any_of, "postgresql")
def _in_array(element: any_of, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY({texts})"
