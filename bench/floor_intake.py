"""The yardstick: a Flask view that parses the JSON and stores it durably, in groups, as it is.

Run by gunicorn as `bare.py` is; `BENCH_LEDGER` is a ledger that has one notification with its run
(see `floor.py`). One thread writes what has gathered, as Postsync's does.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from flask import Flask, request
from floor import Ledger, Row, add_counts, copy, events, identity, new_ids

GATHER = 0.002
"""Seconds that a group waits for more, as Postsync's does."""

app = Flask("floor")
waiting: SimpleQueue[tuple[str, str, bytes, int, Future[None]]] = SimpleQueue()


@app.post("/v1/notifications")
def take() -> tuple[str, int]:
    body = request.get_data()
    tree = request.get_json(force=True)
    name, at = tree["application"]["name"], tree["operationState"]["finishedAt"]
    done: Future[None] = Future()
    waiting.put((f"argocd/{name}", identity(name, at), zlib.compress(body, 1), len(body), done))
    done.result()
    return "{}\n", 202


def write() -> None:
    ledger = Ledger(os.environ["BENCH_LEDGER"])
    while True:
        group = [waiting.get()]
        time.sleep(GATHER)
        try:
            while len(group) < 64:
                group.append(waiting.get_nowait())
        except Empty:
            pass
        store(ledger, group)
        for *_, done in group:
            done.set_result(None)


def store(ledger: Ledger, group: list[tuple[str, str, bytes, int, Future[None]]]) -> None:
    syncs: list[Row] = []
    deliveries: list[Row] = []
    trail: list[Row] = []
    for application, own, packed, size, _ in group:
        ids = new_ids()
        syncs.append(
            copy(
                ledger,
                "syncs",
                ids,
                identity=own,
                application=application,
                state="new",
                rule_set=None,
                planned_at=None,
                recalled=None,
            )
        )
        deliveries.append(copy(ledger, "deliveries", ids, body=packed, size=size))
        trail += events(ledger, ids, "notification.accepted")
    with ledger.writing():
        ledger.known([row["identity"] for row in syncs])
        ledger.insert("syncs", syncs)
        ledger.insert("deliveries", deliveries)
        add_counts(ledger, {"notification.accepted": len(group)})
        ledger.insert("audit_events", trail)


threading.Thread(target=write, daemon=True).start()
