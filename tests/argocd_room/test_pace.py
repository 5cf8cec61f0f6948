"""How often one server is asked."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from receiver.argocd.pace import Pace


def test_after_a_burst_each_request_waits_for_its_turn() -> None:
    """Over all threads together."""
    pace = Pace(per_second=50, burst=5)
    began = time.monotonic()
    with ThreadPoolExecutor(10) as threads:
        done = list(threads.map(lambda _: pace.wait(began + 10), range(25)))
    assert all(done)
    assert time.monotonic() - began >= (25 - 5) / 50


def test_a_turn_that_comes_too_late_is_refused_at_once() -> None:
    """And takes no turn from those who can wait."""
    pace = Pace(per_second=0.01, burst=1)
    assert pace.wait(time.monotonic() + 1)
    began = time.monotonic()
    assert not pace.wait(began + 1)
    assert time.monotonic() - began < 0.5
