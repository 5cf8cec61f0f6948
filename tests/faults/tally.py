"""Compares what was accepted with what was done about it, and who was made twice with why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from controller import Controller
from deployment import Deployment, Fault
from senders import Load

SLACK = 0.02
"""Seconds by which the ledger's milliseconds and ours may differ, on one host."""

ATTEMPTS = """
SELECT runs.id, runs.target, attempts.started_at, attempts.ended_at, attempts.outcome
FROM attempts JOIN runs ON runs.id = attempts.run_id
WHERE runs.handler = 'http.request'
"""
RUNS = "SELECT target, state FROM runs WHERE handler = 'http.request'"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a scenario came to. ``lost`` must be empty, and so must ``unexplained``.

    Attributes:
        sent: notifications that were sent, each once.
        accepted: how many of them their sender was told about.
        run: how many of these were called for, their runs succeeded.
        doubled: calls beyond the first of one idempotency key.
        lost: what was accepted and not called for, or whose run did not end well.
        unexplained: attempts that were lost, and calls that were doubled, though no fault fell
            into an attempt of theirs.
    """

    sent: int
    accepted: int
    run: int
    doubled: int
    lost: frozenset[str]
    unexplained: frozenset[str]


def tally(deployment: Deployment, loads: Iterable[Load | Controller]) -> Tally:
    """Count, when everything has ended.

    A notification's name is that of its one resource, and of the body of the call.
    """
    sent = [one for load in loads for one in load.sent]
    accepted = {one.name for one in sent if one.accepted}
    seen = deployment.target.seen
    called = {json.loads(call["body"])["name"] for call in seen}
    calls = Counter(call["headers"]["Idempotency-Key"] for call in seen)
    ended = {_name(target): state for target, state in deployment.query(RUNS)}
    well = {name for name in accepted & called if ended.get(name) == "succeeded"}
    return Tally(
        len(sent), len(accepted), len(well), sum(calls.values()) - len(calls),
        frozenset(accepted - well),
        frozenset(_unexplained(deployment, calls, {one.name for one in sent})),
    )  # fmt: skip


def _name(target: str) -> str:
    return target.rpartition("/")[2]


def _unexplained(deployment: Deployment, calls: Counter[str], names: set[str]) -> set[str]:
    """Return the attempts that ended badly, and the calls without an attempt, that no fault hit."""
    faults = [fault for fault in deployment.faults if fault.ends_attempts]
    made: Counter[str] = Counter()
    found = set()
    for run, target, began, ended, outcome in deployment.query(ATTEMPTS):
        made[run] += 1
        if outcome == "succeeded" or _name(target) not in names:
            continue
        if not any(_met(fault, began / 1000, (ended or began) / 1000) for fault in faults):
            found.add(f"{target}: attempt {outcome} at {began}")
    for key, times in calls.items():
        run = key.rpartition(".")[0]
        if times > made[run]:
            found.add(f"{run}: {times} calls in {made[run]} attempts")
    return found


def _met(fault: Fault, began: float, ended: float) -> bool:
    return began <= fault.ended + SLACK and fault.began <= ended + SLACK
