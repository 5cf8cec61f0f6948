"""Our trigger in Argo CD's own engine, with the state that its controller keeps, over an outage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import argocd_engine
import pytest
from argocd_engine import Engine, Json

from receiver.core.model import rfc3339

TWO_ENTRIES = """
- when: app.status?.operationState?.phase in ['Succeeded','Failed','Error']
  oncePer: app.status?.operationState?.finishedAt
  send: [post-sync]
- when: app.status?.operationState?.phase in ['Succeeded','Failed','Error']
  send: [post-sync]
"""
"""What looks as if it came again until it arrived."""

OURS = ""


class Receiver:
    """Takes what is posted, or refuses it for good, which costs the sender no time."""

    def __init__(self) -> None:
        self.up, self.taken = True, 0
        receiver = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.taken += receiver.up
                self.send_response(202 if receiver.up else 501)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Looks:
    """The controller's looks at one Application, at seconds from now."""

    def __init__(self, engine: Engine, receiver: Receiver, trigger: str) -> None:
        self._engine, self._receiver, self._trigger = engine, receiver, trigger
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._application = argocd_engine.application()
        self.finish(0)

    def finish(self, at: float) -> None:
        """Let an operation end, whose beginning no look has seen."""
        self._application["status"]["operationState"] |= {
            "phase": "Succeeded", "finishedAt": rfc3339(self._now + timedelta(seconds=at)),
        }  # fmt: skip

    def look(self, at: float) -> Json:
        return self._engine.look(
            self._receiver.url, "token", self._application, ahead=at, trigger=self._trigger
        )

    def outage(self, *failing: float, then: float) -> int:
        """Look at these seconds while the receiver is down; how many arrive after that."""
        self._receiver.up = False
        for at in failing:
            assert self.look(at)["sent"] == 0
        self._receiver.up = True
        before = self._receiver.taken
        self.look(then)
        return self._receiver.taken - before


@pytest.mark.parametrize(("trigger", "arrives"), [(OURS, True), (TWO_ENTRIES, False)])
def test_a_sync_that_ended_in_an_outage_arrives_after_it(
    engine: Engine, receiver: Receiver, trigger: str, arrives: bool
) -> None:
    """With two entries it never does: the second one still counts as sent, for the sync before."""
    looks = Looks(engine, receiver, trigger)
    for at in (1, 61, 121):
        looks.look(at)
    looks.finish(200)
    assert bool(looks.outage(201, 262, 322, 382, 442, then=452)) == arrives


def test_what_was_first_looked_at_after_a_minute_is_tried_again_after_ten(
    engine: Engine, receiver: Receiver
) -> None:
    """The one worker was stuck in failing sends of others; by then nothing brings it earlier."""
    looks = Looks(engine, receiver, OURS)
    for at in (1, 61):
        looks.look(at)
    looks.finish(200)
    assert looks.outage(290, 350, then=410) == 0
    assert looks.look(200 + 600) == {"sent": 1, "failed": 0}


def test_each_sync_is_sent_three_times_and_no_more(engine: Engine, receiver: Receiver) -> None:
    """At its end, a minute later, and after ten: however often the controller looks.

    None of them is near a minute's end: the clock runs on, for seconds on a busy machine.
    """
    looks = Looks(engine, receiver, OURS)
    sent = [
        looks.look(at)["sent"] for at in (0, 1, 10, 20, 90, 91, 120, 500, 700, 701, 3600, 86400)
    ]
    assert sent == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]


def test_an_operation_that_the_next_one_overwrote_is_gone(
    engine: Engine, receiver: Receiver
) -> None:
    """No trigger can send what the Application does not hold any more."""
    looks = Looks(engine, receiver, OURS)
    assert looks.outage(1, then=2) == 0
    looks.finish(10)
    assert [looks.look(at)["sent"] for at in (11, 71, 611)] == [1, 1, 1]
    assert receiver.taken == 3


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_an_operation_under_way_is_not_sent(engine: Engine, receiver: Receiver, phase: str) -> None:
    """It has no finishedAt, of which the trigger would otherwise work out the age."""
    tree = argocd_engine.application()
    tree["status"]["operationState"]["phase"] = phase
    del tree["status"]["operationState"]["finishedAt"]
    assert engine.look(receiver.url, "token", tree, ahead=0) == {"sent": 0, "failed": 0}
    del tree["status"]
    assert engine.look(receiver.url, "token", tree, ahead=0) == {"sent": 0, "failed": 0}
