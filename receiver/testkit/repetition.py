"""Checks what attempts repeat: the idempotency key, and nothing that is done."""

from __future__ import annotations

from collections import Counter
from itertools import repeat

from receiver.core.model import OutcomeKind
from receiver.testkit.attempts import RUN, Attempted, attempt
from receiver.testkit.cases import Case, ContractBroken, Subject
from receiver.testkit.server import Reply, Seen


def check_key(subject: Subject, case: Case) -> None:
    """The idempotency key goes along, the same at each attempt; or not at all."""
    for number, key_number in ((1, 1), (2, 1), (3, 2)):
        first = () if number == 1 or subject.nothing_yet is None else (subject.nothing_yet,)
        made = attempt(
            subject, (*first, *case.script), parameters=case.parameters,
            number=number, key_number=key_number,
        )  # fmt: skip
        key = f"{RUN}.{key_number}"
        carried = any(key in _text(seen) for seen in made.seen)
        if carried and not subject.uses_key:
            raise ContractBroken("a request carries the idempotency key: say uses_key=True")
        if subject.uses_key and not carried:
            why = f"no request of attempt {number} carries the idempotency key {key}"
            raise ContractBroken(f"{why}; say uses_key=False if doing it twice is doing it once")


def check_parts(subject: Subject, case: Case) -> None:
    """What was done before a temporary failure is not done again, and the rest is."""
    whole = _requests(_succeeded(attempt(subject, case.script, parameters=case.parameters)))
    if len(whole) < subject.parts:
        raise ContractBroken(f"parts={subject.parts}, but it makes {len(whole)} requests")
    served = [*case.script, *repeat(case.script[-1], len(whole))][: len(whole)]
    for done in range(len(whole) - subject.parts + 1, len(whole)):
        broken = [*served[:done], Reply(503)]
        first = attempt(subject, broken, parameters=case.parameters)
        state = first.outcome.state
        if first.outcome.kind is not OutcomeKind.TEMPORARY or state is None:
            why = f"ended {first.outcome.kind} with state {state}"
            raise ContractBroken(f"503 after {done} of {len(whole)} requests: {why}")
        left = served[done:]
        rest = attempt(subject, left, parameters=case.parameters, state=state, number=2)
        both = _requests(first)[:done] + _requests(_succeeded(rest))
        if Counter(both) != Counter(whole):
            again = Counter(both) - Counter(whole)
            why = "sent again" if again else "left out"
            names = list(again or Counter(whole) - Counter(both))
            raise ContractBroken(f"after {done} requests and a 503 it {why} {names}")


def _succeeded(made: Attempted) -> Attempted:
    if made.outcome.kind is not OutcomeKind.SUCCEEDED:
        raise ContractBroken(f"ended {made.outcome.kind}: {made.outcome.reason}")
    return made


def _requests(made: Attempted) -> list[tuple[str, str, bytes]]:
    return [(seen.method, seen.path, seen.body) for seen in made.seen]


def _text(seen: Seen) -> str:
    return "\n".join([seen.path, *seen.headers.values(), seen.body.decode("utf-8", "replace")])
