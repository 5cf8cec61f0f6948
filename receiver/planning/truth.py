"""Which resources of a sync are judged by their live objects before it is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.core.model import Resource, Sync
from receiver.notification.application_memory import is_dry_run
from receiver.notification.change_detection import list_gap
from receiver.rules.matching.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read for a sync.

    ``listed`` are resources by their index. ``unlisted``: its list may lack what it changed, and a
    rule could select that. ``health`` are those, by their index, whose health decides.
    """

    listed: tuple[int, ...] = ()
    unlisted: bool = False
    health: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be read."""
        return bool(self.listed or self.unlisted or self.health)


def find_wanted(matcher: Matcher, sync: Sync) -> Wanted:
    """Return what is to be read for a sync, whose resources have their verdicts by message."""
    health = matcher.wants_health(sync)
    if is_dry_run(sync) or sync.started_at is None or sync.finished_at is None:
        return Wanted(health=health)
    gap = bool(list_gap(sync.retry_count, sync.options))
    return Wanted(matcher.wants_truth(sync), gap and matcher.verifies(sync), health)


def find_unlisted(matcher: Matcher, sync: Sync, others: Sequence[Resource]) -> list[Resource]:
    """Return those of an Application's resources that a sync does not list and a rule selects."""
    listed = {(one.group, one.kind, one.name): one.namespace for one in sync.resources}
    missing = [
        one
        for one in others
        if (there := listed.get((one.group, one.kind, one.name))) is None
        or one.namespace not in {"", there}  # the list gives what has no namespace one, too
    ]
    return [missing[number] for number in matcher.could_select(sync, missing)]
