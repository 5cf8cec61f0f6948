"""`postsync status`: whether all is well, and if not, what needs a person."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.phrases import paused, why
from receiver.cli.screen import Line, Styled, write_json, write_line
from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.validation import first_line
from receiver.inspection.instance_status import ConnectionStatus, InstanceStatus
from receiver.ledger.queries.overview_rows import Group, HandlerFailures, SenderNews

NAMED = {SyncState.VERIFYING, PlanState.HELD, PlanState.GATED, "awaiting", RunState.HELD}
"""Those of which the oldest is named: they wait for Argo CD, a person, health, Applications."""
FILES = 10
"""Rule files that are named; JSON has all."""
NONE_FOUND = "none"
WAYS = {"argocd": "Argo CD's API", "kubernetes": "an API server"}


@click.command()
@options.output()
@options.server
def status(*, client: Client, output: str) -> None:
    """Say whether all is well, and what needs you: each with what to do next.

    Exit codes: 0 nothing needs a person; 1 something does; 3 no server answers.

    \b
      postsync status
      postsync status --output json
    """  # noqa: D301 click's \b keeps the lines
    found: InstanceStatus = client.get("/v1/status")
    needs = found["needs"]
    if output == "json":
        write_json(found)
    else:
        for line in _lines(found):
            write_line(*line)
    sys.exit(int(bool(needs)))


def _lines(found: InstanceStatus) -> Iterator[Line]:
    needs = found["needs"]
    if needs:
        verb = "needs" if len(needs) == 1 else "need"
        yield (Styled(f"{plural(len(needs), 'thing')} {verb} a person:", bold=True),)
    else:
        yield (Styled("all is well", "green"),)
    for need in needs:
        yield "  ", Styled(need["text"], "red")
        yield (f"    {need['next']}",)
    yield ("",)
    for name, facts in _facts(found):
        for number, fact in enumerate(facts or [NONE_FOUND]):
            yield Styled(f"{'' if number else name:<13}", bold=True), fact


def _facts(found: InstanceStatus) -> Iterator[tuple[str, list[str]]]:
    """Yield what is so, whether it needs a person or not: a name and lines."""
    yield "rules", _rules(found)
    yield "dispatchers", [_dispatchers(found)]
    yield "paused", list(map(paused, found["pauses"]))
    yield "syncs", _groups(found["syncs"])
    yield "plans", _groups(found["plans"])
    due = found["oldestDue"]
    since = [f"due since {due['dueAt']}: {due['run']} of {due['rule']}"] if due else []
    yield "runs", [*_groups(found["runs"]), *since]
    yield "failing", list(map(_handler, found["handlers"]))
    yield "senders", list(map(_sender, found["senders"]))
    rights = ["`postsync check --cluster` tries them, and says which rights they have"]
    uses = [line for one in found["connections"] for line in _connection(one)]
    yield "connections", uses + rights * bool(uses)


def _rules(found: InstanceStatus) -> list[str]:
    rules = found["rules"]
    if rules["digest"] is None:
        return [f"none in force: {first_line(rules['error'])}"]
    loaded = f"loaded {rules.get('loadedAt')}"
    number = plural(rules["rules"], "rule")
    files = plural(len(rules["files"]), "file")
    lines = [f"{number} in {files}, digest {rules['digest'][:12]}, {loaded}"]
    lines += rules["files"][:FILES]
    lines += ["..."] * (len(rules["files"]) > FILES)
    if rules["refused"]:
        lines.append(f"refused since {rules.get('refusedAt')}: {first_line(rules['error'])}")
    return lines


def _dispatchers(found: InstanceStatus) -> str:
    told = found["dispatcher"]
    age = told["heartbeatAgeSeconds"]
    heard = "never heard of" if age is None else f"last sign of life {max(age, 0):.0f} s ago"
    hanging = plural(told["hangingAttempts"], "attempt")
    return f"{told['alive']} alive, {heard}" + (
        f", {hanging} hanging" if told["hangingAttempts"] else ""
    )


def _groups(groups: Mapping[str, Group]) -> list[str]:
    """Write how many of each there are, and the oldest of those that wait for something."""
    there = {state: one for state, one in groups.items() if one["count"]}
    if not there:
        return []
    counts = ", ".join(f"{one['count']:,} {state}" for state, one in there.items())
    oldest = [
        f"oldest {state}: {one['oldest']} of {one['madeAt']}"
        for state, one in there.items()
        if state in NAMED
    ]
    return [counts, *oldest]


def _handler(one: HandlerFailures) -> str:
    again = f"{plural(one['retrying'], 'run')} tried again"
    for_good = f"{plural(one['failed'], 'run')} failed for good in the last hour"
    parts = [for_good] * bool(one["failed"]) + [again] * bool(one["retrying"])
    return f"{one['handler']}: {', '.join(parts)}{why(one['reason'])}"


def _sender(one: SenderNews) -> str:
    last = f"last at {one['lastAt']}" if one["lastAt"] else "nothing lately"
    refused = f", {one['refused']:,} refused since: {first_line(one['reason'])}"
    return f"{one['sender']}: {last}{refused if one['refused'] else ''}"


def _connection(one: ConnectionStatus) -> Iterator[str]:
    ways = " and ".join(WAYS[way] for way in one["ways"])
    if one["works"] is None:
        yield f"{one['sender']}, {ways}: not used lately"
    for use in one["uses"]:
        how = "works" if use["works"] else "fails"
        old = "" if use["tried"] else f" (last seen {use['seenAt']})"
        what = f"{one['sender']}, {ways}: {use['use']}: {how} since {use['since']}{old}"
        yield what + why(use["reason"])
