"""What of the live objects that one call reads is kept in memory, all at once."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from receiver.argocd.objects import LiveObject, Unreadable

MOST = 32 << 20
"""Characters of whole objects as JSON, which in memory are several times as large, or else of their
annotations: a thousand objects may have 256 KiB of these each."""

TOO_MUCH = Unreadable("the Application's objects are too large to be read at once")


class Room:
    """Keeps of objects what is asked for, as long as there is room.

    Args:
        content: whether they are kept whole.
        annotations: else the names of those that are kept, None for all.
    """

    def __init__(self, *, content: bool, annotations: Collection[str] | None) -> None:
        self._content = content
        self._annotations = annotations
        self._left = MOST

    def keep(self, found: LiveObject) -> LiveObject | Unreadable:
        """Return an object as it is kept, or that there is no room for it."""
        if self._content:
            self._left -= len(json.dumps(found.content))
        else:
            names = self._annotations
            kept = {n: v for n, v in found.annotations.items() if names is None or n in names}
            self._left -= sum(map(len, kept.values()))
            found = replace(found, annotations=kept)
        return found if self._left >= 0 else TOO_MUCH
