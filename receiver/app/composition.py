"""Composition root: reads the settings and builds everything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from receiver.app.companions import build_companions
from receiver.app.connections import build_connections
from receiver.app.outbound import build_outbound
from receiver.app.tenants import build_tenant_attempts, build_tenants
from receiver.contract import Rate
from receiver.core.errors import LedgerUnavailable, SettingsError
from receiver.core.logs import Log, write_event
from receiver.core.model import Event, from_ms, rfc3339
from receiver.core.validation import did_you_mean
from receiver.dispatcher import Dispatcher
from receiver.dispatcher.attempt import Runner
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.retention_thread import RetentionThread
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.dispatcher.tenants.judge import Judge
from receiver.dispatcher.watches import Watches
from receiver.inspection.application_view import ApplicationView
from receiver.inspection.bounded_backtest import Backtester
from receiver.inspection.explain import Explainer
from receiver.inspection.name_hints import NameHints
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.inbox.hook_messages import HookMessages
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.service import Operations
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.rate_limits import Buckets
from receiver.ledger.retention.policy import Policy
from receiver.planning.parameters import Renderer
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook
from receiver.rules.tenants.bounds import Tenants
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets
from receiver.settings.tenants import tenants_of
from receiver.settings.token_files import token_command
from receiver.settings.tokens import Keyring
from receiver.tracing.switch import start_tracing

if TYPE_CHECKING:
    from receiver.tracing.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Intake:
    """What the web application needs; ``binding`` says what of the ledger the asking token sees.

    ``tracing`` writes spans, None if nobody does.
    """

    settings: Settings
    writer: IntakeWriter
    reader: Reader
    explainer: Explainer
    name_hints: NameHints
    keys: Keyring
    log: Log
    messages: HookMessages
    operations: Operations
    applications: ApplicationView
    backtester: Backtester
    tracing: Tracing | None = None
    binding: Binding = UNBOUND

    def of_token(self, name: str) -> Intake:
        """Return what answers an operator's or a viewer's token of this name."""
        tenants = self.settings.tenants
        namespaces = tenants.tokens.get(name) if tenants else None
        if namespaces is None:
            return self
        bounds = tenants_of(tenants)
        binding = Binding(frozenset(namespaces), [bounds.sight(one) for one in namespaces])
        return replace(
            self, binding=binding, reader=self.reader.within(binding),
            explainer=self.explainer.within(binding), name_hints=self.name_hints.within(binding),
        )  # fmt: skip

    def stop(self) -> None:
        """Store what has been handed in, and send the spans of it."""
        self.writer.stop()
        if self.tracing:
            self.tracing.stop()


def build_intake(settings: Settings, wakeup: Wakeup, log: Log) -> Intake:
    """Build the intake's side, its writer started. Call it after the fork."""
    ledger = open_ledger(
        settings.ledger, busy_timeout=INTAKE_PATIENCE, reserve=settings.disk_reserve
    )

    def committed(at: datetime, events: Sequence[Event]) -> None:
        wakeup.notify()
        moment = rfc3339(at.astimezone(UTC))
        for event in events:
            write_event(log, event, moment)

    tracing = build_tracing(settings, log)

    def acted(at: datetime, events: Sequence[Event]) -> None:
        committed(at, events)
        if tracing:
            with suppress(LedgerUnavailable), ledger.read() as connection:  # the act is done
                tracing.load(connection, {event.sync for event in events})
            tracing.tell(events)

    writer = IntakeWriter(ledger, committed, reaches=settings.tenants is not None)
    writer.start()
    tenants = tenants_of(settings.tenants)
    own = OwnNotifications(settings.page_url, reaches=settings.tenants is not None)
    return Intake(
        settings, writer, Reader(ledger), Explainer(ledger, tenants), NameHints(ledger),
        read_keys(settings, log), log, HookMessages(ledger, committed),
        Operations(ledger, acted, own), ApplicationView(ledger, settings.page_url),
        Backtester(ledger, tenants), tracing,
    )  # fmt: skip


def build_tracing(settings: Settings, log: Log) -> Tracing | None:
    """Build what writes spans, None if nobody is to. Call it after the fork."""
    return start_tracing(build_outbound(settings), log) if settings.tracing else None


def check_tracing(settings: Settings, log: Log) -> None:
    """Try, before the fork, whether spans can be written; nothing is sent.

    Raises:
        SettingsError: they cannot.
    """
    if tracing := build_tracing(settings, log):
        tracing.stop()


INTAKE_PATIENCE = 4.0
"""Seconds that a notification waits for the dispatcher's transaction before it is answered 503."""


