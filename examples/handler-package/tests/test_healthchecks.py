"""healthchecks.pause keeps the contract, and says to Healthchecks what its page asks for."""

from __future__ import annotations

import pytest
from postsync_healthchecks import handler

from receiver.contract import PermanentError, Succeeded
from receiver.testkit import Case, Check, Fault, Reply, Subject, attempt, checks, usual

CHECKS = [f"0c8983c9-9d73-446f-adb5-0641fdacc9d{number}" for number in range(3)]
SUBJECT = Subject(
    handler,
    parameters={"checks": CHECKS, "apiKey": {"env": "POSTSYNC_SECRET_HEALTHCHECKS"}},
    cases=[
        Case(Reply(200, b'{"status": "paused"}'), Succeeded),
        Case(Fault.GARBLED, Succeeded),  # the status says it all; the body is not read
        Case([Reply(200), Reply(404)], PermanentError, name="one check is unknown"),
        *usual(),
    ],
    uses_key=False,  # to pause a check twice is to pause it once
    parts=len(CHECKS),
)


@pytest.mark.parametrize("check", checks(SUBJECT), ids=str)
def test_the_contract_is_kept(check: Check) -> None:
    """As the kit checks it: every answer, secrets, time, and what was done already."""
    check()


def test_each_check_is_paused_with_the_key() -> None:
    """As the page of the API says."""
    made = attempt(SUBJECT, [Reply(200)])
    assert made.addresses == tuple(
        f"https://healthchecks.io/api/v3/checks/{check}/pause" for check in CHECKS
    )
    assert {seen.method for seen in made.seen} == {"POST"}
    assert all(seen.headers["x-api-key"] for seen in made.seen)
    assert made.outcome.output == {"paused": CHECKS}


def test_an_unknown_check_is_named() -> None:
    """So that the rule can be put right."""
    made = attempt(SUBJECT, [Reply(200), Reply(404)])
    assert made.outcome.reason == f"there is no check {CHECKS[1]} at https://healthchecks.io"
