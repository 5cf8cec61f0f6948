"""The share that each stage of a load has of its process's CPU, as `clocked.py` has clocked it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import delivery
from stage import ROOT, tree

Stages = dict[str, dict[str, float]]
"""Of each part, the share that each stage has of its CPU."""


def stages(start: Callable[..., AbstractContextManager[delivery.Subject]], seconds: int) -> Stages:
    """Clock the stages of one load of the whole way."""
    launcher = (sys.executable, str(ROOT / "bench/clocked.py"))
    with tempfile.TemporaryDirectory() as folder, start(*launcher, BENCH_CLOCKS=folder) as subject:
        before = _clocks(Path(folder), subject)
        seen = delivery.full_load(subject, seconds)
        time.sleep(1)  # each process tells twice a second
        after = _clocks(Path(folder), subject)
    found: Stages = {}
    for part in after:
        whole = seen.costs[part].cpu * seen.calls
        spent = after[part] - before.get(part, Counter())
        own = {name: ns / 1e6 / whole for name, ns in spent.items()}
        found[part] = own | {"in none of these: threads, sockets": 1 - sum(own.values())}
    return found


def _clocks(folder: Path, subject: delivery.Subject) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for part, pids in subject.pids.items():
        files = [folder / str(one) for pid in pids for one in tree(pid)]
        clocks = [Counter(json.loads(file.read_text())) for file in files if file.exists()]
        if clocks:
            found[part] = sum(clocks, Counter[str]())
    return found
