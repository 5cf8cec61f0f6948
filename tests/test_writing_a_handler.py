"""The page for authors keeps its word: its code runs, and its example keeps the contract."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from peers import peer

from receiver import contract
from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    PermanentError,
    Stream,
    StreamHttp,
)
from receiver.core.model import OutcomeKind
from receiver.outbound import Outbound
from receiver.outbound.client import HttpClient
from receiver.outbound.secret_masking import Masker
from receiver.rules.handlers.entry_points import GROUP
from receiver.testkit import Fault, Reply, Subject, attempt, checks

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/writing-a-handler.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page's code defines, block after block."""
    names: dict[str, Any] = {"__name__": "page"}
    found = blocks("python")
    assert len(found) == 6
    for block in found:
        exec(compile(block, "docs/writing-a-handler.md", "exec", dont_inherit=True), names)  # noqa: S102 our own page
    return names


def _handler(run: Any) -> Subject:
    def start(_params: Params, call: Call) -> Outcome:
        outcome: Outcome = run(call)
        return outcome

    return Subject(Handler("page.try", "Tries the page.", Params, start, example="{}\n"))


def test_the_first_handler_keeps_the_contract(page: dict[str, Any]) -> None:
    """Every check of the kit, with the table that the page shows."""
    assert len(blocks("python")[0].splitlines()) < 45
    for check in checks(page["SUBJECT"]):
        check()


def test_partial_success_goes_on_where_it_stopped(page: dict[str, Any]) -> None:
    """Three batches, of which the second fails at first."""
    tags = [f"t{number}" for number in range(70)]
    subject = _handler(lambda call: page["purge_all"](tags, call))
    first = attempt(subject, [Reply(), Reply(503)])
    assert first.outcome.kind is OutcomeKind.TEMPORARY
    second = attempt(subject, [Reply()], state=first.outcome.state)
    assert second.outcome.output == {"purged": 70}
    assert [seen.body.split(b",")[0] for seen in second.seen] == [b"t30", b"t60"]


def test_long_work_is_asked_for(page: dict[str, Any]) -> None:
    """Started once, asked until it is done, and not started again after a failure."""
    subject = _handler(page["start_or_ask"])
    started = attempt(subject, [Reply(201, b'{"id": "7"}')]).outcome
    assert (started.kind, started.state, started.delay) == (OutcomeKind.PENDING, {"job": "7"}, 10)
    lost = attempt(subject, [Fault.RESET], state=started.state).outcome
    assert (lost.kind, lost.state) == (OutcomeKind.TEMPORARY, started.state)
    done = attempt(subject, [Reply(200, b'{"state": "done"}')], state=started.state)
    assert done.addresses == ("https://ci.example.com/jobs/7",)
    assert done.outcome.kind is OutcomeKind.SUCCEEDED


def test_batches_that_take_long_are_started_once_and_all_asked_for(page: dict[str, Any]) -> None:
    """Two of three are started, then the third; the second is still under way when it is asked."""
    tags = [f"t{number}" for number in range(70)]
    subject = _handler(lambda call: page["purge_and_wait"](tags, call))
    made = Reply(200, b'{"id": "p", "done": true}')
    first = attempt(subject, [made, made, Reply(503)])
    assert first.outcome.state == {"started": ["p", "p"]}
    second = attempt(
        subject, [made, made, Reply(200, b'{"done": false}')], state=first.outcome.state
    )
    assert (second.outcome.kind, second.outcome.delay) == (OutcomeKind.PENDING, 10)
    assert second.outcome.state == {"started": ["p", "p", "p"], "ended": 1}
    third = attempt(subject, [made], state=second.outcome.state)
    assert third.outcome.output == {"purges": ["p", "p", "p"]}
    assert [seen.method for seen in third.seen] == ["GET", "GET"]


def test_the_entry_point_is_in_our_group() -> None:
    """As in the example package, whose entry point is named after its service."""
    told = tomllib.loads(blocks("toml")[0])["project"]
    real = tomllib.loads((ROOT / "examples/handler-package/pyproject.toml").read_text())["project"]
    assert told["entry-points"].keys() == real["entry-points"].keys() == {GROUP}
    assert told["dependencies"] == real["dependencies"]


def test_every_name_of_the_contract_is_there() -> None:
    """What the page says is imported from it can be."""
    for block in blocks("python"):
        for names in re.findall(r"from receiver\.contract import (.+)", block):
            assert {name.strip() for name in names.split(",")} <= set(contract.__all__)


def test_a_watch_tells_what_its_lines_say(page: dict[str, Any], outbound: Outbound) -> None:
    """And who may not follow says so."""
    told: list[str] = []

    class Listener:
        """Wants one opening."""

        @property
        def wanted(self) -> bool:
            return not told

        def http(self, seconds: float, secrets: Iterable[str]) -> StreamHttp:
            client = outbound.http(time.monotonic() + seconds, Masker(secrets))
            return Led(client, there.url)  # type: ignore[return-value]  # as far as it is used

        @contextmanager
        def open(self, *, anew: bool) -> Iterator[None]:
            told.append(f"anew {anew}")
            yield

        def tell(self, subject: str, news: str) -> None:
            told.append(f"{subject} {news}")

        def ended(self, subject: str) -> None:
            told.append(f"{subject} is over")

    one = page["Builds"]("shop", "hush")
    assert one == page["Builds"]("shop", "hush") != page["Builds"]("shop", "other")
    assert "hush" not in repr(one)
    with peer(lambda _: Reply(200, b"b-1 runs\nb-1 ended\n")) as there:
        one.follow(Listener())
    assert told == ["anew True", "b-1 runs", "b-1 is over"]
    told.clear()
    with peer(lambda _: Reply(403)) as there, pytest.raises(PermanentError, match="403"):
        one.follow(Listener())


class Led(NamedTuple):
    """Leads what is opened to a server on loopback."""

    client: HttpClient
    there: str

    def stream(self, _: str, **options: Any) -> AbstractContextManager[Stream]:
        return self.client.stream(self.there, **options)
