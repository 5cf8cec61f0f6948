"""Reads the trail from a server, page by page, and writes its events as lines for people."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from receiver.cli.client import PAGE, Client
from receiver.cli.screen import Part, Styled, write_line
from receiver.core.errors import ServerError, Unreachable
from receiver.ledger.queries.rows import Event

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.web.responses import Events

INTERVAL = 0.5
"""Seconds between two requests for new events."""

LONGEST = 5.0
"""Seconds between two tries while the server is away."""


GOOD = ("accepted", "succeeded", "matched", "approved", "lifted")
BAD = ("failed", "refused", "error", "lost", "cancelled")
HIDDEN = frozenset({"seq", "at", "event", "delivery", "sync", "plan", "run", "attempt", "targets"})
"""Keys left out of the text: ids, and what has a place or lines of its own."""


def pages(client: Client, query: Mapping[str, str], after: str = "") -> Iterator[list[Event]]:
    """Yield the trail's events, the oldest first, up to the newest that there is.

    Args:
        client: the server.
        query: the filters, with ``since`` if there is one.
        after: the ``seq`` after which to begin.
    """
    while True:
        page = _page(client, query, after)
        yield page["events"]
        after = str(page["next"])
        if not page["more"]:
            return


def follow(client: Client, query: Mapping[str, str]) -> Iterator[Event]:
    """Yield the trail's events and go on with what comes; never ends by itself.

    A server that is away for a while, as in a restart, is asked again from where it broke off.
    """
    page = _page(client, query, "")
    while True:
        yield from page["events"]
        if not page["more"]:
            time.sleep(INTERVAL)
        page = _page_with_retries(client, query, str(page["next"]))


def _page(client: Client, query: Mapping[str, str], after: str) -> Events:
    given = {name: value for name, value in query.items() if name != "since" or not after}
    page: Events = client.get("/v1/events", {**given, "limit": str(PAGE), "after": after})
    return page


def _page_with_retries(client: Client, query: Mapping[str, str], after: str) -> Events:
    pause = INTERVAL
    while True:
        try:
            return _page(client, query, after)
        except ServerError as error:
            if not isinstance(error, Unreachable) and error.status < 500:  # noqa: PLR2004 its own faults
                raise
            if pause == INTERVAL:
                write_line(f"postsync: {error.message}; trying again", err=True)
        pause = min(pause * 2, LONGEST)
        time.sleep(pause)


def event_line(event: Event, clock: str, hidden: frozenset[str] = HIDDEN) -> tuple[Part, ...]:
    """Return the line of an event; ``clock`` is its time, padded to a column."""
    name = str(event["event"])
    colour = "green" if name.endswith(GOOD) else "red" if name.endswith(BAD) else None
    about = [
        f"{key}={_text(value)}"
        for key, value in event.items()
        if key not in hidden and value not in ("", None)
    ]
    number = [f"attempt={event['attempt']}"] if "attempt" in event else []
    came = event.get("delivery") if name.startswith("notification.") else None
    about += [f"delivery={came}"] if came else []  # what `show` takes to show the notification
    return clock, Styled(f"{name:24}", colour), " ".join(number + about)


def _text(value: Any) -> str:
    """Write a value as one word, in quotes if it is not: a hook's text may have lines."""
    if not isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False) if re.search(r"[\s\"]", value) else value
