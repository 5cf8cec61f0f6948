"""What a notification of our own repeats of the sync that it is about: all that is ordinary.

Each rule that holds something of a sync has such a notification stored in the transaction that
holds, and what a sender wrote may be megabytes of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress

from receiver.contract import cut
from receiver.core.model import Application, Sync

ROOM = 16_000
"""Characters of all labels, keys and values, and as many of all revisions. A label of Kubernetes
has at most 380, most have 40; a commit has 40 or 64."""

LONGEST = 1_000
"""Characters of any other text; a name in Kubernetes has at most 253."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A sync as it is repeated, and what of it was ``shortened``, "" if nothing was."""

    sync: Sync
    shortened: str


def excerpt(sync: Sync) -> Excerpt:
    """Bound what a sender may write at any length.

    A text that is too long is cut, so that it equals no other, and begins as it did. Labels that do
    not fit are left out whole: a part of a value would be another value.
    """
    own = _application(sync.application)
    revisions = tuple(short(one) for one in sync.revisions)
    revisions = tuple(compress(revisions, _fitting(map(len, revisions))))
    short_sync = replace(sync, application=own, revision=short(sync.revision), revisions=revisions)
    return Excerpt(short_sync, ", ".join(_shortened(sync, short_sync)))


def short(text: str) -> str:
    """Cut a text that is too long to be a name."""
    return cut(text, LONGEST)


def _application(whole: Application) -> Application:
    there = whole.destination
    sizes = (len(key) + len(value) for key, value in whole.labels.items())
    return replace(
        whole,
        uid=short(whole.uid),
        labels=dict(compress(whole.labels.items(), _fitting(sizes))),
        destination=replace(there, server=short(there.server), name=short(there.name)),
    )


def _fitting(sizes: Iterable[int]) -> Iterator[bool]:
    """Tell of each whether it fits beside those before it that do; so a huge one hides no other."""
    left = ROOM
    for size in sizes:
        fits = size <= left
        left -= size if fits else 0
        yield fits


def _shortened(sync: Sync, kept: Sync) -> Iterator[str]:
    whole, own = sync.application, kept.application
    texts = {
        "uid": (whole.uid, own.uid),
        "destination": (whole.destination, own.destination),
        "revision": (sync.revision, kept.revision),
    }
    yield from (name for name, (was, is_) in texts.items() if was != is_)
    if len(own.labels) < len(whole.labels):
        yield f"labels ({len(own.labels)} of {len(whole.labels)} kept)"
    if kept.revisions != sync.revisions:
        yield f"revisions ({len(kept.revisions)} of {len(sync.revisions)} kept)"
