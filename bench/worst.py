"""The largest notifications that the intake takes, and the memory of the process that has most.

Each is as long as `maxBody` lets in, and of small parts, since these cost most once they are read.
"""

from __future__ import annotations

import sqlite3
import time

from loading import TELL, body_template, post
from stage import ours, parts, peak, tree

LARGEST = 8 << 20
RESOURCES = 10_000
"""As many as `maxResources` lets be planned."""
PATIENCE = 120
NEW = "SELECT COUNT(*) FROM syncs WHERE state = 'new'"


def bodies() -> dict[str, str]:
    """Give notifications by what fills them."""
    empty = body_template(0)
    beside = empty[:-1] + ', "beside": [PARTS]}'
    listed = empty.replace('"resources": []', '"resources": [PARTS]')
    room = (LARGEST - len(empty)) // RESOURCES
    images = filled('{"kind":"C","name":"a","images":[PARTS]}', '"a"', room - 1)
    return {
        "empty objects beside": filled(beside, "{}"),
        "numbers beside": filled(beside, "1000"),
        "lists in lists beside": filled(beside, "[[[[]]]]"),
        "more resources than maxResources": filled(listed, '{"kind":"C"}'),
        f"{RESOURCES:,} resources of many images": filled(listed, images),
    }


def filled(form: str, part: str, length: int = LARGEST) -> str:
    """Repeat a part in a form until that is so long."""
    number = (length - len(form)) // (len(part) + 1)
    return form.replace("PARTS", ",".join([part] * number), 1)


def worst() -> tuple[float, dict[str, str]]:
    """Megabytes at most of any process; and by body those so far, with the answer's status."""
    seen = {}
    with ours(TELL) as (port, home, process):
        ledger = sqlite3.connect(home / "ledger.db")
        for name, body in bodies().items():
            status, until = post(port, body, "worst"), time.monotonic() + PATIENCE
            while ledger.execute(NEW).fetchone()[0] and time.monotonic() < until:
                time.sleep(0.1)
            own = (f"{part} {peak(pid):.0f} MB" for part, pid in processes(process.pid).items())
            seen[name] = f"{status}; {', '.join(own)}"
        return max(map(peak, tree(process.pid))), seen


def processes(pid: int) -> dict[str, int]:
    """The process that takes notifications, and the one that plans."""
    intake, dispatcher = parts(pid)
    return {"intake": tree(intake)[-1], "dispatcher": dispatcher}


if __name__ == "__main__":
    for name, seen in worst()[1].items():
        print(f"{name}: {seen}")
