"""Checks whether a handler keeps the contract, for its author's tests.

It needs nothing but the receiver: a check is a callable that raises `ContractBroken` (an
`AssertionError`), so any test runner will do. With pytest::

    SUBJECT = Subject(
        handler,
        cases=[Case(Reply(200), Succeeded), Case(Fault.GARBLED, Succeeded), *usual()],
    )

    @pytest.mark.parametrize("check", checks(SUBJECT), ids=str)
    def test_the_handler_keeps_the_contract(check: Check) -> None:
        check()

Each attempt is made as the product makes it, against a real HTTP server on loopback; whatever
address the handler calls, its requests go there.
"""

from receiver.testkit.attempts import Attempted, attempt
from receiver.testkit.cases import Case, ContractBroken, Subject, usual
from receiver.testkit.run import Check, checks
from receiver.testkit.server import Fault, Peer, Reply, Seen, peer

__all__ = [
    "Attempted",
    "Case",
    "Check",
    "ContractBroken",
    "Fault",
    "Peer",
    "Reply",
    "Seen",
    "Subject",
    "attempt",
    "checks",
    "peer",
    "usual",
]
