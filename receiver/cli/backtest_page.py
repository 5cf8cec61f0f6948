"""Writes what a backtest has found, for people: what is different first, by rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from receiver.cli.screen import Part, Styled
from receiver.core.plural import plural
from receiver.inspection.backtest import Backtest, Difference, Doubt, RuleBacktest, tells

Line: TypeAlias = tuple[Part, ...]

ALONE = "live objects, which nobody asked then, might have told otherwise"


def lines(work: Backtest, oldest: str, newest: str) -> Iterator[Line]:
    """Yield the lines; the times are those at which the first and the last sync came."""
    when = f", which came from {oldest} to {newest}" if oldest else ""
    yield (Styled(f"{plural(work.syncs, 'sync')} compared{when}", bold=True),)
    for doubt in work.left_out:
        yield (f"left out: {_doubt(doubt)}",)
    same = [row for row in work.rows if not tells(row)]
    for row in work.rows:
        if tells(row):
            yield ("",)
            yield from _rule(row)
    if same:
        yield ("",)
        yield (f"the same as before: {', '.join(map(_same, same))}",)


def _same(row: RuleBacktest) -> str:
    alone = f", {row['byMessageAlone']:,} by messages alone" if row["byMessageAlone"] else ""
    return f"{row['rule']} ({plural(row['ran'], 'sync')}{alone})"


def _rule(row: RuleBacktest) -> Iterator[Line]:
    yield (
        Styled(row["rule"], bold=True),
        f": ran for {plural(row['ran'], 'sync')}, would {_would(row)}",
    )
    yield from _difference(row["inAddition"], "+", "green", "in addition")
    yield from _difference(row["noLonger"], "-", "red", "no longer")
    for doubt in row["unknown"]:
        yield "  ", Styled("?", "yellow"), f" unknown, as nobody looked then: {_doubt(doubt)}"
    for doubt in row["failed"]:
        yield "  ", Styled("!", "red"), f" {_doubt(doubt)}"
    if number := row["byMessageAlone"]:
        yield (f"  {plural(number, 'sync')} by messages alone: {ALONE}",)


def _would(row: RuleBacktest) -> str:
    if row["mode"] is None:
        return "not: the files have no such rule"
    if row["mode"] == "observe":
        return f"observe {plural(row['wouldObserve'], 'sync')}, and send nothing"
    return f"for {row['wouldRun']:,}"


def _difference(found: Difference, sign: str, colour: str, words: str) -> Iterator[Line]:
    if not found["syncs"]:
        return
    resources = f", {plural(found['resources'], 'resource')}" if found["resources"] else ""
    yield "  ", Styled(sign, colour), f" {words}: {plural(found['syncs'], 'sync')}{resources}"
    for one in found["examples"]:
        more = f" and {one['more']} more" if one["more"] else ""
        targets = ", ".join(one["resources"]) + more or "the sync itself"
        yield (f"      {one['sync']} {one['application']} {one['finishedAt'] or ''}: {targets}",)
    left = found["syncs"] - len(found["examples"])
    if left:
        yield (f"      and {plural(left, 'sync')} more",)


def _doubt(doubt: Doubt) -> str:
    one = f"{doubt['sync']}: {doubt['reason']}" if doubt["reason"] else doubt["sync"]
    return f"{doubt['what']}, {plural(doubt['syncs'], 'sync')} ({one})"
