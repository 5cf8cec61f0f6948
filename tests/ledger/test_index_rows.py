"""An index of PostgreSQL takes no row of more than 2,704 bytes: whatever is let in has fewer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from house import House
from notifications import resource
from planning import handlers, planner_of, rules_of, sync_of
from postgres import Databases
from sqlalchemy import select

from receiver.argocd.application_json import application_of
from receiver.argocd.objects import ObjectRef
from receiver.core.errors import PayloadError
from receiver.core.model import ChangeVerdict, new_id
from receiver.core.states import PlanState, RunState, SyncState
from receiver.dispatcher.live_facts import owner_by
from receiver.kubernetes.field_paths import parse_path
from receiver.ledger import tables
from receiver.ledger.audit.trail import labels
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.field_values import FieldPlace
from receiver.ledger.queue.pauses import Scope
from receiver.notification.application_memory import Memory
from receiver.notification.parse import read_notification
from receiver.planning.prepared_action import PreparedActions
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.entry_points import NAME as HANDLER
from receiver.rules.tenants.names import full_name
from receiver.settings.token_files import NAME as SENDER
from receiver.web.intake import CHANNEL
from receiver.web.operator_api import NAME as PAUSED

MOST = 20_000
"""Characters that are tried at a door."""

INDEXES = """
    SELECT indexrelid::regclass::text, indrelid::regclass::text, array_agg(
        ARRAY[attname::text, format_type(atttypid, NULL)] ORDER BY array_position(indkey, attnum)
    )
    FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
    JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = to_regnamespace('public') AND relname <> 'alembic_version'
    GROUP BY indexrelid, indrelid
"""

some = random.Random(1)  # noqa: S311 no secrets


def letters(many: int) -> str:
    """Letters that PostgreSQL cannot compress, as it does with what goes into an index."""
    return "".join(some.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=many))


def signs(many: int) -> str:
    """The same of four bytes each."""
    return "".join(chr(some.randrange(0x20000, 0x2A6D6)) for _ in range(many))


def longest(is_let_in: Callable[[str], Any], make: Callable[[int], str] = letters) -> str:
    """The longest text that a door lets in, of those that it could be asked for."""
    text = make(MOST)
    fits, too_many = 1, MOST + 1
    while too_many - fits > 1:
        tried = (fits + too_many) // 2
        fits, too_many = (tried, too_many) if is_let_in(text[:tried]) else (fits, tried)
    return text[:fits]


def notified(**application: Any) -> bool:
    """Whether such an Application is let in."""
    body = {"application": {"name": "shop", **application}, "eventKey": "one"}
    try:
        read_notification(json.dumps(body).encode(), sender="s", channel="events", query={})
    except PayloadError:
        return False
    return True


def is_path(text: str) -> bool:
    try:
        return bool(parse_path(text))
    except ValueError:
        return False


def named_by_kubernetes() -> dict[str, str]:
    """A name has 253 characters there, a namespace 63."""
    return {"namespace": letters(63), "name": letters(253)}


def keys(rule: str) -> Iterator[str]:
    """What a rule's plan is found by, whose expressions have made as much as they can."""
    how = {
        "concurrency": "concurrency: {key: '${{ sync.message }}'}",
        "series": "onNewer: supersede, throttle: {every: 1m, key: '${{ sync.message }}'}",
        "queue": "onNewer: queue, debounce: {key: '${{ sync.message }}'}",
    }
    sync = sync_of(resource("a"), message=signs(MOST))
    for one in how.values():
        text = f"- {{name: short, match: {{resources: [{{kind: ConfigMap}}]}}, {one}, "
        planner = planner_of(text + "actions: [{uses: log.message, with: {text: a}}]}")
        (plan,) = planner.plan(sync, "d-1", Memory()).plans
        made = (plan.key, plan.series, plan.collect and plan.collect.key)
        yield from (key.replace("short", rule) for key in made if key)


def lane(rule: str) -> str:
    """That of a rule with a long address and many credentials, in a service that counts them."""
    secrets = "".join(f", h{n}: {{file: {letters(200)}}}" for n in range(20))
    (made,) = rules_of(f"""
- name: short
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: gitlab.pipeline, with: {{url: a{secrets}}}}}]
""")
    named = made.model_copy(update={"name": rule})
    action = PreparedActions(Expressions(), handlers()).get(named, named.actions[0])
    return action.lane({"url": f"https://{letters(MOST)}.example"})


