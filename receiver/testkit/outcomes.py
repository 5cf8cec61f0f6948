"""Checks the outcomes of attempts."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Container, Mapping
from functools import partial

from receiver import contract
from receiver.contract import Pending, PermanentError, Succeeded, TemporaryError, is_temporary
from receiver.core.model import Outcome, OutcomeKind
from receiver.testkit.attempts import attempt
from receiver.testkit.cases import Case, ContractBroken, End, Served, Subject
from receiver.testkit.server import Fault, Reply

KINDS: Mapping[End, OutcomeKind] = {
    Succeeded: OutcomeKind.SUCCEEDED,
    Pending: OutcomeKind.PENDING,
    TemporaryError: OutcomeKind.TEMPORARY,
    PermanentError: OutcomeKind.PERMANENT,
}
SLACK = 1.0
"""Seconds that an attempt may be late, for a loaded machine."""


def check_table(subject: Subject) -> None:
    """The table has a row for everything that a service or the way to it can do."""
    last = [case.script[-1] for case in subject.cases]
    missing = [name for name, found in WANTED.items() if not any(map(found, last))]
    if missing:
        raise ContractBroken(f"the cases lack: {', '.join(missing)}")


def check_case(subject: Subject, case: Case) -> None:
    """The attempt ends as the table says, in its time, and what it leaves can be stored."""
    made = attempt(subject, case.script, parameters=case.parameters, state=case.state)
    outcome, wanted = made.outcome, KINDS[case.ends]
    if outcome.kind is not wanted:
        why = outcome.reason or outcome.output or outcome.state
        raise ContractBroken(f"{case}: ended {outcome.kind}, not {wanted}: {why}")
    if not made.seen:
        raise ContractBroken(f"{case}: nobody was asked")
    if made.seconds > made.timeout + SLACK:
        why = f"took {made.seconds:.1f} s of {made.timeout} s"
        raise ContractBroken(f"{case}: {why}; send through call.http, and do not sleep")
    _check_storable(outcome)
    _check_delay(case, outcome)


def check_asking(subject: Subject, case: Case) -> None:
    """A temporary failure while asking keeps the state, so that the start is not repeated."""
    started = attempt(subject, case.script, parameters=case.parameters, state=case.state).outcome
    for served in (Reply(503), Fault.RESET):
        asked = attempt(subject, [served], parameters=case.parameters, state=started.state).outcome
        if (asked.kind, asked.state) != (OutcomeKind.TEMPORARY, started.state):
            why = f"ended {asked.kind} with state {asked.state}, not {started.state}"
            raise ContractBroken(f"asking after {case}: {why}")


def check_silence(subject: Subject) -> None:
    """A handler that calls nobody succeeds without a request."""
    made = attempt(subject, [Reply()])
    if made.seen or made.outcome.kind is not OutcomeKind.SUCCEEDED:
        why = f"ended {made.outcome.kind} after {len(made.seen)} requests"
        raise ContractBroken(f"sends=False, but it {why}")
    _check_storable(made.outcome)


def _check_storable(outcome: Outcome) -> None:
    try:
        json.dumps([outcome.output, outcome.state], allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ContractBroken(f"what it leaves cannot be stored as JSON: {error}") from None


def _check_delay(case: Case, outcome: Outcome) -> None:
    last = case.script[-1]
    if outcome.kind is OutcomeKind.PENDING and not (outcome.delay or 0) > 0:
        raise ContractBroken(f"{case}: ask_again_in is {outcome.delay}, not a time")
    if outcome.kind is not OutcomeKind.TEMPORARY or isinstance(last, Fault):
        return
    headers = {name.lower(): value for name, value in last.headers.items()}
    asked = contract.retry_after(contract.Answer(last.status, headers, b""))
    if asked is not None and (outcome.delay or 0) < asked:
        raise ContractBroken(f"{case}: Retry-After of {asked} s, but a delay of {outcome.delay}")


def _status(statuses: Container[int], served: Served) -> bool:
    return isinstance(served, Reply) and served.status in statuses


def _asks_to_wait(served: Served) -> bool:
    named = isinstance(served, Reply) and "retry-after" in map(str.lower, served.headers)
    return named and _status({429}, served)


FAULTS = (Fault.RESET, Fault.SILENT, Fault.CUT, Fault.GARBLED)
WANTED: Mapping[str, Callable[[Served], bool]] = {
    "a 2xx": partial(_status, range(200, 300)),
    "a 4xx that no later try changes": partial(
        _status, {status for status in range(400, 500) if not is_temporary(status)}
    ),
    "408": partial(_status, {408}),
    "425": partial(_status, {425}),
    "429 with a Retry-After": _asks_to_wait,
    "a 5xx": partial(_status, range(500, 600)),
    **{fault.value: partial(operator.eq, fault) for fault in FAULTS},
}
"""What every table must have, and the test that a row is for it."""
