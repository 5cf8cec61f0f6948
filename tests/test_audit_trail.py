"""The trail's events as they are documented."""

from __future__ import annotations

import re
from pathlib import Path

from receiver.ledger.audit.trail import EVENTS

ROOT = Path(__file__).parents[1]
KINDS = (
    "clock|notification|sync|rule|plan|wave|run|attempt|action|rules|message|pause|lane|tokens|ledger"
    "|handler|dispatcher|tls|request|settings|thread|log|operation|connection|recovery|watch|fields"
    "|postsyncrule|tracing"
)
EVENT = re.compile(rf"""["'](?P<name>(?:{KINDS})\.(?!(?:html|json|yaml)["'])[a-z_]+)["']""")
BUILT = {
    *(f"notification.{verdict}" for verdict in ("accepted", "duplicate", "refused")),
    *(f"run.{state}" for state in ("skipped", "failed", "held")),
    *(f"plan.{state}" for state in ("succeeded", "failed")),
    "application.unread",  # begins as the names of fields do, which are in quotes too
}
"""Names that the code puts together from a verdict or a state."""


def test_what_filters_by_events_know_is_the_table_of_the_trail() -> None:
    """So that a mistyped one is told, and no other."""
    page = (ROOT / "docs/audit-trail.md").read_text()
    table = page[page.index("## Events") : page.index("## Lines on stdout")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row)} == EVENTS


def test_every_event_of_the_code_is_in_the_table_and_every_row_is_of_the_code() -> None:
    """Whoever writes a new event documents it; a documented one exists."""
    sources = "\n".join(path.read_text() for path in (ROOT / "receiver").rglob("*.py"))
    emitted = {found["name"] for found in EVENT.finditer(sources)} | BUILT
    emitted -= {"ledger.db", "log.message"}  # a file, a handler
    page = (ROOT / "docs/audit-trail.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row)}
    assert emitted == documented
