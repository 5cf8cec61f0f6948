"""Writes one delivery: the notification as it was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator

from receiver.cli.client import in_commands
from receiver.cli.screen import Line, Styled
from receiver.ledger.queries.delivery_rows import DeliveryStory


def delivery_lines(found: DeliveryStory) -> Iterator[Line]:
    """Yield what came, what became of it, and the notification."""
    yield from _head(found)
    yield ("",)
    if found["note"]:
        text = in_commands(found["note"])
    elif found["notification"] is None:
        text = found["text"]
    else:
        text = json.dumps(found["notification"], indent=2)
    yield from ((line,) for line in text.split("\n"))


def _head(found: DeliveryStory) -> Iterator[Line]:
    reason = f": {found['reason']}" if found["reason"] else ""
    yield (Styled(f"delivery {found['id']} {found['verdict']}{reason}", bold=True),)
    query = "&".join(f"{name}={value}" for name, value in found["query"].items())
    yield (
        f"from {found['sender']}, channel {found['channel']}, at {found['receivedAt']}, ",
        f"{found['size']:,} bytes" + (f", ?{query}" if query else ""),
    )
    if outcome := found["outcome"]:
        plans = ", ".join(f"{plan['rule']} {plan['state']}" for plan in outcome["plans"])
        why = f" ({outcome['reason']})" if outcome["reason"] else ""
        yield (f"sync {found['sync']} of {outcome['application']}: {outcome['state']}{why}",)
        yield (f"plans: {plans or 'none'}",)
