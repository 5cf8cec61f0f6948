"""The yardstick: claims, calls and outcomes alone, in turns of 32, with 16 threads that call.

    python bench/floor_dispatcher.py LEDGER PORT

Of each new sync in the ledger (see `floor.py`) it reads the notification, stores a plan with a
run, claims it, calls the target by urllib3, and stores the outcome. It decides nothing, renders
nothing, logs nothing, and is stopped by a signal.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor, wait

import urllib3
from floor import Ledger, Row, add_counts, copy, events, new_ids

TURN = 32
GATHER, IDLE = 0.03, 0.005
OWNER = f"floor-{os.getpid()}"
ANY = "SELECT 1 FROM syncs WHERE state = 'new' LIMIT 1"

Attempt = tuple[dict[str, str], Future[None]]


def new(ledger: Ledger) -> list[tuple[str, str, str, bytes]]:
    """Read the oldest new syncs."""
    lock = " FOR UPDATE OF s SKIP LOCKED" if ledger.shared else ""
    return ledger.rows(
        "SELECT s.id, s.delivery_id, s.application, d.body FROM syncs s "
        "JOIN deliveries d ON d.id = s.delivery_id "
        f"WHERE s.state = 'new' ORDER BY s.id LIMIT {TURN}{lock}"
    )


def plan(ledger: Ledger, found: list[tuple[str, str, str, bytes]]) -> list[dict[str, str]]:
    """Store a plan and a run of each."""
    done = ledger.pattern["syncs"][0]
    columns = ("state", "rule_set", "planned_at", "recalled", "changed")
    planned, runs, plans, memories, trail = [], list[Row](), list[Row](), list[Row](), list[Row]()
    for sync, delivery, application, packed in found:
        json.loads(zlib.decompress(packed))
        ids = new_ids() | {"s": sync, "d": delivery}
        planned.append(ids)
        plans.append(copy(ledger, "plans", ids, application=application, state="active",
                          ended_at=None))  # fmt: skip
        runs.append(copy(
            ledger, "runs", ids, state="due", ready=True, attempts=0, claims=0, ended_at=None,
            output=None, first_attempt_at=None, flow=application,
        ))  # fmt: skip
        memories.append(copy(ledger, "memories", ids, application=application))
        trail += events(ledger, ids, "sync.planned", "rule.matched", "wave.released")
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    own = {name: done[name] for name in columns}
    ledger.many(f"UPDATE syncs SET {sets} WHERE id = :id", [own | {"id": o["s"]} for o in planned])
    for table, rows in (("plans", plans), ("runs", runs), ("memories", memories)):
        ledger.insert(table, rows)
    ledger.insert("audit_events", trail)
    return planned


def claim(ledger: Ledger, planned: list[dict[str, str]]) -> None:
    now = int(time.time() * 1000)
    ledger.many(
        "UPDATE runs SET state = 'running', ready = FALSE, owner = :owner, lease_until = :lease, "
        "attempts = 1, claims = 1, first_attempt_at = :now WHERE id = :id AND state = 'due'",
        [{"owner": OWNER, "lease": now + 30_000, "now": now, "id": o["r"]} for o in planned],
    )
    begun = [copy(ledger, "attempts", ids, ended_at=None, outcome="") for ids in planned]
    ledger.insert("attempts", begun)
    ledger.insert("audit_events", [
        row for ids in planned for row in events(ledger, ids, "attempt.started")
    ])  # fmt: skip


def end(ledger: Ledger, ended: list[dict[str, str]]) -> None:
    now = int(time.time() * 1000)
    rows = [ids | {"now": now, "owner": OWNER} for ids in ended]
    ledger.many(
        "UPDATE runs SET state = 'succeeded', owner = NULL, lease_until = NULL, due_at = NULL, "
        "output = 'null', ended_at = :now WHERE id = :r AND owner = :owner", rows,
    )  # fmt: skip
    ledger.many(
        "UPDATE attempts SET outcome = 'succeeded', ended_at = :now WHERE run_id = :r", rows
    )
    ledger.many("UPDATE plans SET state = 'succeeded', ended_at = :now WHERE id = :p", rows)
    ledger.insert("audit_events", [
        row for ids in ended for row in events(ledger, ids, "attempt.succeeded", "plan.succeeded")
    ])  # fmt: skip


def main() -> None:
    ledger, port = Ledger(sys.argv[1]), int(sys.argv[2])
    target = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=16)
    content = {"Content-Type": "application/json"}

    def call(ids: dict[str, str]) -> None:
        body = json.dumps({"name": ids["r"]}).encode()
        target.urlopen("POST", "/", body, content, retries=False)

    under_way: list[Attempt] = []
    with ThreadPoolExecutor(16) as pool:
        while True:
            wait([one for _, one in under_way], GATHER)
            ended = [ids for ids, one in under_way if one.done()]
            under_way = [(ids, one) for ids, one in under_way if not one.done()]
            more = len(under_way) < TURN and ledger.rows(ANY)
            if not (ended or more):
                time.sleep(IDLE)
                continue
            with ledger.writing():
                end(ledger, ended)
                planned = plan(ledger, new(ledger)) if more else []
                claim(ledger, planned)
                add_counts(ledger, {"ended": len(ended), "planned": len(planned)})
            under_way += [(ids, pool.submit(call, ids)) for ids in planned]


main()
