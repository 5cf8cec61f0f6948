"""`postsync rules`: the rules in force, where they stand, and how they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import join
from urllib.parse import quote

import click

from receiver.cli import complete, options
from receiver.cli.client import Client
from receiver.cli.phrases import paused, why
from receiver.cli.screen import Line, Styled, write_json, write_line, write_rows
from receiver.core.states import RunState
from receiver.core.validation import first_line
from receiver.ledger.queries.rule_rows import RuleInForce, RuleList
from receiver.rules.tenants.names import tenant_of

FOLDING = {"RULE", "LAST DAY", "USES", "FROM"}
NEVER = "never matched"


@click.command()
@click.argument("name", default="", shell_complete=complete.rules)
@options.output("table")
@options.server
def rules(*, name: str, client: Client, output: str) -> None:
    """List the rules in force: what each matched last, and what came of it. What fails is first.

    With a NAME all that is known of that rule, and which command tells more.

    \b
      postsync rules
      postsync rules purge-shop-assets
    """  # noqa: D301 click's \b keeps the lines
    if name:
        one: RuleInForce = client.get(f"/v1/rules/{quote(name, safe='')}")
        if output == "json":
            write_json(one)
            return
        for line in (*_lines(one), *_failure_lines(one, client)):
            write_line(*line)
        return
    found: RuleList = client.get("/v1/rules")
    if output == "json":
        write_json(found)
        return
    if found["refused"]:
        warning = "newer rule files are refused, so these are older: `postsync status` says why"
        write_line(Styled(warning, "red"), err=True)
    nothing = "no rules are in force: `postsync status` says why"
    write_rows(found["rules"], output, nothing, _cells, FOLDING)


def _cells(rule: RuleInForce) -> dict[str, str]:
    last = rule["lastMatched"]
    return {
        "RULE": rule["rule"], "STATE": _state(rule),
        "LAST MATCHED": last["at"] if last else NEVER, "LAST DAY": _counts(rule["plans"]),
        "USES": ", ".join(rule["handlers"]), "FROM": _place(rule),
    }  # fmt: skip


def _state(rule: RuleInForce) -> str:
    """Say what keeps it from acting, and the state of its newest plan."""
    last = rule["lastMatched"]
    marks = [
        *["not ready"] * (not rule["ready"]),
        *["disabled"] * (not rule["enabled"]),
        *["observe"] * (rule["mode"] == "observe"),
        *["paused"] * bool(rule["pauses"]),
        *([last["state"]] if last else []),
    ]
    return ", ".join(marks) or "-"


def _counts(plans: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in plans.items()) or "-"


def _place(rule: RuleInForce) -> str:
    return rule["file"] if tenant_of(rule["rule"]) else f"{rule['file']}:{rule['line']}"


def _lines(rule: RuleInForce) -> Iterator[Line]:
    """Yield what is known of one rule, then the commands that tell more."""
    colour = "red" if rule["failing"] else None
    yield Styled(f"{rule['rule']}: {_state(rule)}", colour, bold=True), f"  ({_place(rule)})"
    if rule["description"]:
        yield (f"  {first_line(rule['description'])}",)
    for name, facts in _facts(rule):
        for number, fact in enumerate(facts):
            yield Styled(f"  {'' if number else name:<14}", bold=True), fact
    yield (f"  its plans: `postsync plans --rule {join([rule['rule']])}`",)


def _failure_lines(rule: RuleInForce, client: Client) -> Iterator[Line]:
    """Yield the commands about its newest plan, if that failed; none repeats what is let be."""
    last = rule["lastMatched"]
    if last is None or not rule["failing"]:
        return
    yield (f"  what failed: `postsync show {last['sync']} --rule {join([rule['rule']])} --failed`",)
    query = {"plan": last["plan"], "state": RunState.FAILED, "limit": "1"}
    if client.get("/v1/runs", query)["runs"]:
        yield (f"  again: `postsync retry {last['plan']}`",)


def _facts(rule: RuleInForce) -> Iterator[tuple[str, list[str]]]:
    last = rule["lastMatched"]
    if not rule["ready"]:
        yield "not ready", rule["message"].splitlines()
    yield (
        "last matched",
        [NEVER]
        if last is None
        else [
            f"{last['at']}: sync {last['sync']} of {last['application']}",
            f"plan {last['plan']} is {last['state']}{why(last['reason'])}",
        ],
    )
    yield "last day", [_counts(rule["plans"])]
    yield "channel", [", ".join(rule["channel"])]
    yield "uses", [", ".join(rule["handlers"])]
    yield "paused", list(map(paused, rule["pauses"]))
