"""Builds what keeps the rules of tenants in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from receiver.app.connections import to_api_server
from receiver.argocd.pace import Pace
from receiver.argocd.server import Server
from receiver.core.logs import Log
from receiver.dispatcher.companion import Companion
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.dispatcher.tenants.attempts import TenantAttempts
from receiver.dispatcher.tenants.cron_job_events import CronJobEvents
from receiver.dispatcher.tenants.custom_rules import CustomRules
from receiver.dispatcher.tenants.fresh_rules import FreshRules
from receiver.dispatcher.tenants.judge import Judge
from receiver.dispatcher.tenants.rule_watch import RuleWatch, cron_jobs, post_sync_rules
from receiver.dispatcher.tenants.status import RuleStatus
from receiver.ledger.engine.ledger import Ledger
from receiver.outbound import Outbound
from receiver.rules.tenants.cron_job import HANDLER
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets
from receiver.settings.tenants import TenantsSetting, tenants_of

PAGE = "docs/tenants.md"
READING = 100.0
"""Requests a second for rules that syncs bring: each of these waits for its own."""
WRITING = 20.0
"""Statuses a second that are written: 5,000 take four minutes."""

READS = 100.0
"""Secrets of tenants that are read a second: each attempt that names one waits for its own."""


def build_tenants(
    settings: Settings, judge: Judge, rules: RulesInForce, preparation: Preparation,
    ledger: Ledger, outbound: Outbound, wake: Callable[[], None], log: Log,
) -> Sequence[Companion]:  # fmt: skip
    """Return the companions that keep tenants' rules in force; none where there are no tenants."""
    if settings.tenants is None:
        return ()
    tenants = tenants_of(settings.tenants)
    server = to_tenants(settings.tenants, settings, outbound, READING)
    custom = CustomRules(judge, rules, ledger, wake, log)
    fresh = FreshRules(
        server, tenants.destinations, custom, ledger, wake, log,
        may_follow=lambda namespace: not tenants.handler_refusal(namespace, HANDLER),
    )  # fmt: skip
    rules.restore = custom.restore
    preparation.rules_brought, preparation.waiting = fresh.ask, fresh.waiting
    writing = to_tenants(settings.tenants, settings, outbound, WRITING), ledger, wake, log
    followed = cron_jobs(tenants)
    tellers = [RuleStatus(*writing), *([CronJobEvents(*writing)] if followed.namespaces else ())]

    def tell() -> None:
        for one in tellers:
            one.tell()

    custom.changed = tell
    watches = [
        RuleWatch(server, watched, custom, ledger, log)
        for watched in (post_sync_rules(tenants), followed)
    ]
    return custom, fresh, *watches, *tellers


def to_tenants(
    setting: TenantsSetting, settings: Settings, outbound: Outbound, per_second: float
) -> Server:
    """Return the API server that has the tenants, to be asked as often; nothing is asked here."""
    name, access = to_api_server(setting.kubernetes, Secrets(settings.secrets))
    return Server(name, access, outbound, Pace(per_second, int(2 * per_second)), PAGE)


def build_tenant_attempts(settings: Settings, outbound: Outbound) -> TenantAttempts:
    """Build what admits the attempts of tenants; nothing is asked before one is made."""
    if settings.tenants is None:
        return TenantAttempts()
    setting, secrets = settings.tenants.kubernetes, Secrets(settings.secrets)
    ref = setting.kubeconfig
    kubeconfig = None if ref is None else lambda: ref.apply(secrets.resolve(ref))
    return TenantAttempts(
        tenants_of(settings.tenants),
        to_tenants(settings.tenants, settings, outbound, READS),
        kubeconfig,
        setting.context,
    )
