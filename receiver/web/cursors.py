"""Cursors: where the next page of a list or a story begins; clients read nothing into them."""

from __future__ import annotations

import base64
import json
import re

from receiver.ledger.queries.reader import Place
from receiver.web.problem_details import Refusal

ROW_ID = re.compile(r"[a-z]-[0-9a-z]+")
STORY_PLACE = re.compile(r"([0-9a-z-]*)/([0-9a-z-]*)/([0-9a-z-]*)/([0-9]{1,18})/([0-9]{1,9})")
"""What cursors have in them: of a list the id of a row, of a story what `Place` has."""


def cursor_of(kind: str, last: str) -> str:
    """Write where the next page of a list begins."""
    return base64.urlsafe_b64encode(json.dumps([kind, last]).encode()).decode().rstrip("=")


def place_of(kind: str, cursor: str) -> str:
    """Read a cursor; "" is the beginning.

    Raises:
        Refusal: 400 ``bad_cursor``, it is none, or that of another list.
    """
    if not cursor:
        return ""
    last = _last_of(kind, cursor)
    if not ROW_ID.fullmatch(last):
        raise Refusal(
            "bad_cursor", f"the cursor is none of a list of {kind}",
            hint="give the `next` of the page before as it is, with the same filters",
        )  # fmt: skip
    return last


def story_cursor(about: str, place: Place | None) -> str | None:
    """Write where the next page of a story begins, None if there is none."""
    if place is None:
        return None
    rows = f"{place.delivery}/{place.plan}/{place.run}"
    return cursor_of(about, f"{rows}/{place.line}/{place.attempt}")


def story_place(about: str, cursor: str) -> Place:
    """Read the cursor of a story.

    Raises:
        Refusal: 400 ``bad_cursor``, it is none, or that of another story.
    """
    if not cursor:
        return Place()
    place = STORY_PLACE.fullmatch(_last_of(about, cursor))
    if place is None:
        raise Refusal(
            "bad_cursor", f"the cursor is none of {about}",
            hint="give the `next` of the page before as it is, to what that page is of, by its id",
        )  # fmt: skip
    delivery, plan, run, line, attempt = place.groups()
    return Place(delivery, plan, run, int(line), int(attempt))


def _last_of(kind: str, cursor: str) -> str:
    """Return what a cursor says of where to go on, "" if it is none of this kind."""
    try:
        found, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        return ""
    return last if found == kind and isinstance(last, str) else ""
