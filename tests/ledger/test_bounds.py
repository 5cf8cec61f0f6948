"""No table grows for ever: what the same months of work leave behind is as much each time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from house import House
from notifications import resource
from sqlalchemy import func, insert, select
from test_retention import DAY, MONTH, just_now, prune, refuse

from receiver.core.model import from_ms
from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, put_value, store_rule_set
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import REFUSED_BYTES, IntakeWriter
from receiver.ledger.inbox.hook_messages import HookMessages, Message
from receiver.ledger.inbox.recovery import Operation, store_missed
from receiver.ledger.plans.custom_rules import CustomRule, store_custom_rule
from receiver.ledger.plans.field_values import FieldPlace, FieldUpdate, store_fields
from receiver.ledger.plans.poison_guard import record_start
from receiver.ledger.queue.heartbeats import (
    DispatcherHeartbeat,
    delete_old_heartbeats,
    write_heartbeat,
)
from receiver.ledger.retention import delete as deleting
from receiver.notification.field_memory import Remembered

RULES_OF = """
- name: tell-{month}
  match: {{resources: [{{kind: ConfigMap, imageChanged: true}}]}}
  debounce: {{window: 1s, maxWait: 5s}}
  actions: [{{uses: log.message, with: {{text: hello}}}}]
- name: tell-often-{month}
  match: {{}}
  throttle: {{every: 1s}}
  actions: [{{uses: log.message, with: {{text: hello}}}}]
"""
WITHIN_REACH = {"pauses"}
"""Tables that only operators fill, a row for a name that they give, and empty again."""


def work(house: House, month: int) -> None:
    """A month with Applications, hosts, rules and dispatchers of its own: a row into each table."""
    house.use(RULES_OF.format(month=month))
    rule_set = house.planner.rule_set
    with house.ledger.write() as connection:
        now = house.ledger.now(connection)
        store_rule_set(connection, now, rule_set.digest, rule_set.files)
        put_value(connection, RULES, {"digest": rule_set.digest, "loadedAt": now})
        delete_old_heartbeats(connection, now)
        write_heartbeat(connection, f"w-{month}", DispatcherHeartbeat(now, []))
        connection.execute(insert(tables.buckets).values(lane=f"h{month}", tokens=1.0, at=now))
        connection.execute(insert(tables.lanes).values(lane=f"h{month}", blocked_until=now))
        lost = Operation("argocd", f"shop-{month}", "", from_ms(now))
        store_missed(connection, now, "argocd", {lost: {}})
        uow = UnitOfWork(connection, now)
        value = Remembered("1", None, now, now)
        place = FieldPlace("argocd", f"shop-{month}", "here")
        store_fields(uow, FieldUpdate(place, {("ConfigMap/a", "data"): value}))
        custom = f"custom {month}"
        store_rule_set(connection, now, custom, ())
        store_custom_rule(uow, CustomRule("shop", "a", "u", month, custom, True, "Ready", ""))
        uow.flush()
    image = resource("a", images=[f"shop:{month}"])
    sync = house.sync(image, application=f"shop-{month}", at=just_now() + house_offset(house))
    with house.ledger.write() as connection:
        record_start(connection, f"w-{month}", [sync])
    house.pass_time(10)
    house.work()
    house.replay(sync)
    house.pass_time(10)
    house.work()
    refuse(house.ledger)
    HookMessages(house.ledger, lambda _at, _events: None).store(Message("hook", "shop", "said", {}))


def house_offset(house: House) -> float:
    return house.ledger.offset_ms / 1000


def sizes(ledger: Ledger) -> dict[str, int]:
    with ledger.read() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in tables.metadata.sorted_tables
        }


def test_every_table_is_as_large_after_each_month(ledger: Ledger) -> None:
    """Each gets a row, also a new table or this fails; what a month left, retention takes."""
    house, after = House.of(ledger, RULES_OF.format(month=0)), []
    for month in range(4):
        work(house, month)
        filled = sizes(house.ledger)
        assert {name for name, rows in filled.items() if not rows} <= WITHIN_REACH
        house.pass_time(40 * DAY)
        prune(house.ledger, MONTH)
        after.append(sizes(house.ledger))
    assert after[2] == after[3]


def test_refused_notifications_of_a_sender_are_bounded_in_number_and_bytes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are kept, their beginnings; another sender keeps its own."""
    monkeypatch.setattr(deleting, "REFUSED_KEPT", 3)
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    writer.start()
    body = bytes(range(256)) * 1024
    stored = [
        writer.submit(
            Arrival(sender, "sync", body, datetime.now(UTC), None, refusal="not_json")
        ).delivery
        for sender in 5 * ["broken"] + ["other"]
    ]
    writer.stop()
    prune(ledger, MONTH)
    d = tables.deliveries.c
    with ledger.read() as connection:
        rows = connection.execute(select(d.id, d.sender, d.size, d.body).order_by(d.id)).all()
    assert [row.sender for row in rows] == ["broken", "broken", "broken", "other"]
    assert rows[-1].id == stored[-1]
    assert {row.size for row in rows} == {len(body)}
    assert max(len(row.body) for row in rows) <= REFUSED_BYTES


def test_lines_that_belong_to_no_sync_are_bounded_in_number(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that is refused all day writes one each time; the newest stay."""
    monkeypatch.setattr(deleting, "LINES_KEPT", 3)
    for _ in range(6):
        refuse(ledger)
    prune(ledger, MONTH)
    # the three newest, and the line that tells of the pruning
    assert sizes(ledger)["audit_events"] == 4
