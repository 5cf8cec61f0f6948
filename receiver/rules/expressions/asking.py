"""What a compiled expression asks while it is evaluated: whether it may go on.

What a checkpoint raises cannot come out of the library: it is kept until the evaluation has ended,
which goes on with nothing.
"""

from __future__ import annotations

import re
import threading
from itertools import count

from cel_expr_python import cel

from receiver.core import interruption
from receiver.rules.expressions.steps import MATCH, STEP, TURN

TURNS = 15
"""Turns of loops between two checkpoints; of all threads together, and one less than a power of 2.
"""

LARGEST_MATCH = 1_000_000_000
"""What one match may cost: each character of the text, times those of the pattern, times how often
that repeats them. The worst takes 2 ns for each (measured), most a thousandth of it."""

COUNTS = re.compile(r"\{(\d+)(?:,(\d*))?\}")
MOST_REPEATED = 1_000
"""RE2 refuses a pattern that repeats something more often."""


class _Evaluation(threading.local):
    """The one under way in this thread."""

    stopped: BaseException | None = None


_turn = count(1)
_under_way = _Evaluation()


def raise_stopped() -> None:
    """Raise what has ended the evaluation, if anything has; call it after each."""
    stopped = _under_way.stopped
    if stopped is not None:
        _under_way.stopped = None
        raise stopped


def _may_turn() -> bool:
    return bool(next(_turn) & TURNS) or _may_step()


def _may_step() -> bool:
    if _under_way.stopped is None:
        try:
            interruption.checkpoint()
        except BaseException as error:  # noqa: BLE001 see above
            _under_way.stopped = error
    return _under_way.stopped is None


def _cost_of(pattern: str) -> int:
    """Return what a pattern may cost for each character of a text: its own, repeated."""
    repeated = 1
    for least, most in COUNTS.findall(pattern):
        repeated *= max(1, int((most or least)[:5]))
    return len(pattern) * min(repeated, MOST_REPEATED)


def _to_match(text: str, pattern: str) -> str | None:
    if len(text) * _cost_of(pattern) > LARGEST_MATCH:
        raise RuntimeError(
            f"the regular expression may take too long over a text of {len(text)} characters"
        )
    return text if _may_step() else None


ASKED = [
    cel.FunctionDecl(TURN, [cel.Overload(TURN, cel.Type.BOOL, [], impl=_may_turn)]),
    cel.FunctionDecl(STEP, [cel.Overload(STEP, cel.Type.BOOL, [], impl=_may_step)]),
    cel.FunctionDecl(
        MATCH, [cel.Overload(MATCH, cel.Type.STRING, [cel.Type.STRING] * 2, impl=_to_match)]
    ),
]
"""What an environment has to declare for `receiver.rules.expressions.steps`."""
