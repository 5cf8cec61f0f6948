"""Each notification of a running Argo CD, judged by its live objects, against what really was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.core.model import Change, ChangeVerdict, Sync
from receiver.notification.live_verdicts import MANAGERS, Sighting, changes_by, judge
from receiver.notification.parse import read_notification

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests/data/argocd-live"
PAGE = ROOT / "docs/verdicts.md"
BEGIN = "<!-- table: made by tests/test_live_verdicts.py -->\n"
END = "<!-- end of table -->\n"
OWN = MANAGERS | {"argocd"}
"""The controller that was watched was a binary of that name."""

STARTED = datetime.fromisoformat("2026-06-10T08:20:03Z")
FINISHED = datetime.fromisoformat("2026-06-10T08:21:17Z")
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Entry:
    """An object, how it was applied, what really was, and both verdicts."""

    name: str
    how: str
    truth: str
    message: str
    seen: str


def syncs() -> dict[str, Sync]:
    """Each notification as we read it, by its name."""
    lines = map(json.loads, (DATA / "payloads.jsonl").read_text().splitlines())
    return {
        line["payload"]: read_notification(
            json.dumps(line["body"]).encode(), sender="argocd", channel="sync", query={}
        ).sync
        for line in lines
    }


@dataclass(frozen=True)
class Line:
    """An object of which the times are known, what really was, and its operation's times."""

    truth: str
    seen: Sighting
    started: datetime
    finished: datetime


def lines() -> Iterator[Line]:
    """Every object that was applied: what was refused has no change of its operation."""
    known = syncs()
    for line in map(json.loads, (DATA / "live.jsonl").read_text().splitlines()):
        sync = known[line["payload"]]
        listed = {one.key: one for one in sync.resources}
        one = listed.get(line.get("resource", ""))
        applies = one is None or one.status == "Synced"
        if applies and "managedFields" in line and sync.started_at and sync.finished_at:
            yield Line(line["truth"], sighting(line), sync.started_at, sync.finished_at)


def entries() -> Iterator[Entry]:
    """Every object of which the times are known; what is not Synced is left to its message."""
    known = syncs()
    for line in map(json.loads, (DATA / "live.jsonl").read_text().splitlines()):
        if "managedFields" not in line:
            continue
        sync = known[line["payload"]]
        assert sync.started_at
        assert sync.finished_at
        listed = {one.key: one for one in sync.resources}
        one = listed.get(line.get("resource", ""))
        seen = judge(sighting(line), sync.started_at, sync.finished_at)
        name = f"{line['payload']} {line.get('resource')}"
        if one is None:
            how, message = "not listed, after a retry", "not listed"
        elif one.status == "Synced":
            how, message = applied(one.message, sync), one.change.verdict.value
        else:
            how, message, seen = "refused", one.change.verdict.value, one.change
        yield Entry(name, how, line["truth"], message, seen.verdict.value)


def sighting(line: dict[str, Any]) -> Sighting:
    """What a connection makes of the times in a line."""
    fields = [
        (one["manager"], one["subresource"], datetime.fromisoformat(one["time"]))
        for one in line["managedFields"]
    ]
    return Sighting(changes_by(OWN, fields))


def applied(message: str, sync: Sync) -> str:
    """How an entry was applied, by its message."""
    for sign, how in (
        ("reconcil", "RBAC, client-side"), ("serverside-applied", "server-side apply"),
        ("replaced", "Replace"),
    ):  # fmt: skip
        if sign in message:
            return how
    if "ServerSideApply=true" in sync.options:
        return "server-side apply"
    return "client-side apply"


def table() -> str:
    """How many verdicts are right, wrong and unknown, by the way of applying."""
    found = list(entries())
    rows = [
        "| applied by | objects | message: right | wrong | unknown | object: right | wrong | unknown |",  # noqa: E501 a row of a table is one line
        "|---|---|---|---|---|---|---|---|",
    ]
    for how in (*sorted({entry.how for entry in found}), ""):
        these = [entry for entry in found if how in {"", entry.how}]
        cells = [str(len(these))]
        for verdicts in ([one.message for one in these], [one.seen for one in these]):
            counts = Counter(map(outcome, verdicts, [one.truth for one in these]))
            cells += [str(counts[word]) for word in ("right", "wrong", "unknown")]
        rows.append(f"| {' | '.join([how or '**all**', *cells])} |")
    return "\n".join(rows) + "\n"


