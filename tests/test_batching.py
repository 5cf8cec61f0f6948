"""Batches of a handler: what was sent once is not sent again."""

from __future__ import annotations

import pytest

from receiver.contract import Json, TemporaryError, ask_each, in_batches, send_each, start_each


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


def test_what_was_started_is_not_started_again() -> None:
    """Its answers are kept, for they are what is asked for afterwards."""
    busy = {2}

    def start(number: int, batch: str) -> Json:
        if number in busy:
            raise TemporaryError("busy", delay=7, limited=True)
        return f"{number}-{batch}"

    with pytest.raises(TemporaryError, match="busy") as caught:
        start_each(None, ["a", "b", "c"], start)
    error = caught.value
    assert (error.state, error.delay, error.limited) == ({"started": ["0-a", "1-b"]}, 7, True)
    busy.clear()
    assert start_each(error.state, ["a", "b", "c"], start) == ["0-a", "1-b", "2-c"]
    assert start_each(None, [], start) == []


def test_what_has_ended_is_not_asked_for_again() -> None:
    """They are asked in turn, up to the first that is still under way."""
    running, asked = {"b"}, []

    def ask(one: str) -> float | None:
        asked.append(one)
        return 9.0 if one in running else None

    first = ask_each(["a", "b", "c"], 0, ask)
    assert first == ({"started": ["a", "b", "c"], "ended": 1}, 9.0)
    running.clear()
    assert ask_each(["a", "b", "c"], 1, ask) is None
    assert asked == ["a", "b", "b", "c"]
