"""The names of the trail's events; docs/audit-trail.md says when each is written."""

from __future__ import annotations

BY_KIND = {
    "notification": "accepted duplicate refused",
    "sync": "planned ignored failed replay_asked replayed replay_refused",
    "rule": "matched error",
    "plan": "waiting collecting joined filled held approved succeeded failed superseded cancelled",
    "wave": "released",
    "run": "skipped held approved superseded failed retried reopened cancelled",
    "attempt": "started succeeded pending failed lost superseded",
    "clock": "jumped",
    "lane": "blocked",
    "action": "message",
    "message": "received",
    "pause": "set lifted",
    "ledger": "pruned",
    "rules": "loaded warning refused",
}

EVENTS = frozenset(f"{kind}.{name}" for kind, names in BY_KIND.items() for name in names.split())
