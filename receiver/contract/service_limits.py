"""Keeps to what a service limits: the items of a request, and the length of a text.

What was sent in an earlier batch is not sent again. A text that is too long is cut, since a service
would refuse the whole request for it: the status of a commit would not be written because the
failure's message is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from receiver.core.errors import TemporaryError
from receiver.core.model import Json

T = TypeVar("T")

CUT = "…"


def in_batches(items: Iterable[T], size: int) -> list[list[T]]:
    """Cut items into lists of at most ``size``, each item once, in the order of its first place."""
    once = list(dict.fromkeys(items))
    return [once[start : start + size] for start in range(0, len(once), size)]


def send_each(state: Any, batches: Sequence[T], send: Callable[[T], None]) -> None:
    """Send batch after batch, and go on where an earlier attempt of the run had to stop.

    Args:
        state: ``call.state``.
        batches: the same ones at every attempt, as they come of the run's parameters.
        send: sends one batch; it raises what a handler raises.

    Raises:
        TemporaryError: that of ``send``, with how many batches are done as its state.
    """
    done = state["batchesDone"] if isinstance(state, dict) else 0
    for number, batch in enumerate(batches[done:], done):
        try:
            send(batch)
        except TemporaryError as error:
            error.state = {"batchesDone": number}
            raise


def start_each(state: Any, batches: Sequence[T], start: Callable[[int, T], Json]) -> list[Json]:
    """Start something for batch after batch, as `send_each`; return what each start returned.

    Args:
        state: ``call.state``.
        batches: the same ones at every attempt.
        start: starts one, by its number from 0; returns what is needed to ask for it (JSON).

    Raises:
        TemporaryError: that of ``start``, with what the earlier starts returned as its state.
    """
    started = list(state["started"]) if isinstance(state, dict) else []
    for number, batch in enumerate(batches[len(started) :], len(started)):
        try:
            started.append(start(number, batch))
        except TemporaryError as error:
            error.state = {"started": started}
            raise
    return started


def ask_each(
    started: Sequence[Json], ended: int, ask: Callable[[Any], float | None]
) -> tuple[Json, float] | None:
    """Ask in turn for what was started, up to the first that has not ended.

    Args:
        started: what `start_each` returned.
        ended: how many of them had ended when they were asked before.
        ask: asks for one; returns None if it has ended, else the seconds until it is asked
            again; it raises what a handler raises.

    Returns:
        The parts of a `Pending`, whose state has ``started`` and ``ended``; None once all ended.
    """
    for number, one in enumerate(started[ended:], ended):
        again = ask(one)
        if again is not None:
            return {"started": list(started), "ended": number}, again
    return None


def cut(text: str, most: int) -> str:
    """Return at most so many characters (code points); of a longer text the last one is `…`."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def cut_bytes(text: str, most: int) -> str:
    """Return at most so many bytes of UTF-8, whole characters; a longer text ends in `…`."""
    whole = text.encode()
    if len(whole) <= most:
        return text
    return whole[: most - len(CUT.encode())].decode(errors="ignore") + CUT
