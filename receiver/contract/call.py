"""What a handler is given for one attempt, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from receiver.contract.http import Http
from receiver.contract.tenant import Tenant
from receiver.contract.watching import NoWatches, Watches
from receiver.core.model import Json

TRACE_HEADERS = frozenset({"traceparent", "tracestate"})
"""Those of W3C's Trace Context."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt: what the handler is given.

    Attributes:
        run: the run's id.
        idempotency_key: ``RUN.n``, the same over lost and repeated attempts.
        attempt: counts from 1.
        state: what the last `Pending` or `TemporaryError` left, else None.
        timeout: seconds that this attempt may take.
        now: the attempt's time, aware UTC.
        http: sends requests; nothing else may.
        evaluate: evaluates a `Cel` parameter over the given variables.
        say: writes a line on the trail.
        hide: masks a further secret from here on: an access token that the attempt got itself,
            a session's key.
        mask: returns a text with all secrets masked, as `Answer.mask` does: for a state, in which
            a secret would fail the run, and for a text before it is cut.
        watches: tells what is known without a request; see `Watch`.
        tenant: for whom it is; None for whoever runs Postsync.
        trace_headers: pass the trace of the sync on, for a request to whoever writes spans, too;
            empty where there is none.
    """

    run: str
    idempotency_key: str
    attempt: int
    state: Any
    timeout: float
    now: datetime
    http: Http
    evaluate: Callable[[str, Mapping[str, Any]], Any]
    say: Callable[[str], None]
    hide: Callable[[str], None]
    mask: Callable[[str], str] = str
    watches: Watches = field(default_factory=NoWatches)
    tenant: Tenant | None = None
    trace_headers: Mapping[str, str] = field(default_factory=dict)

    def with_trace(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with those that pass the trace on, unless they have such a one."""
        own = any(name.lower() in TRACE_HEADERS for name in headers)
        return {**({} if own else self.trace_headers), **headers}


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done; ``output`` (JSON) is what later actions read as ``actions.NAME.output``."""

    output: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """Started, and the other side works on it.

    The run is asked again with ``state`` (JSON) after ``ask_again_in`` seconds, by any
    worker; no thread waits meanwhile. ``why`` is what it waits for, for people, where more is known
    than that it is under way: it is shown with the run, and is in the reason if its deadline
    passes.
    """

    state: Json
    ask_again_in: float
    why: str = ""


Outcome: TypeAlias = Succeeded | Pending
