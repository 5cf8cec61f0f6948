"""The subject and the cases that the author of a handler gives to the kit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from receiver.contract import Handler, Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.testkit.server import Fault, Reply

End: TypeAlias = type[Succeeded | Pending | TemporaryError | PermanentError]
Served: TypeAlias = Reply | Fault


class ContractBroken(AssertionError):
    """A handler does not keep the contract; the message says where."""


@dataclass(frozen=True)
class Case:
    """One row of the author's table: how an attempt ends that is answered so.

    Attributes:
        answers: the server's answer, or one for each request; the last one repeats.
        ends: the outcome, as the contract names it.
        name: for the test's report; by default what the last answer is.
        state: what an earlier attempt of the run left.
        parameters: what stands under `with` instead of the subject's.
    """

    answers: Served | Sequence[Served]
    ends: End
    name: str = ""
    state: Json = None
    parameters: Mapping[str, Any] | None = None

    @property
    def script(self) -> tuple[Served, ...]:
        """The answers in their order."""
        single = isinstance(self.answers, Reply | Fault)
        return (self.answers,) if single else tuple(self.answers)  # type: ignore[arg-type,return-value] # as `single` says

    def __str__(self) -> str:
        last = self.script[-1]
        text = self.name or (last.value if isinstance(last, Fault) else str(last.status))
        return f"asking: {text}" if self.state is not None else text


@dataclass(frozen=True)
class Subject:
    """A handler under test.

    Attributes:
        handler: its registration.
        cases: the author's table; `usual` has the rows that hold for nearly every service.
        parameters: what stands under `with`, rendered, with references to secrets; by default
            the handler's example, which does while it has no expression that gives no string.
        secrets: values of secrets by the names in their references, where one of the kit's
            own would not fit (an address, a key in base 64).
        uses_key: whether a request carries the idempotency key. A handler whose action is the
            same when it is done twice need not send it.
        parts: how many requests the parameters make that count one by one. From 2 on, what
            was done before a temporary failure must not be done again.
        sends: whether the handler sends requests at all.
        nothing_yet: the answer that nothing was done yet, where a later attempt first asks whether
            an earlier one, which was cut off, has done it.
    """

    handler: Handler[Any]
    cases: Sequence[Case] = ()
    parameters: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    uses_key: bool = True
    parts: int = 1
    sends: bool = True
    nothing_yet: Reply | None = None

    def __str__(self) -> str:
        return self.handler.name


WAIT = 17
"""Seconds of the Retry-After in `usual`; a handler that waits for another time shows."""


def usual(*, without: Collection[int | Fault] = ()) -> list[Case]:
    """Return the rows that hold for a handler which uses `raise_for_status` and `Call.http`.

    Args:
        without: statuses and faults for which this service has a meaning of its own; the
            table then needs rows for them.
    """
    permanent = (400, 401, 403, 404, 405, 409, 410, 422, 501, 505)
    temporary = (408, 425, 500, 502, 503, 504)
    busy = Reply(429, b"slow down", {"Retry-After": str(WAIT)})
    answers: list[tuple[int | Fault, Served, End]] = [
        *((status, Reply(status, b"why"), PermanentError) for status in permanent),
        *((status, Reply(status, b"why"), TemporaryError) for status in temporary),
        (429, busy, TemporaryError),
        *((fault, fault, TemporaryError) for fault in (Fault.RESET, Fault.SILENT, Fault.CUT)),
    ]
    return [Case(served, ends) for what, served, ends in answers if what not in without]