def read_keys(settings: Settings, log: Log) -> Keyring:
    """Load all tokens.

    Raises:
        SettingsError: a token is not usable; one that is to be bound is not there; or nothing could
            come: there is no sender's token, anonymous senders are not allowed, and no
            Applications are watched instead.
    """
    keys = Keyring(settings.home, log)
    _check_bound(settings, keys)
    watched = any(one.intake == "watch" for one in settings.argocd.values())
    if not (keys.senders.names or settings.allow_anonymous or watched):
        folder = settings.home / "senders"
        raise SettingsError(
            f"there is no sender's token in {folder}",
            hint=f"write one, for example: `{token_command(folder / 'argocd')}`; `postsync init "
            "FOLDER` makes one with all else to begin with; or set POSTSYNC_ALLOW_ANONYMOUS=true "
            "to take notifications from anybody",
        )
    return keys


def _check_bound(settings: Settings, keys: Keyring) -> None:
    """Refuse the name of a token that there is not: the one that is meant would not be bound."""
    there = {*keys.operators.names, *keys.viewers.names}
    for name in settings.tenants.tokens if settings.tenants else ():
        if name not in there:
            raise SettingsError(
                f"tenants.tokens.{name}: there is no file {name} in {settings.home}/operators or "
                "viewers, so it binds no token",
                hint=did_you_mean(name, there) or "write the token, or take out the name",
            )


def build_dispatcher(
    settings: Settings, wakeup: Wakeup, log: Log, owner: str, tracing: Tracing | None
) -> Dispatcher:
    """Build the dispatcher. Call it after the fork."""
    ledger = open_ledger(settings.ledger)
    if isinstance(settings.ledger, str):
        from receiver.ledger.engine.pg_listen import Listener

        Listener(settings.ledger, wakeup.notify).start()
    return dispatcher_over(ledger, settings, wakeup, log, owner, tracing)


def dispatcher_over(
    ledger: Ledger, settings: Settings, wakeup: Wakeup, log: Log, owner: str,
    tracing: Tracing | None = None,
) -> Dispatcher:  # fmt: skip
    """Build the dispatcher over a ledger that is open; ``owner`` is its name in the ledger."""
    expressions, tenants = Expressions(), tenants_of(settings.tenants)
    registry = _registry(tenants, log)
    renderer = Renderer(expressions, registry, tenants)
    rulebook = Rulebook(settings.rules, registry, expressions, connected=bool(settings.argocd))
    outbound = build_outbound(settings)
    watches = Watches(outbound, ledger, wakeup.notify, log)
    runner = Runner(
        registry, expressions, Secrets(settings.secrets), outbound, log,
        build_tenant_attempts(settings, outbound), watches.of_run,
        span=tracing.attempt if tracing else lambda _run: None,
    )  # fmt: skip
    wake = wakeup.notify
    rules = RulesInForce(rulebook, ledger, expressions, renderer, wake, log, tenants=tenants)
    pace = Buckets(rates_of(registry, settings), shared=ledger.shared, of_tenant=tenants.rate)
    guard = PoisonGuard(ledger, owner)
    preparation = Preparation(
        rules, renderer, guard, log, max_age=settings.max_age, max_resources=settings.max_resources
    )
    connections = build_connections(settings, outbound)

    def verify_until(connection: Connection, sender: str) -> int | None:
        if connections.for_sender(sender) is None:
            return None
        return ledger.now(connection) + int(settings.verify_for * 1000)

    preparation.verify_until = verify_until
    judge = Judge(tenants, registry, expressions, log, connected=bool(settings.argocd))
    companions = (
        *build_tenants(settings, judge, rules, preparation, ledger, outbound, wake, log),
        *build_companions(settings, connections, ledger, preparation, wake, log, tracing),
    )
    return Dispatcher(
        settings, ledger, rules, preparation, wakeup, runner.run, pace, log, owner=owner,
        companions=companions, watches=watches, tracing=tracing,
    )  # fmt: skip


def _registry(tenants: Tenants, log: Log) -> Registry:
    """Find the handlers; what is broken, or granted for nothing, is logged."""
    registry = Registry.discover()
    for broken in registry.broken:
        log.error("handler.broken", entryPoint=broken.entry_point, reason=broken.reason)
    for place, reason in tenants.unusable(registry):
        log.warning("tenants.unusableHandler", place=place, reason=reason)
    return registry


def rates_of(registry: Registry, settings: Settings) -> dict[str, Rate]:
    """Return each handler's rate: the operator's, or else what its service documents."""
    documented = {handler.name: handler.rate for handler in registry if handler.rate is not None}
    own = {name: Rate(rate.per_second, rate.burst) for name, rate in settings.rates.items()}
    return documented | own


def build_retention_thread(settings: Settings, log: Log) -> RetentionThread:
    """Build the retention thread. Call it after the fork."""

    def emit(event: Event, at: int) -> None:
        write_event(log, event, rfc3339(from_ms(at)))

    policy = Policy(settings.keep_for, settings.keep_syncs, settings.max_age)
    return RetentionThread(open_ledger(settings.ledger), policy, emit, log)
