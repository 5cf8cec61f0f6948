"""Whatever a ledger holds: the API answers and the commands print it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import AS_VIEWER, Doors, doors
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from in_process import listening
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, Table, insert

from receiver.cli import main
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger

OVER_A_LEDGER = settings(
    phases=[Phase.generate],  # a smaller example costs minutes and tells little more
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

IDS = {"sync_id": "s-1", "plan_id": "p-1", "run_id": "r-1", "delivery_id": "d-1"}
OWN_IDS = {"syncs": "s-1", "plans": "p-1", "runs": "r-1", "deliveries": "d-1", "replays": "y-1",
           "planning_attempts": "s-1"}  # fmt: skip
STATES = {"syncs": "planned", "plans": "failed", "runs": "failed", "replays": "refused"}
ONE = {"seq": 7, "number": 1, "application": "argocd/shop", "verdict": "accepted"}
"""What leads from one row to the next, or what only ever has one of a few values."""

OF_JSON = {
    "targets": "[]", "secrets": "{}", "policy": "{}", "query": "{}", "image_verdicts": "{}",
}  # fmt: skip
"""Columns of JSON of ours, of a fixed form; in the others anything may be."""

TREES = {"parameters", "output", "handler_state"}

READ = (
    "/v1/syncs", "/v1/syncs/s-1", "/v1/syncs/last", "/v1/plans", "/v1/plans/p-1", "/v1/runs",
    "/v1/runs/r-1", "/v1/runs?state=failed", "/v1/events", "/v1/events?rule=r",
    "/v1/events?sync=s-1", "/v1/events?application=shop", "/v1/events?run=r-1", "/v1/pauses",
    "/v1/deliveries", "/v1/deliveries/d-1", "/v1/status", "/readyz",
)  # fmt: skip
COMMANDS = (
    ["show", "s-1"], ["show", "d-1", "p-1", "r-1"], ["status"], ["syncs"], ["plans"], ["runs"],
    ["pauses"], ["export"], ["tail", "--since", "2000-01-01T00:00:00Z"],
)  # fmt: skip

TEXTS = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["", "\0", "\ud800", "\udfff\ud800", "a\0b", "\\u0000", "\U0010ffff", "\x1b]0;x", "x" * 70_000]
)  # fmt: skip
BIG = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [-(2**63), 2**63 - 1, 0, 253402300799999, 253402300800000, -62135596800001]
)
SMALL = st.integers(-(2**31), 2**31 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def deep(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


TREE = st.recursive(
    st.none() | st.booleans() | BIG | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
) | st.integers(90, 2000).map(deep)


OF_TYPE: dict[type[Any], Any] = {
    Boolean: st.booleans(),
    Float: FLOATS,
    LargeBinary: st.binary(max_size=20) | st.just(zlib.compress(b"[]")),
    BigInteger: BIG,
    Integer: SMALL,
    tables.Text: TEXTS,
}


def value_of(table: Table, column: Column[Any], draw: Callable[[Any], Any]) -> Any:
    """Something of the column's type, as its writer might have stored it."""
    name = column.name
    if name == "id" or name in IDS or name in ONE or name in OF_JSON:
        return {**IDS, **ONE, **OF_JSON, "id": OWN_IDS.get(table.name)}[name]
    if name == "state":
        return STATES[table.name]
    if name in TREES:
        return dumps(draw(TREE))
    if name == "data":
        return dumps({"rule": "r", "text": draw(TREE)})
    return draw(OF_TYPE[type(column.type)])


def fill(ledger: Ledger, draw: Callable[[Any], Any]) -> None:
    """Put one row into each table; its values are whatever came."""
    with ledger.write() as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(table.delete().where(table.c[0].is_not(None)))
            if table.name == "key_values":
                values = [
                    ("created", draw(BIG)),
                    ("heartbeat w-1", {"at": draw(BIG), "thread_problems": []}),
                ]
                rows = [{"name": name, "value": dumps(value)} for name, value in values]
            elif table.name == "counters":
                rows = [{"name": "events_total", "labels": '{"event": "x"}', "value": draw(FLOATS)}]
            else:
                rows = [{c.name: value_of(table, c, draw) for c in table.columns}]
            connection.execute(insert(table), rows)


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


def refuse_constant(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


@settings(OVER_A_LEDGER, max_examples=12)
@given(data=st.data())
def test_no_stored_value_breaks_an_answer(web: Doors, data: st.DataObject) -> None:
    """Every list, story, page of the trail, probe and metric, as JSON that each reader takes."""
    fill(web.ledger, data.draw)
    for path in READ:
        answer = web.client.get(path, headers=AS_VIEWER)
        assert answer.status_code == 200, (path, answer.text)
        json.loads(answer.data, parse_constant=refuse_constant)
    assert web.client.get("/metrics").status_code == 200


@settings(OVER_A_LEDGER, max_examples=3)
@given(data=st.data())
def test_no_stored_value_breaks_a_command(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    """Each command that reads prints what there is, and ends well."""
    fill(ledger, data.draw)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    with listening(ledger, tmp_path) as url:
        monkeypatch.setenv("POSTSYNC_URL", url)
        for command in COMMANDS:
            monkeypatch.setattr("sys.argv", ["postsync", *command])
            with pytest.raises(SystemExit) as ended:
                main()
            needs_a_person = command == ["status"]  # no dispatcher is alive here
            assert bool(ended.value.code) == needs_a_person, command
