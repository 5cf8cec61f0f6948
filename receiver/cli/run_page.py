"""Writes one run: what it was to do, each attempt and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from receiver.cli.screen import Line, Styled
from receiver.cli.story_page import event_lines
from receiver.cli.summary import colour_of
from receiver.core.plural import plural
from receiver.core.states import RunState
from receiver.ledger.queries.rows import Attempt, RunStory


def run_lines(run: RunStory, *, whole: bool = False) -> Iterator[Line]:
    """Yield the lines of a run; a secret in its parameters is only referred to."""
    reason = f": {run['reason']}" if run["reason"] else ""
    yield (
        Styled(f"run {run['id']} ", bold=True),
        Styled(run["state"], colour_of(RunState, run["state"])), reason,
    )  # fmt: skip
    section = ", onFailure" if run["section"] != "actions" else ""
    what = f"{run['action']} ({run['handler']}) of rule {run['rule']}, wave {run['wave']}{section}"
    yield (f"{what}, for {run['target']}",)
    yield (f"plan {run['plan']}, sync {run['sync']} of {run['application']}",)
    yield (_when(run),)
    yield from _block("parameters", run["parameters"])
    if run["tries"]:
        yield from _title("attempts")
        yield from map(_attempt, run["tries"])
    yield from _block("output", run["output"])
    yield ("",)
    yield from event_lines(run["events"], whole=whole)


def _when(run: RunStory) -> str:
    if run["waitsFor"]:
        return f"waits for {run['waitsFor']}"
    if run["endedAt"]:
        return f"ended {run['endedAt']}, after {plural(run['attempts'], 'attempt')}"
    return f"{plural(run['attempts'], 'attempt')} until now"


def _attempt(one: Attempt) -> Line:
    asked = f", asked about {plural(one['pending'], 'time')}" if one["pending"] else ""
    until = f" to {one['endedAt']}" if one["endedAt"] else ""
    reason = f": {one['reason']}" if one["reason"] else ""
    state = one["outcome"] or "under way"
    return (
        f"  {one['number']}  {one['startedAt']}{until}  ", Styled(state, _COLOURS.get(state)),
        f"{reason}{asked}",
    )  # fmt: skip


_COLOURS = {"succeeded": "green", "temporary": "red", "permanent": "red", "lost": "red"}


def _block(title: str, tree: Any) -> Iterator[Line]:
    """Yield a tree as YAML, nothing where there is none."""
    if tree is None or tree == {}:
        return
    yield from _title(title)
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    lines = text.removesuffix("\n").removesuffix("\n...").split("\n")
    yield from ((f"  {line}",) for line in lines)


def _title(text: str) -> Iterator[Line]:
    yield ("",)
    yield (Styled(text, bold=True),)
