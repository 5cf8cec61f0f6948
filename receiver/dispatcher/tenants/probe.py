"""What Postsync may read and write of tenants' rules, for `postsync check --cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.pages import ListRefused, pages
from receiver.argocd.rights import Right, missing
from receiver.argocd.server import Server
from receiver.dispatcher.tenants.rule_watch import Watched, cron_jobs, post_sync_rules
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.names import CRON_JOBS, GROUP, PLURAL

READ = ("get", "list", "watch")
RULES = (Right(GROUP, PLURAL, "", READ), Right(GROUP, f"{PLURAL}/status", "", ("patch",)))
FOLLOWED = (Right("batch", CRON_JOBS, "", READ), Right("", "events", "", ("create",)))


@dataclass(slots=True)
class TenantsProbe:
    """What was found out about the API server that has tenants' rules.

    Attributes:
        name: the API server's.
        rules: how many PostSyncRules it shows; None where they cannot be listed.
        problems: why rules are not seen.
        missing: what else lacks: statuses, CronJobs and their events.
    """

    name: str
    rules: int | None = None
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def probe_tenants(server: Server, tenants: Tenants, deadline: float) -> TenantsProbe:
    """Ask for each right that tenants' rules need, and count the rules; nothing is changed."""
    found = TenantsProbe(server.name)
    read, status = RULES
    watched, followed = post_sync_rules(tenants), cron_jobs(tenants)
    try:
        found.problems += _lacking(server, watched, read, deadline)
        found.missing += _lacking(server, watched, status, deadline)
        for right in FOLLOWED if followed.namespaces else ():
            found.missing += _lacking(server, followed, right, deadline)
        if not found.problems:
            found.rules = _count(server, watched, deadline)
    except ListRefused as error:
        found.problems.append(watched.absent if error.why.gone else error.why.reason)
    except ConnectionFailed as error:
        found.problems.append(str(error))
    return found


def _lacking(server: Server, watched: Watched, right: Right, deadline: float) -> Iterator[str]:
    """Yield what lacks in all namespaces; each by itself where a right in each is enough."""
    everywhere = [*missing(server, right, deadline)]
    if not everywhere or not watched.whole:
        yield from everywhere
        return
    for namespace in dict.fromkeys(watched.namespaces):
        yield from missing(server, right.within(namespace), deadline)


def _count(server: Server, watched: Watched, deadline: float) -> int:
    read, _ = RULES
    wide = not watched.whole or not [*missing(server, read, deadline)]
    places = [None] if wide else dict.fromkeys(watched.namespaces)
    return sum(
        len(page.items) for one in places for page in pages(server, watched.path(one), deadline)
    )
