"""Shares of what it takes to plan a sync, in processor time and memory: each namespace has its own.

What the operator wrote has a time of its own, which no rule of a namespace uses up. Beside it all
namespaces together have one, half of which is divided evenly between those that see the sync, and
half of which is for whoever comes first. Those that took much of late come last, so that they take
it from one another and not from those that take little.

A namespace that has used up its share is left out of the sync with all of its rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from itertools import groupby
from typing import Protocol, TypeVar

from receiver.core.interruption import CpuLimit, TooLong, interruptible
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.names import tenant_of

EACH = 3.0
"""Processor seconds of a namespace for one sync: a rule with an action for each of 10,000 resources
takes 1.3 to 2.6 (measured), most take 0.001."""

TOGETHER = 6.0
"""Those of all namespaces: two that take all they may leave the third enough."""

MEMORY_EACH = 32 << 20
MEMORY_TOGETHER = 64 << 20
"""Characters of what their rules make of one sync: parameters and reasons, in memory until they are
stored. One may have the largest wave, see `receiver.planning.parameters`."""

LITTLE = 0.001
"""Seconds by which what is measured may be behind: most namespaces take less of a sync."""

COSTLY = 0.05
"""Processor seconds for one sync that are much: who takes less comes in the order of the rules."""


class ShareUsed(BaseException):
    """A namespace has used up its share; no handler of errors in a rule catches it."""


class OfRule(Protocol):
    """What belongs to one rule."""

    @property
    def rule(self) -> Rule:
        """The rule."""
        ...


I = TypeVar("I", bound=OfRule)  # noqa: E741 an item
T = TypeVar("T")


class Shares:
    """Those of one sync, or of one step of a plan.

    Args:
        own: processor seconds for what is no namespace's.
        then: called now and then, in whosever time.
        costly: what namespaces took of late, which is kept up to date.
        scale: how much of the usual time they have.

    Attributes:
        used_up: why the rules of a namespace are left out, by its name.
        size: characters that were made for namespaces.
    """

    def __init__(
        self, own: float, then: Callable[[], None] = lambda: None,
        costly: dict[str, float] | None = None, scale: float = 1.0,
    ) -> None:  # fmt: skip
        self._measured, self._at = time.thread_time(), time.monotonic()
        self._own = CpuLimit(own, self._measured)
        self._then = then
        self._costly = {} if costly is None else costly
        self._each, self._together = EACH * scale, TOGETHER * scale
        self._number, self._even = 1, self._together / 2
        self._beyond = 0.0
        self._took: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._owner = self._rule = ""
        self.used_up: dict[str, str] = {}
        self.size = 0

    def expect(self, number: int) -> None:
        """Note how many namespaces see the sync, before anything is done for them."""
        self._number = number
        self._even = self._together / 2 / (number or 1)

    def check(self) -> None:
        """Check the time of what is no namespace's.

        Raises:
            TooLong: it is over.
        """
        if self._own.over:
            raise TooLong
        self._then()

    def charge(self, size: int) -> None:
        """Count what was made for the namespace whose turn it is.

        Raises:
            ShareUsed: that is more than it may have.
        """
        if not self._owner:
            return
        self.size += size
        self._sizes[self._owner] = own = self._sizes.get(self._owner, 0) + size
        if own > MEMORY_EACH or self.size > MEMORY_TOGETHER:
            self._leave_out(
                self._owner,
                f"namespace {self._owner} makes more of this sync than there is room for: "
                f"{MEMORY_EACH >> 20} MiB of parameters and reasons, {MEMORY_TOGETHER >> 20} MiB "
                f"for all namespaces",
            )
            raise ShareUsed

    def for_each(self, items: Iterable[I], work: Callable[[I], T]) -> list[T]:
        """Do the work for each, those of a namespace within its share.

        Returns:
            What it returned; nothing for what could not be done.
        """
        if self._costly and self._number:
            items = sorted(items, key=lambda one: self._costly.get(_owner(one), 0.0))
        if not self._number:
            return [*map(work, items)]
        made: list[T] = []
        for owner, own in groupby(items, key=_owner):
            if not owner:
                made += map(work, own)
            elif owner not in self.used_up:
                self._do(owner, own, work, made)
        return made

    def remember(self) -> None:
        """Note who took much, for the next sync; who does no more is forgotten by and by."""
        for owner, took in self._took.items():
            before = self._costly.get(owner, 0.0)
            # How much it would have taken is not known of one that was cut short.
            much = max(took, before if owner in self.used_up else before / 2)
            if much > COSTLY:
                self._costly[owner] = much
            else:
                self._costly.pop(owner, None)

    def _do(self, owner: str, items: Iterable[I], work: Callable[[I], T], made: list[T]) -> None:
        began, took = self._now(), self._took.get(owner, 0.0)
        limit = CpuLimit(self._most(took) - took, began)

        def check() -> None:
            if limit.over:
                raise ShareUsed
            self._then()

        self._owner = owner
        try:
            with interruptible(check):
                for one in items:
                    self._rule = one.rule.name
                    made.append(work(one))
        except ShareUsed:
            pass
        finally:
            self._owner = ""
            if seconds := self._now() - began:
                self._own.extend(seconds)
            self._count(owner, seconds)
            if limit.over:
                self._leave_out(owner, self._slow(owner))

    def _now(self) -> float:
        """Return this thread's processor time, which may be `LITTLE` behind."""
        now = time.monotonic()
        if now - self._at > LITTLE:
            self._measured, self._at = time.thread_time(), now
        return self._measured

    def _most(self, took: float) -> float:
        """Return the seconds that who took so much may have taken in the end, as things are."""
        first = max(0.0, self._together / 2 - self._beyond)
        return min(self._each, max(self._even, took) + first)

    def _count(self, owner: str, seconds: float) -> None:
        before = self._took.get(owner, 0.0)
        self._took[owner] = after = before + seconds
        if after > self._even:
            self._beyond += after - max(before, self._even)

    def _slow(self, owner: str) -> str:
        return (
            f"namespace {owner} has used up its share of the time in which this sync is planned, "
            f"{self._took[owner]:.2f} s of a core: each may take {self._each:g} s, and the "
            f"{self._number} that see it {self._together:g} s together"
        )

    def _leave_out(self, owner: str, why: str) -> None:
        self.used_up.setdefault(owner, f"{why}; it was at rule {self._rule}")