def longest_values() -> dict[str, str]:
    """The longest text of each indexed column, by its name, with the table where that matters."""
    rule = full_name(letters(63), letters(253))
    handler = "a." + longest(lambda text: HANDLER.fullmatch("a." + text))
    sender = longest(SENDER.fullmatch)
    name = longest(lambda text: notified(name=text))
    namespace = longest(lambda text: notified(namespace=text))
    state = max((*PlanState, *RunState, *SyncState), key=len).value
    one = named_by_kubernetes()
    ref = ObjectRef(letters(253), "v1", letters(63), letters(63), letters(MOST))
    place = FieldPlace.of(
        sender, application_of({"metadata": one, "spec": {"destination": {"server": signs(MOST)}}})
    )
    return {
        **dict.fromkeys(("id", "sync_id", "plan_id", "run_id"), new_id("s")),
        **dict.fromkeys(("rule_set", "digest"), letters(64)),
        "identity": f"{letters(64)}@{0:014d}",
        "sender": sender,
        "channel": longest(CHANNEL.fullmatch),
        "application": f"{namespace}/{name}",
        "project": longest(lambda text: notified(project=text), signs),
        "reaches.namespace": longest(lambda text: notified(destination={"namespace": text}), signs),
        "custom_rules.namespace": one["namespace"],
        "custom_rules.name": one["name"],
        "rule": rule,
        "state": state,
        "handler": handler,
        "lane": lane(rule),
        "flow": f"{rule} {namespace}/{name}",
        **dict.fromkeys(("concurrency_key", "series", "collect_key"), max(keys(rule), key=len)),
        "scope": max(Scope, key=len).value,
        "pauses.name": longest(PAUSED.fullmatch),
        "key_values.name": f"connection {sender} {letters(100)}",
        "counters.name": letters(40),
        "labels": labels(handler=handler, verdict=max(ChangeVerdict, key=len), le="+Inf"),
        "destination": place.destination,
        "resource": owner_by(ref),
        "path": longest(is_path),
    }


def test_each_index_takes_the_longest_that_is_let_in(ledgers: Databases) -> None:
    """A row that one refuses would fail its transaction, at each new try."""
    values, refused = longest_values(), dict[str, str]()
    with ledgers.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.prepare_threshold = None  # the same words are of another table each time
        indexes = connection.execute(INDEXES).fetchall()
        for index, table, columns in indexes:
            names = ", ".join(name for name, _ in columns)
            row = [
                values.get(f"{table}.{name}") or values[name] if kind == "text" else None
                for name, kind in columns
            ]
            # Of the same columns, but of rows of any state, and with nothing else in them.
            connection.execute("DROP TABLE IF EXISTS of_index")
            connection.execute(f"CREATE TABLE of_index AS SELECT {names} FROM {table}".encode())
            connection.execute(f"CREATE INDEX ON of_index ({names})".encode())
            places = ", ".join("%s" for _ in row)
            try:
                connection.execute(f"INSERT INTO of_index VALUES ({places})".encode(), row)
            except psycopg.errors.ProgramLimitExceeded as error:
                refused[index] = str(error)
    assert len(indexes) > 60
    assert refused == {}


def test_syncs_whose_key_is_long_wait_for_each_other(ledger: Ledger) -> None:
    """As with a short one, on either engine."""
    house = House.of(
        ledger,
        "- name: one\n  match: {resources: [{kind: ConfigMap}]}\n"
        f"  concurrency: {{key: {letters(MOST)}}}\n"
        "  actions: [{uses: log.message, with: {text: a}}]\n",
    )
    for second in range(2):
        house.sync("a", at=second)
    with ledger.read() as connection:
        states = connection.scalars(select(tables.plans.c.state))
        assert sorted(states) == [PlanState.ACTIVE, PlanState.WAITING]


@pytest.mark.parametrize("make", [letters, signs])
def test_a_row_of_an_index_has_so_many_bytes(
    ledgers: Databases, make: Callable[[int], str]
) -> None:
    """By this the bounds were chosen: with the text's own length and what leads a row."""
    bytes_each = len(make(1).encode())
    with ledgers.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE one (text TEXT PRIMARY KEY)")
        insert = "INSERT INTO one VALUES (%s)"
        connection.execute(insert, [make(2600 // bytes_each)])
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="maximum"):
            connection.execute(insert, [make(2800 // bytes_each)])
