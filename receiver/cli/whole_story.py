"""The story of a sync, a plan or a run, put together of the pages in which a server tells it."""

from __future__ import annotations

from typing import Any

from receiver.cli.client import Client, Query

FURTHER = ("deliveries", "plans", "runs", "tries", "events")
"""What further pages have more of."""


def fetch_story(client: Client, path: str, fields: str = "", query: Query | None = None) -> Any:
    """Return a story whole, or these keys of it."""
    story = client.get(path, {**(query or {}), "fields": fields})
    lists = [key for key in FURTHER if key in story]
    further = [one for one in fields.split(",") if one.partition(".")[0] in lists] or lists
    while (cursor := story.get("next")) is not None:
        page = client.get(path, {"fields": ",".join(further), "cursor": cursor})
        for key in lists:
            _add(story[key], page[key])
        story["next"] = page["next"]
    return story


def _add(rows: list[Any], more: list[Any]) -> None:
    """Add rows; a plan that goes on on this page is added to itself."""
    if rows and more and "runs" in more[0] and rows[-1]["id"] == more[0]["id"]:
        rows[-1]["runs"] += more[0]["runs"]
        more = more[1:]
    rows += more
