"""The largest notifications that the intake takes, and the memory of the processes that read them.

Each is as long as `maxBody` lets in, or of as many values, and of small parts, since these cost
most once they are read. One is of more values: it is refused.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from loading import TELL, body_template, post
from stage import ours, parts, peak, tree

LARGEST = 8 << 20
VALUES = LARGEST // 8 - 1000
"""Brackets, commas and colons that a notification may have, but those round the parts."""
RESOURCES = 10_000
"""As many as `maxResources` lets be planned."""
PATIENCE = 120
NEW = "SELECT COUNT(*) FROM syncs WHERE state = 'new'"


def bodies() -> dict[str, str]:
    """Give notifications by what fills them."""
    empty = body_template(0)
    beside = empty[:-1] + ', "beside": [PARTS]}'
    listed = empty.replace('"resources": []', '"resources": [PARTS]')
    images = '{"kind":"C","name":"a","images":[PARTS]}'.replace("PARTS", ",".join(['"a"'] * 90))
    return {
        "empty objects beside": filled(beside, "{}"),
        "numbers beside": filled(beside, "1000"),
        "lists in lists beside": filled(beside, "[" * 40 + "]" * 40),
        "objects in objects beside": filled(beside, '{"":' * 40 + "0" + "}" * 40),
        "too many objects": filled(beside, "{}", LARGEST),
        "more resources than maxResources": filled(listed, '{"kind":"C"}'),
        f"{RESOURCES:,} resources of many images": filled(listed, images),
    }


def filled(form: str, part: str, values: int = VALUES) -> str:
    """Repeat a part in a form until that is as long as it may be, or has as many values."""
    each = 1 + sum(map(part.count, "{[,:"))
    number = min((LARGEST - len(form)) // (len(part) + 1), values // each)
    return form.replace("PARTS", ",".join([part] * number), 1)


def worst() -> dict[str, dict[str, float]]:
    """Of each body the status of the answer, and the most megabytes that each process had."""
    seen: dict[str, dict[str, float]] = {}
    with ours(TELL) as (port, home, process):
        ledger, pids = sqlite3.connect(home / "ledger.db"), processes(process.pid)
        for number, (name, body) in enumerate(bodies().items()):
            for pid in pids.values():  # its peak is from now on, proc(5)
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            status, until = post(port, body, f"worst-{number}"), time.monotonic() + PATIENCE
            while ledger.execute(NEW).fetchone()[0] and time.monotonic() < until:
                time.sleep(0.1)
            seen[name] = {"status": status} | {part: peak(pid) for part, pid in pids.items()}
    return seen


def processes(pid: int) -> dict[str, int]:
    """The process that takes notifications, and the one that plans."""
    intake, dispatcher = parts(pid)
    return {"intake": tree(intake)[-1], "dispatcher": dispatcher}


if __name__ == "__main__":
    for name, seen in worst().items():
        print(name, {part: round(value) for part, value in seen.items()})
