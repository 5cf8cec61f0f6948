"""What is remembered of the fields that rules compare, from one sync to the next; pure.

A field is known by its object and its path. Its value is JSON in one form, so that equal
values are equal texts; what is long, or a Secret's, is a digest.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from receiver.core.model import ChangeVerdict, FieldChange, Json
from receiver.notification.live_verdicts import Sighting, judge

FieldKey: TypeAlias = tuple[str, str]
"""An object, ``apps/Deployment/shop/web``, and a path into it."""

MOST = 20_000
"""Fields that are remembered of one Application."""

LONGEST = 256
"""Characters of a value that is kept as it is: of a longer one its digest tells as much."""

NOTHING = "null"
"""The value of a field that is not there."""

FIRST_SIGHT = "first seen by this sync"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A field after a sync that succeeded.

    Attributes:
        value: after it.
        before: after the one before, None if that is not known.
        finished_at: when the sync finished, in milliseconds.
        started_at: when it began, likewise; of two that ended in the same second it tells which
            was the later. The same sync may come by several channels, and is compared with
            ``before`` each time.
    """

    value: str
    before: str | None
    finished_at: int
    started_at: int

    @property
    def when(self) -> tuple[int, int]:
        """What its sync is known by, in the order of the syncs."""
        return self.finished_at, self.started_at


@dataclass(frozen=True, slots=True)
class Operation:
    """When an operation ran, and whether the next one is compared with what it left."""

    started: datetime
    finished: datetime
    keep: bool

    @property
    def when(self) -> tuple[int, int]:
        """When it finished, and began, in milliseconds; see `Remembered.when`."""
        return int(self.finished.timestamp() * 1000), int(self.started.timestamp() * 1000)


@dataclass(slots=True)
class FieldMemory:
    """The fields of one Application.

    Attributes:
        known: what is remembered.
        digest_key: see `canonical`.
    """

    known: dict[FieldKey, Remembered] = field(default_factory=dict)
    digest_key: bytes = b""

    def compare(
        self, owner: str, values: Mapping[str, Json], seen: Sighting, by: Operation, *,
        secret: bool, doubtful: bool = False,
    ) -> tuple[dict[str, FieldChange], dict[FieldKey, Remembered]]:  # fmt: skip
        """Compare fields of an object with what they were; and remember them, if ``by`` says so.

        Args:
            owner: the object.
            values: what they are now, by path.
            seen: the live object that they are in.
            by: the sync's operation.
            secret: whether it is a Secret.
            doubtful: whether a failed sync before this one may have changed it.

        Returns:
            What became of each field, and what is remembered of it now.
        """
        changes, news = dict[str, FieldChange](), dict[FieldKey, Remembered]()
        for path, value in values.items():
            now = canonical(value, self.digest_key, secret=secret)
            last = self.known.get((owner, path))
            changes[path], new = _compare(last, now, seen, by, doubtful=doubtful)
            if new and by.keep and ((owner, path) in self.known or len(self.known) < MOST):
                self.known[owner, path] = news[owner, path] = new
        return changes, news


def _compare(
    last: Remembered | None, value: str, seen: Sighting, by: Operation, *, doubtful: bool
) -> tuple[FieldChange, Remembered | None]:
    change = judge(seen, by.started, by.finished)
    if seen.moments and seen.moments[-1][0] > by.finished:
        return FieldChange(unknown=change.reason), None
    if last and last.when > by.when:
        return FieldChange(unknown="a newer sync was compared before"), None
    before = None
    if seen.created and by.started.replace(microsecond=0) <= seen.created:
        before = NOTHING
    elif last:
        before = last.before if last.when == by.when else last.value
    elif change.verdict is ChangeVerdict.UNCHANGED and not doubtful:
        before = value
    after: Json = json.loads(value)
    new = Remembered(value, before, *by.when)
    if before is None:
        return FieldChange(after=after, unknown=FIRST_SIGHT), new
    return FieldChange(json.loads(before), after), new


def canonical(value: Json, digest_key: bytes, *, secret: bool) -> str:
    """Write a value so that equal ones are equal texts.

    What is secret or long is a digest by a key of this ledger's own: nobody can look it up in a
    list of digests that was made before.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if text == NOTHING or not (secret or len(text) > LONGEST):
        return text
    return json.dumps(keyed_digest(text, digest_key))


def keyed_digest(text: str, digest_key: bytes) -> str:
    """Return what stands for a text that is nobody's business."""
    found = hmac.digest(digest_key, text.encode("utf-8", "replace"), "sha256")
    return "digest:" + found.hex()
