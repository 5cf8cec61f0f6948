"""The largest notifications that the intake takes, and the memory of the processes that read them.

Each is as long as `maxBody` lets in, with as many small values as it lets in, which cost most once
they are read; the rest is one text. One more has nothing but small values, and is refused.
"""

from __future__ import annotations

import sqlite3
import time

from loading import TELL, body_template, post
from stage import ours, parts, peak, tree

LARGEST = 8 << 20
MARKS = LARGEST // 8
"""Brackets, commas and colons that a body may have."""
RESOURCES = 10_000
"""As many as `maxResources` lets be planned."""
PATIENCE = 120
NEW = "SELECT COUNT(*) FROM syncs WHERE state = 'new'"


def bodies() -> dict[str, str]:
    """Give notifications by what fills them."""
    empty = body_template(0)[:-1] + ', "text": "TEXT"}'
    beside = empty[:-1] + ', "beside": [PARTS]}'
    listed = empty.replace('"resources": []', '"resources": [PARTS]')
    images = ",".join(['"a"'] * (MARKS // RESOURCES - 8))
    return {
        "empty objects beside": filled(beside, "{}"),
        "numbers beside": filled(beside, "1000"),
        "lists in lists beside": filled(beside, "[" * 40 + "]" * 40),
        "objects in objects beside": filled(beside, '{"":' * 40 + "0" + "}" * 40),
        "more resources than maxResources": filled(listed, '{"kind":"C"}'),
        f"{RESOURCES:,} resources of many images": filled(
            listed, f'{{"kind":"C","name":"a","images":[{images}]}}', RESOURCES
        ),
        "nothing but empty objects": filled(beside, "{}", LARGEST // 4),
    }


def filled(form: str, part: str, most: int = LARGEST) -> str:
    """Repeat a part in a form so often, or as a body may have it; a text fills the rest."""
    if most == LARGEST:
        most = (MARKS - marks(form)) // (marks(part) + 1)
    body = form.replace("PARTS", ",".join([part] * most), 1)
    rest = LARGEST - len(body.encode()) - 64
    return body.replace(
        "TEXT", "x" * rest + "\N{GRINNING FACE}", 1
    )  # four bytes for each character


def marks(text: str) -> int:
    return sum(text.count(mark) for mark in "{[,:")


def worst() -> dict[str, dict[str, float]]:
    """Of each body the last answer's status, and the most megabytes that each process had."""
    each = bodies()
    seen = {name: sent(body) for name, body in each.items()}
    return seen | {"all of these to one service": sent(*each.values())}


def sent(*each: str) -> dict[str, float]:
    """Send bodies to a new service, one after another; it may keep what the one before took."""
    with ours(TELL) as (port, home, process):
        ledger, status = sqlite3.connect(home / "ledger.db"), 0
        for number, body in enumerate(each):
            status, until = post(port, body, f"worst-{number}"), time.monotonic() + PATIENCE
            while ledger.execute(NEW).fetchone()[0] and time.monotonic() < until:
                time.sleep(0.1)
        own = {part: peak(pid) for part, pid in processes(process.pid).items()}
        return {"status": status} | own


def processes(pid: int) -> dict[str, int]:
    """The process that takes notifications, and the one that plans."""
    intake, dispatcher = parts(pid)
    return {"intake": tree(intake)[-1], "dispatcher": dispatcher}


if __name__ == "__main__":
    for name, seen in worst().items():
        print(name, {part: round(value) for part, value in seen.items()})