def _owner(item: OfRule) -> str:
    return tenant_of(item.rule.name)


_current: ContextVar[Shares | None] = ContextVar("shares", default=None)


class sharing(interruptible):  # noqa: N801 it is used like a function
    """Have what is done within the block in behalf of rules within these shares.

    `TooLong` comes out of it where what is no namespace's took longer than it may.
    """

    __slots__ = ("_outer", "_shares")

    def __init__(self, shares: Shares) -> None:
        super().__init__(shares.check)
        self._shares = shares

    def __enter__(self) -> None:
        self._outer = _current.set(self._shares)
        super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        _current.reset(self._outer)
        self._shares.remember()


def for_each(items: Iterable[I], work: Callable[[I], T]) -> list[T]:
    """Do some work for each, see `Shares.for_each`; where there are no shares, for all."""
    shares = _current.get()
    return [*map(work, items)] if shares is None else shares.for_each(items, work)


def expect(namespaces: int) -> None:
    """Note how many namespaces see the sync."""
    if (shares := _current.get()) is not None:
        shares.expect(namespaces)


def charge(size: int) -> None:
    """Count characters that are kept of what was made, see `Shares.charge`."""
    if (shares := _current.get()) is not None:
        shares.charge(size)


def used_up() -> Mapping[str, str]:
    """Return why the rules of namespaces are left out by now, by their name."""
    shares = _current.get()
    return {} if shares is None else shares.used_up
