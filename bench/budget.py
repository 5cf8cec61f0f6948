"""Who has the cores while something is loaded, and what one item costs each part."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from delivery import drain
from loading import load_many
from stage import Cost, Meter, cpu, idle, medians

CORES = len(os.sched_getaffinity(0))
PATH = "/v1/notifications"


@dataclass(frozen=True)
class Seen:
    """Of one load: rates a second, cores that each part had meanwhile, and what one item cost.

    An item is a call where calls are made, else a notification; ``load`` is the CPU milliseconds
    that sending one notification takes.
    """

    accepted: float
    delivered: float = 0.0
    cores: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    load: float = 0.0

    @property
    def rate(self) -> float:
        """What the aims count."""
        return self.delivered or self.accepted

    @property
    def each(self) -> float:
        """CPU milliseconds of everything for one item that is accepted and done."""
        return self.load + sum(cost.cpu for cost in self.costs.values())


def loaded(
    ports: Sequence[int], pids: Mapping[str, Sequence[int]], seconds: int, log: Path | None = None
) -> Seen:
    """Load it; of `log`, its target's, wait until all calls are made."""
    known = dict(pids)
    if log:
        known["target"] = [int((log.parent / "pid").read_text())]
    meter, before, began = Meter(known), _spent(known), time.monotonic()
    seen = load_many(ports, PATH, seconds=seconds)
    took, after = time.monotonic() - began, _spent(known)
    cores = {part: (after[part] - before[part]) / took for part in after}
    cores["others"] = max(0.0, CORES - sum(cores.values()))
    load = cores["load"] * took * 1000 / seen.done
    if log is None:
        return Seen(seen.rate, 0.0, cores, meter.each(seen.done), load)
    delivered = log.read_bytes().count(b"\n") / took
    calls = drain(log, int(seen.rate * seconds))
    return Seen(seen.rate, delivered, cores, meter.each(calls), load)


def _spent(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """CPU seconds of each part, of the load, and those that nobody used."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = {part: sum(map(cpu, those)) for part, those in pids.items()}
    return own | {"load": ended.ru_utime + ended.ru_stime, "idle": idle()}


def median(rounds: Sequence[Seen]) -> Seen:
    """The median of each figure."""
    return Seen(
        statistics.median(one.accepted for one in rounds),
        statistics.median(one.delivered for one in rounds),
        {p: statistics.median(one.cores[p] for one in rounds) for p in rounds[0].cores},
        medians([one.costs for one in rounds]),
        statistics.median(one.load for one in rounds),
    )
