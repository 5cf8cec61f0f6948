"""Batches of a handler: what was sent once is not sent again."""

from __future__ import annotations

import pytest

from receiver.contract import TemporaryError, in_batches, send_each


def test_items_are_cut_in_order_and_each_stands_once() -> None:
    """The union of many syncs' targets repeats itself; the service is asked once for each."""
    assert in_batches(["a", "b", "a", "c"], 2) == [["a", "b"], ["c"]]
    assert in_batches([], 2) == []


def test_an_attempt_that_stops_leaves_how_far_it_came() -> None:
    """Three of five batches are done; the error keeps its words, its delay and the limit."""
    sent: list[int] = []

    def send(batch: int) -> None:
        if batch == 4:
            raise TemporaryError("busy", delay=7, limited=True)
        sent.append(batch)

    with pytest.raises(TemporaryError, match="busy") as caught:
        send_each(None, [1, 2, 3, 4, 5], send)
    error = caught.value
    assert (sent, error.state, error.delay, error.limited) == (
        [1, 2, 3],
        {"batchesDone": 3},
        7,
        True,
    )
    sent.clear()
    send_each(error.state, [1, 2, 3, 5, 6], sent.append)
    assert sent == [5, 6]
