"""The message of an empty list: which rows there are in other states."""

from __future__ import annotations

from collections import Counter

from receiver.cli.client import PAGE, Client, Query
from receiver.core.plural import plural
from receiver.core.states import RunState

OTHER = {"plan": "run", "run": "plan"}


def empty_list_message(client: Client, kind: str, query: Query) -> str:
    """Return that no ``plan`` or ``run`` fits the query, and which there are in other states."""
    if not any(query.values()):
        return f"no {kind}s yet"
    parts = [f"no {kind} is like that"]
    if states := query["state"]:
        parts += _in_other_states(client, kind, query)
        if RunState.HELD in states:
            parts += _other_held(client, OTHER[kind])
    return "; ".join(parts)


def _in_other_states(client: Client, kind: str, query: Query) -> list[str]:
    rows = client.get(f"/v1/{kind}s", {**query, "state": "", "limit": str(PAGE)})[f"{kind}s"]
    states = Counter(str(row["state"]) for row in rows)
    if not states:
        return []
    few = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
    of = f" of the newest {PAGE}" if len(rows) == PAGE else ""
    return [f"in other states{of}: {few}"]


def _other_held(client: Client, kind: str) -> list[str]:
    held = client.get(f"/v1/{kind}s", {"state": RunState.HELD, "limit": str(PAGE)})[f"{kind}s"]
    if not held:
        return [f"no {kind} is held either"]
    many = f"{PAGE} or more" if len(held) == PAGE else plural(len(held), kind)
    wait = "waits" if len(held) == 1 else "wait"
    return [f"{many} {wait} for an approval: `postsync {kind}s --state held`"]
