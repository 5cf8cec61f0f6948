"""What was seen of rules and is not taken up yet: of each the newest, in whatever order it is told.

A list, a watch and what is read for a sync tell of the same objects, and each may be late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from receiver.dispatcher.tenants.in_turn import in_turn
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.ledger.plans.custom_rules import Key


@dataclass(frozen=True, slots=True)
class News:
    """What was seen of one rule last; ``gone`` if it is not there any more."""

    seen: SeenRule
    gone: bool


class Inbox:
    """The news, noted by several threads and taken by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news: dict[Key, News] = {}
        self._newest: dict[Key, SeenRule] = {}
        self._removed: dict[Key, str] = {}
        self._taken: frozenset[Key] = frozenset()
        self._awaited: set[Key] = set()
        self._held: frozenset[Key] = frozenset()
        self._noted = False

    def note(self, news: Iterable[News], *, awaited: bool = False) -> None:
        """Note what was seen; what is older than what was noted before is left out.

        What is ``awaited`` by a sync is not held back.
        """
        with self._lock:
            for one in news:
                if self._is_news(one):
                    self._news[one.seen.place] = one
                if awaited and one.seen.place in self._news:
                    self._awaited.add(one.seen.place)
            self._noted = True

    def note_absence(self, key: Key, uid: str) -> None:
        """Note that an object is not there now: what a watch still tells of it is old.

        ``uid`` is that of the object of which the ledger knows, "" if there is none.
        """
        with self._lock:
            known = self._newest.get(key)
            uid = known.uid if known else uid
            if uid:  # until the watch tells of its end; what never was is told by nobody
                self._removed[key] = uid
            self._news[key] = News(SeenRule(*key, uid, 0, ""), gone=True)
            self._noted = True

    def waits(self, keys: Collection[Key]) -> bool:
        """Whether something that was noted of these is not taken up yet."""
        with self._lock:
            return any(key in self._news or key in self._taken for key in keys)

    def note_again(self, seen: Iterable[SeenRule]) -> None:
        """Have these taken up once more, where nothing newer is noted."""
        with self._lock:
            for one in seen:
                self._news.setdefault(one.place, News(one, gone=False))

    def take(
        self, most: int, may: Callable[[News], bool] = lambda _: True
    ) -> tuple[Sequence[News], bool]:
        """Take some, namespaces in turn, and return them, and whether anything was noted since.

        What ``may`` not be taken is held back for a later time.
        """
        with self._lock:
            keys, held = list[Key](), list[Key]()
            for key in in_turn(self._news, lambda key: key[0]):
                if len(keys) == most:
                    break
                free = key in self._awaited or may(self._news[key])
                (keys if free else held).append(key)
            self._taken, self._held = frozenset(keys), frozenset(held)
            self._awaited -= self._taken
            noted, self._noted = self._noted, False
            return [self._news.pop(key) for key in keys], noted

    @property
    def held(self) -> frozenset[Key]:
        """What was held back when some was taken last."""
        return self._held

    def put_back(self, left: Iterable[News], *, noted: bool = False) -> bool:
        """End what `take` began, with what is left; return whether more may be taken now."""
        with self._lock:
            self._news = {one.seen.place: one for one in left} | self._news
            self._taken = frozenset()
            self._noted |= noted
            return any(key not in self._held for key in self._news)

    def _is_news(self, one: News) -> bool:
        key = one.seen.place
        if self._removed.get(key) == one.seen.uid and not one.gone:
            return False
        newest = self._newest.get(key)
        # One that is gone does not come back: what has its name then is another one.
        if newest and one.gone and newest.uid != one.seen.uid:
            return False
        if newest and not one.gone and newest.version > one.seen.version:
            return False
        self._removed.pop(key, None)
        if one.gone:
            self._newest.pop(key, None)
        else:
            self._newest[key] = one.seen
        return True
