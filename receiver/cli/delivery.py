"""Shows one delivery: the notification as it was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

from receiver.cli.client import Client, in_commands
from receiver.cli.screen import Part, Styled, write_json, write_line, write_text
from receiver.ledger.queries.delivery_rows import DeliveryStory


def show_delivery(client: Client, delivery: str, output: str) -> None:
    """Write what came, what became of it, and the notification."""
    found: DeliveryStory = client.get(f"/v1/deliveries/{quote(delivery, safe='')}")
    if output == "json":
        write_json(found)
        return
    for line in _head(found):
        write_line(line)
    write_line()
    if found["note"]:
        write_line(in_commands(found["note"]))
    elif found["notification"] is None:
        write_text(found["text"])
    else:
        write_text(json.dumps(found["notification"], indent=2))


def _head(found: DeliveryStory) -> Iterator[Part]:
    reason = f": {found['reason']}" if found["reason"] else ""
    yield Styled(f"delivery {found['id']} {found['verdict']}{reason}", bold=True)
    query = "&".join(f"{name}={value}" for name, value in found["query"].items())
    yield (
        f"from {found['sender']}, channel {found['channel']}, at {found['receivedAt']}, "
        f"{found['size']:,} bytes" + (f", ?{query}" if query else "")
    )
    if outcome := found["outcome"]:
        plans = ", ".join(f"{plan['rule']} {plan['state']}" for plan in outcome["plans"])
        why = f" ({outcome['reason']})" if outcome["reason"] else ""
        yield f"sync {found['sync']} of {outcome['application']}: {outcome['state']}{why}"
        yield f"plans: {plans or 'none'}"