def outcome(verdict: str, truth: str) -> str:
    """Whether a verdict is right; of bookkeeping, both are."""
    if verdict in {"unknown", "not listed"}:
        return "unknown" if verdict == "unknown" else "wrong"
    return "right" if truth in {"bookkeeping", verdict} else "wrong"


def test_every_object_tells_what_its_sync_did() -> None:
    """No verdict by the object is wrong; open is only what was refused, and has no object."""
    found = list(entries())
    assert len(found) == 88
    other = [one for one in found if outcome(one.seen, one.truth) != "right"]
    assert {one.how for one in other} == {"refused"}
    assert {one.seen for one in other} == {"unknown"}


def test_the_page_has_the_table_of_both() -> None:
    """`python tests/test_live_verdicts.py` writes it anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    stale, _, after = rest.partition(END)
    assert before
    assert after
    assert stale == f"\n{table()}\n", "run `python tests/test_live_verdicts.py`"


@pytest.mark.parametrize(
    ("at", "verdict", "when"),
    [
        (STARTED, "changed", "2026-06-10T08:20:03Z, during this operation"),
        (FINISHED, "changed", "2026-06-10T08:21:17Z, during this operation"),
        (STARTED - SECOND, "unchanged", "2026-06-10T08:20:02Z, before this operation"),
        (FINISHED + SECOND, "unknown", "2026-06-10T08:21:18Z, after it: by a later operation"),
    ],
)
def test_the_last_change_is_held_against_the_operation(
    at: datetime, verdict: str, when: str
) -> None:
    """Its first and its last second are its own."""
    seen = Sighting((("argocd-controller", at),), created=STARTED - timedelta(days=9))
    reason = f"its object was last changed by argocd-controller at {when}"
    assert judge(seen, STARTED, FINISHED) == Change(ChangeVerdict(verdict), reason)


def test_one_change_within_is_enough() -> None:
    """A manager may have an entry for each way of applying, of which one is older."""
    old, new = ("argocd-controller", STARTED - timedelta(days=1)), ("argocd-controller", FINISHED)
    assert judge(Sighting((old, new)), STARTED, FINISHED).verdict is ChangeVerdict.CHANGED


def test_what_was_created_within_was_changed() -> None:
    """Also where its managers have been at it again since."""
    later = ("argocd-controller", FINISHED + timedelta(minutes=1))
    seen = Sighting((later,), created=STARTED)
    assert judge(seen, STARTED, FINISHED) == Change(
        ChangeVerdict.CHANGED,
        "its object was created at 2026-06-10T08:20:03Z, during this operation",
    )


def test_what_was_created_since_is_another_object() -> None:
    """It cannot tell what happened to the one that had its name."""
    seen = Sighting((("argocd-controller", FINISHED + timedelta(minutes=1)),))
    assert judge(seen, STARTED, FINISHED).verdict is ChangeVerdict.UNKNOWN


@pytest.mark.parametrize("seen", [Sighting(), Sighting(unreadable="it is gone")])
def test_what_cannot_tell_is_unknown_with_the_reason(seen: Sighting) -> None:
    """Nobody guesses."""
    change = judge(seen, STARTED, FINISHED)
    assert change.verdict is ChangeVerdict.UNKNOWN
    assert (seen.unreadable or "no fields of Argo CD's managers") in change.reason


def test_writers_of_subresources_and_others_do_not_count() -> None:
    """A controller that writes the status, or a person with kubectl, is not the sync."""
    entries = [
        ("kube-controller-manager", "status", FINISHED),
        ("argocd-controller", "scale", FINISHED),
        ("kubectl-edit", "", FINISHED),
        ("argocd-controller", "", STARTED),
        ("argocd-controller", "", None),
    ]
    assert changes_by(MANAGERS, entries) == (("argocd-controller", STARTED),)


if __name__ == "__main__":
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}")
