"""What one path of a server does not answer well: it leaves what else is asked for as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from receiver.argocd.objects import ObjectRef, Unreadable
from receiver.argocd.server import AnswerFailed, TooLarge

SOON = 1.0
"""Seconds until what was answered 5xx is asked for once more: etcd may have changed its leader."""

T = TypeVar("T")


def unanswered(error: AnswerFailed) -> Unreadable:
    """Return why something is not known."""
    return Unreadable(str(error), again=not isinstance(error, TooLarge))


def read_twice(
    read: Callable[[Sequence[ObjectRef]], Mapping[ObjectRef, T | Unreadable]],
    refs: Sequence[ObjectRef],
    deadline: float,
) -> Mapping[ObjectRef, T | Unreadable]:
    """Read objects, and once more those whose path was not answered well."""
    found = read(refs)
    late = [ref for ref, one in found.items() if isinstance(one, Unreadable) and one.again]
    if not late or deadline - time.monotonic() < 2 * SOON:
        return found
    time.sleep(SOON)
    return {**found, **read(late)}
