"""A rule's verdict on each resource of a sync; its text is made when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from receiver.rules.matching.index import numbers_in


class Verdict(StrEnum):
    """The verdicts; ``error`` is a condition that failed, which is no match."""

    MATCHED = "matched"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with its reason.

    Attributes:
        verdict: whether it matched.
        field: what decided, as a path below ``match``: ``resources[0].name``, or the
            selector through which a resource matched.
        reason: all of it as text.
        wanted: what the field wants, if it refused.
        saw: the value that it refused, or what the sync did to a resource that matched.
    """

    verdict: Verdict
    field: str
    reason: str
    wanted: str = ""
    saw: str = ""


class Findings:
    """A finding for each resource, in their order: 10,000 of them are 4 KB until they are read."""

    def __init__(self, size: int, matched: int, failed: int, make: Callable[[int], Finding]):
        """Take the verdicts as sets of bits.

        Args:
            size: how many resources there are.
            matched: those that matched; bit i is resource i.
            failed: those on which the condition failed.
            make: returns the finding of one resource.
        """
        self._size = size
        refused = ((1 << size) - 1) & ~(matched | failed)
        self._bits = {
            Verdict.MATCHED: matched, Verdict.ERROR: failed, Verdict.REFUSED: refused,
        }  # fmt: skip
        self._make = make

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many there are of each verdict."""
        return {verdict: bits.bit_count() for verdict, bits in self._bits.items()}

    def of(self, verdict: Verdict) -> tuple[int, ...]:
        """Return the resources with this verdict, ascending."""
        return numbers_in(self._bits[verdict])

    def first(self, most: int) -> list[int]:
        """Return at most so many resources: what matched before what failed, then the rest."""
        found: list[int] = []
        for bits in self._bits.values():
            if len(found) < most:
                found += islice(numbers_in(bits), most - len(found))
        return found

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int) -> Finding:
        return self._make(range(self._size)[at])

    def __iter__(self) -> Iterator[Finding]:
        return map(self._make, range(self._size))


NONE = Findings(0, 0, 0, lambda _at: Finding(Verdict.REFUSED, "", ""))
"""Of a rule that was refused before any resource was tested."""
