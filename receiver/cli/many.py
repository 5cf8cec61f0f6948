"""Acts on many plans and runs: which are meant, how many that are, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.screen import Styled, confirm, write_json, write_line
from receiver.core.errors import ServerError
from receiver.core.model import Json
from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState

Kind: TypeAlias = Literal["plan", "run", "sync"]
Filters: TypeAlias = Mapping[str, str]

MOST = 100_000
"""Plans and runs that are acted upon at once."""
GONE_ON = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
"""Answers of a server where something is not any more as it was when it was chosen."""


@dataclass(frozen=True, slots=True)
class One:
    """What is acted upon, and what it is called for people."""

    kind: Kind
    id: str
    about: str


def named(client: Client, numbers: Sequence[str], *letters: str) -> Iterator[One]:
    """Yield what these ids are of; ``letters`` are the kinds of ids that are taken.

    Raises:
        click.UsageError: an id is of another kind.
    """
    for number in numbers:
        found = options.sync_of(client, number) if "s" in letters else number
        _, kind, wanted = options.api_path(found, *letters).strip("/").split("/")
        kinds: dict[str, Kind] = {"plans": "plan", "runs": "run", "syncs": "sync"}
        yield One(kinds[kind], wanted, kind)


def failed_runs(client: Client, name: str) -> Iterator[One]:
    """Yield the failed runs of a plan, a sync or the newest sync (`last`); of a run itself.

    Raises:
        ServerError: there is no such plan or sync, or nothing of it has failed.
        click.UsageError: it is the id of something else.
    """
    (meant,) = named(client, [name], "r", "p", "s")
    if meant.kind == "run":
        yield meant
        return
    client.get(f"/v1/{meant.kind}s/{meant.id}")  # raises if it does not exist
    found = [*choose(client, {meant.kind: meant.id}, [], [RunState.FAILED])]
    if not found:
        raise ServerError(f"nothing of {meant.id} has failed", hint=f"`postsync show {meant.id}`")
    yield from found


def choose(
    client: Client, filters: Filters, plans: Sequence[PlanState], runs: Sequence[RunState]
) -> Iterator[One]:
    """Yield the plans and the runs in these states that the filters let through."""
    states: tuple[tuple[Kind, Sequence[str]], ...] = ("plan", plans), ("run", runs)
    for kind, wanted in states:
        query = {**filters, "state": [*wanted]}
        if not wanted:
            continue
        for row in client.pages(f"/v1/{kind}s", f"{kind}s", query, MOST):
            action = f" {row['action']}" if kind == "run" else ""
            yield One(kind, row["id"], f"{row['state']} {kind}s of {row['rule']}{action}")


def act(
    client: Client, verb: str, done: str, chosen: Sequence[One], *, reason: str, yes: bool,
    output: str,
) -> bool:  # fmt: skip
    """Say how many they are, ask, and do it with each; return whether all of it was done.

    What has gone on meanwhile is told, and the others are done all the same.

    Args:
        client: the server.
        verb: what is done, a part of the API's path.
        done: the same as it is told afterwards.
        chosen: what is acted upon.
        reason: for the trail.
        yes: whether it is not asked.
        output: ``json``, or for people.

    Raises:
        click.Abort: it was declined.
    """
    if chosen and not yes:
        write_counts(chosen)
        confirm(f"{verb.capitalize()} {counted(chosen)}?")
    refused = send_each(client, verb, chosen, {"reason": reason} if reason else None)
    left = [one for one in chosen if one.id not in refused]
    _tell(done, left, refused, output)
    return not refused


def write_counts(chosen: Iterable[One]) -> int:
    """Write on stderr how many there are of what; return how many that is together."""
    counts = Counter(one.about for one in chosen)
    for about, number in sorted(counts.items()):
        write_line(f"  {number:>7,}  {about}", err=True)
    return counts.total()


def send_each(client: Client, verb: str, chosen: Sequence[One], body: Json) -> dict[str, str]:
    """Have it done with each; return by id what was refused and why, which stops no other.

    Raises:
        ServerError: the server cannot be asked, or the token is refused; what was done before is
            told on stderr.
    """
    refused: dict[str, str] = {}
    for before, one in enumerate(chosen):
        try:
            client.send("POST", f"/v1/{one.kind}s/{one.id}/{verb}", body)
        except ServerError as error:
            if error.status not in GONE_ON:
                write_refused(refused)
                write_broken_off(before - len(refused), f"at {one.kind} {one.id}")
                raise
            refused[one.id] = str(error)
    return refused


def write_refused(refused: Mapping[str, str]) -> None:
    """Write on stderr why something was refused, an equal reason once."""
    for why in dict.fromkeys(refused.values()):
        write_line(Styled(why, "red"), err=True)


def write_broken_off(done: int, where: str) -> None:
    """Write on stderr how many were done before the server could not be asked any more."""
    if done:
        write_line(Styled(f"broke off {where}: {done:,} before it are done", "red"), err=True)


def _tell(done: str, left: Sequence[One], refused: Mapping[str, str], output: str) -> None:
    if output == "json":
        answer: dict[str, Any] = {done: [one.id for one in left], "refused": refused}
        write_json(answer)
        return
    write_refused(refused)
    if left:
        write_line(f"{done} {counted(left)}")
    elif not refused:
        write_line("nothing is like that")


def counted(chosen: Sequence[One]) -> str:
    """Return how many plans and runs they are, in words."""
    kinds = Counter(one.kind for one in chosen)
    return ", ".join(plural(number, kind) for kind, number in sorted(kinds.items()))


def filter_options(function: options.Command) -> options.Command:
    """Give a command the options that choose plans and runs; "" is what was not given."""
    for option in (
        click.option("--until", default="", help="Made before: 2h, 7d, or a time."),
        click.option("--since", default="", help="Made since: 2h, 7d, or a time."),
        options.application,
        options.rule,
    ):
        function = option(function)
    return function
