"""Lists the checks of one handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from receiver.contract import Pending, Succeeded, TemporaryError
from receiver.testkit.cases import Case, Subject
from receiver.testkit.outcomes import check_asking, check_case, check_silence, check_table
from receiver.testkit.registration import check_example, check_lane, check_strictness, check_words
from receiver.testkit.repetition import check_key, check_parts
from receiver.testkit.secrecy import check_secrets
from receiver.testkit.server import Fault, Reply


@dataclass(frozen=True)
class Check:
    """One check; call it, and it raises `ContractBroken` if the handler fails it."""

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Make the check."""
        self.run()

    def __str__(self) -> str:
        return self.name


def checks(subject: Subject) -> list[Check]:
    """Return everything that is checked of a handler, each by its name."""
    return [Check(f"{subject}: {name}", run) for name, run in _checks(subject)]


def _checks(subject: Subject) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "name, summary and descriptions", partial(check_words, subject)
    yield "example is valid", partial(check_example, subject)
    yield "unknown fields are refused", partial(check_strictness, subject)
    yield "lane is a text", partial(check_lane, subject)
    if not subject.sends:
        silent = Case(Reply(), Succeeded)
        yield "sends nothing", partial(check_silence, subject)
        yield "no secret is told", partial(check_secrets, subject, [silent])
        return
    yield "table is complete", partial(check_table, subject)
    for case in subject.cases:
        yield from _checks_of_case(subject, case)
    yield "no secret is told", partial(check_secrets, subject, subject.cases)
    dripping = Case(Fault.DRIPPING, TemporaryError)
    yield "time is kept", partial(check_case, subject, dripping)
    first = [case for case in subject.cases if case.state is None]
    for case in [one for one in first if one.ends in {Succeeded, Pending}][:1]:
        yield "idempotency key", partial(check_key, subject, case)
    for case in [one for one in first if one.ends is Succeeded][: subject.parts > 1]:
        yield "what is done is not done again", partial(check_parts, subject, case)


def _checks_of_case(subject: Subject, case: Case) -> Iterator[tuple[str, Callable[[], None]]]:
    yield f"{case} is {case.ends.__name__}", partial(check_case, subject, case)
    if case.ends is Pending and case.state is None:
        yield f"{case}, then asking keeps the state", partial(check_asking, subject, case)
