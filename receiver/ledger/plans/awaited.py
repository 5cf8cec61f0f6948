"""The Applications that a plan waits for while it collects (`debounce.until`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from receiver.core.model import Json
from receiver.core.storable import dumps


@dataclass(frozen=True, slots=True)
class Awaited:
    """Whom a plan waits for, and what was seen of them.

    Attributes:
        sender: whose connection tells of them.
        revisions: at which each has to have finished an operation, one for each source.
        applications: which, as the rule says it.
        otherwise: what becomes of the plan if not all of them come: ``fail`` or ``go``.
        window: milliseconds without another sync that it waits for where nobody can look.
        found: how many there are; None before anybody has looked.
        missing: those that have not come, each with the reason.
        failed: those whose operation has failed, likewise.
        more: how many are missing or have failed beside those that are named.
        trouble: why nobody could look the last time, "" if that went well.
        met: it waits for none of them any more.
    """

    sender: str
    revisions: Sequence[str]
    applications: dict[str, Json]
    otherwise: Literal["fail", "go"]
    window: int
    found: int | None = None
    missing: Sequence[str] = ()
    failed: Sequence[str] = ()
    more: int = 0
    trouble: str = ""
    met: bool = False

    @classmethod
    def read(cls, text: str) -> Awaited:
        """Make it of what is stored."""
        return cls(**json.loads(text))

    @property
    def written(self) -> str:
        """What is stored of it."""
        return dumps(asdict(self))

    @property
    def reason(self) -> str:
        """What it waits for, in words."""
        return "; ".join([self._standing, *([self.trouble] if self.trouble else [])])

    @property
    def _standing(self) -> str:
        if self.found is None:
            return "nobody has looked at its Applications yet"
        if not self.found:
            return "no Application is as debounce.until has it"
        more = [f"{self.more} more"] if self.more else []
        not_yet = len(self.missing) + len(self.failed) + self.more
        named = "; ".join([*self.missing, *self.failed, *more]) or "all are done"
        return f"{not_yet} of {self.found} Applications are not done: {named}"

    @property
    def event_data(self) -> dict[str, Json]:
        """What an event tells of it."""
        data: dict[str, Json] = {
            "applications": self.found, "missing": [*self.missing], "failed": [*self.failed],
            "more": self.more, "reason": self.trouble,
        }  # fmt: skip
        return {key: one for key, one in data.items() if one or key == "applications"}

    @property
    def news(self) -> tuple[object, ...]:
        """What of it is told whenever it changes; of those that come, `plan.joined` tells."""
        return self.found, tuple(self.failed), self.trouble
