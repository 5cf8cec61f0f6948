"""What an attempt's outcome makes of its run: its end, or the time of the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from receiver.core.model import Outcome, OutcomeKind
from receiver.core.states import RunState
from receiver.ledger.plans.outcomes import Settlement
from receiver.ledger.queue.claim import ClaimedRun


def settle(
    run: ClaimedRun, outcome: Outcome, now: int, draw: Callable[[], float] = random.random
) -> Settlement:
    """Decide what an outcome makes of its run.

    Args:
        run: the run as it was claimed.
        outcome: how its attempt ended.
        now: milliseconds, by the ledger's clock.
        draw: a number from 0 to 1, for the jitter.
    """
    if outcome.kind is OutcomeKind.SUCCEEDED:
        return Settlement(run, outcome, RunState.SUCCEEDED, "", 0)
    if outcome.kind is OutcomeKind.PERMANENT:
        return Settlement(run, outcome, RunState.FAILED, outcome.reason, run.failures + 1)
    ends = run.first_attempt_at + run.policy["deadline"] * 1000
    if outcome.kind is OutcomeKind.PENDING:
        due, failures, state = now + (outcome.delay or 0) * 1000, 0, RunState.PENDING
        late = f"still pending after its deadline of {run.policy['deadline']:g} s"
        late += f": {outcome.reason}" if outcome.reason else ""
    else:
        failures = run.failures + 1
        state = RunState.PENDING if run.pending else RunState.DUE
        due = now + 1000 * max(backoff(run.policy, failures, draw), outcome.delay or 0)
        if not run.pending:
            ends = min(ends, run.first_attempt_at + run.policy["for"] * 1000)
        late = f"gave up after {failures} failed attempts: {outcome.reason}"
    if due > ends and (now >= ends or outcome.kind is OutcomeKind.TEMPORARY):
        return Settlement(run, outcome, RunState.FAILED, late, failures)
    return Settlement(run, outcome, state, outcome.reason, failures, int(min(due, ends)))


def backoff(
    policy: Mapping[str, float], failures: int, draw: Callable[[], float] = random.random
) -> float:
    """Return the seconds before the next attempt: exponential, with full jitter.

    Full jitter draws from zero to the bound, so that runs which failed together do not come
    back together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    exponent = min(failures - 1, 64)
    bound = min(policy["maxDelay"], policy["initialDelay"] * policy["factor"] ** exponent)
    return bound * draw()
