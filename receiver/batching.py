"""For handlers whose service takes so many items a request: what was sent is not sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from receiver.errors import TemporaryError

T = TypeVar("T")


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
            raise TemporaryError(
                error.message,
                delay=error.delay,
                state={"batchesDone": number},
                limited=error.limited,
                hint=error.hint,
            ) from error
