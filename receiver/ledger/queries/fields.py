"""Which keys of a row are wanted: what is bulky and not wanted is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys that are wanted, each with those that are wanted below it; none is all of them."""

    wanted: Mapping[str, Fields] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        """Whether a key is wanted; one below another is written with a dot."""
        first, _, rest = path.partition(".")
        if not self.wanted:
            return True
        return first in self.wanted and (not rest or rest in self.wanted[first])

    def under(self, name: str) -> Fields:
        """Return what is wanted below a key."""
        return self.wanted.get(name, WHOLE)

    def of(self, value: Any) -> Any:
        """Return a row, or each row of a list, without what is not wanted."""
        if not self.wanted or value is None:
            return value
        if isinstance(value, list):
            return [self.of(one) for one in value]
        return {key: below.of(value[key]) for key, below in self.wanted.items() if key in value}


WHOLE = Fields()
