"""Whether all is well, and if not, what needs a person; docs/operating.md has the same table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from shlex import join
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.validation import first_line
from receiver.ledger.audit.connection_states import TENANTS
from receiver.ledger.queries.overview_rows import ConnectionSeen, Overview, SenderNews
from receiver.settings.argocd import ConnectionSetting

OVERDUE = 300.0
"""Seconds after which a run that is due should have begun: that of the alert PostsyncBacklog."""


class Need(TypedDict):
    """Something that will not become well by itself."""

    about: Literal[
        "rules", "dispatcher", "pause", "plans", "runs", "syncs", "backlog", "handler", "sender",
        "connection",
    ]  # fmt: skip
    text: str
    next: Annotated[str, Field(description="The command that shows more, or helps.")]


Way: TypeAlias = Literal["argocd", "kubernetes"]


class ConnectionStatus(TypedDict):
    """A sender's connection to Argo CD, by the settings and as it was seen."""

    sender: str
    ways: list[Way]
    works: Annotated[
        bool | None,
        Field(description="Null where it was not used, or failed and is tried no more."),
    ]
    uses: list[ConnectionSeen]


class InstanceStatus(Overview):
    """How the whole is."""

    connections: list[ConnectionStatus]
    well: Annotated[bool, Field(description="Whether nothing needs a person.")]
    needs: list[Need]


def instance_status(
    overview: Overview, seen: Sequence[ConnectionSeen], senders: Collection[str],
    settings: Mapping[str, ConnectionSetting], *, tenants: bool = False,
) -> InstanceStatus:  # fmt: skip
    """Put together what the ledger and the settings know.

    Args:
        overview: the ledger's.
        seen: how the connections do.
        senders: whose tokens are valid; those that have sent nothing are shown, too.
        settings: the connection of each sender that has one.
        tenants: whether namespaces may have rules, which an API server has.
    """
    ways = {name: one.ways for name, one in settings.items()}
    if tenants:
        ways[TENANTS] = ["kubernetes"]
    connections = [_connection(name, one, seen) for name, one in ways.items()]
    told = {name: SenderNews(sender=name, lastAt=None, refused=0, reason="") for name in senders}
    told |= {one["sender"]: one for one in overview["senders"]}
    needs = [*_of_overview(overview), *_of_connections(connections)]
    return {
        **overview, "senders": [told[name] for name in sorted(told)], "connections": connections,
        "well": not needs, "needs": needs,
    }  # fmt: skip


def _connection(sender: str, ways: list[Way], seen: Sequence[ConnectionSeen]) -> ConnectionStatus:
    uses = [one for one in seen if one["sender"] == sender]
    known = [one["works"] for one in uses if one["works"] or one["tried"]]
    works = all(known) if known else None
    return {"sender": sender, "ways": ways, "works": works, "uses": uses}


def _of_overview(status: Overview) -> Iterator[Need]:
    yield from _of_rules(status)
    yield from _of_dispatcher(status)
    yield from _of_pauses(status)
    yield from _of_held(status)
    yield from _of_backlog(status)
    for one in status["handlers"]:
        if one["failed"]:
            yield {
                "about": "handler",
                "text": f"{one['handler']}: {plural(one['failed'], 'run')} failed for good in the "
                f"last hour, the newest with: {first_line(one['reason'])}",
                "next": join(["postsync", "retry", "--handler", one["handler"], "--since", "1h"]),
            }
    for sender in status["senders"]:
        if sender["refused"]:
            yield {
                "about": "sender",
                "text": f"{sender['sender']}: {plural(sender['refused'], 'notification')} refused "
                f"since the last that was understood: {first_line(sender['reason'])}",
                "next": "postsync tail --event notification.refused --since 1h",
            }


def _of_rules(status: Overview) -> Iterator[Need]:
    rules = status["rules"]
    if rules["refused"]:
        yield {
            "about": "rules",
            "text": f"the rule files are refused since {rules.get('refusedAt') or 'a while'}"
            f"{', older rules are in force' if rules['digest'] else ', no rules are in force'}: "
            f"{first_line(rules['error'])}",
            "next": "postsync check",
        }
    elif not rules["ok"]:
        yield {"about": "rules", "text": rules["error"], "next": "postsync check"}


def _of_dispatcher(status: Overview) -> Iterator[Need]:
    dispatcher = status["dispatcher"]
    if not dispatcher["alive"]:
        yield {
            "about": "dispatcher",
            "text": "no dispatcher gives a sign of life: nothing is planned or begun",
            "next": "postsync health",
        }
    for one in dispatcher["ailments"]:
        yield {"about": "dispatcher", "text": f"the dispatcher: {one}", "next": "postsync health"}


def _of_pauses(status: Overview) -> Iterator[Need]:
    for pause in status["pauses"]:
        what = f"{pause['scope']} {pause['name']}".strip()
        why = f": {pause['reason']}" if pause["reason"] else ""
        options = [f"--{pause['scope']}", *filter(None, [pause["name"]])]
        yield {
            "about": "pause",
            "text": f"{what} is paused by {pause['by']} since {pause['at']}{why}",
            "next": join(["postsync", "resume", *options]),
        }


def _of_held(status: Overview) -> Iterator[Need]:
    for kind, held in (("plan", status["plans"][PlanState.HELD]),
                       ("run", status["runs"][RunState.HELD])):  # fmt: skip
        if held["count"]:
            yield {
                "about": "plans" if kind == "plan" else "runs",
                "text": f"{plural(held['count'], kind)} held for an approval, the oldest "
                f"{held['oldest']} of {held['madeAt']}",
                "next": f"postsync {kind}s --state held",
            }


def _of_backlog(status: Overview) -> Iterator[Need]:
    failed = status["syncs"][SyncState.FAILED]
    if failed["count"]:
        yield {
            "about": "syncs",
            "text": f"{plural(failed['count'], 'sync')} could not be planned in the last hour",
            "next": "postsync syncs --state failed --since 1h",
        }
    due = status["oldestDue"]
    if due is not None and _seconds(due["dueAt"], status["at"]) > OVERDUE:
        yield {
            "about": "backlog",
            "text": f"{due['run']} of {due['rule']} is due since {due['dueAt']} and has not begun",
            "next": f"postsync show {due['run']}",
        }


def _of_connections(connections: Sequence[ConnectionStatus]) -> Iterator[Need]:
    for one in connections:
        for use in one["uses"]:
            if use["tried"] and not use["works"]:
                yield {
                    "about": "connection",
                    "text": f"{one['sender']}: cannot {use['use']} since {use['since']}: "
                    f"{first_line(use['reason'])}",
                    "next": "postsync check --cluster",
                }


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
