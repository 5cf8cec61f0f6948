"""Makes one attempt of one run, and returns its outcome without a secret in it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from receiver.contract import Call, NoWatches, Pending, Succeeded, Tenant, Watches
from receiver.core.errors import PostsyncError, TemporaryError
from receiver.core.logs import Log
from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.dispatcher.tenants.attempts import NO_ATTEMPTS, TenantAttempts
from receiver.ledger.queue.claim import ClaimedRun
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.scope import Scope
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import SecretRef, put_values
from receiver.settings.secrets import Secrets

if TYPE_CHECKING:
    from receiver.tracing.attempts import AttemptSpan

REASON_LENGTH = 2_000
"""Characters of a reason that are kept: enough for a service's message, not for a page of HTML."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes attempts. It never raises for a handler's fault, and masks every secret.

    ``tenants`` admits those of tenants; ``watches`` gives those of a run, by its id; ``masker``
    makes what masks an attempt's secrets; ``span`` begins the span of one, None if it has none.
    """

    registry: Registry
    expressions: Expressions
    secrets: Secrets
    outbound: Outbound
    log: Log
    tenants: TenantAttempts = NO_ATTEMPTS
    watches: Callable[[str], Watches] = lambda _run: NoWatches()
    masker: Callable[[Iterable[str]], Masker] = Masker
    span: Callable[[ClaimedRun], AttemptSpan | None] = lambda _run: None

    def run(self, run: ClaimedRun) -> Outcome:
        """Make one attempt, in the time that its policy gives it."""
        began = time.monotonic()
        span = self.span(run)
        attempt = _Attempt(self, run, began, span)
        try:
            outcome = attempt.run()
        except BaseException as error:  # a bug of the handler's fails its run, not our thread
            if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
                raise  # Ctrl-C during `postsync try`
            outcome = self._bug(run, error, attempt.masker)
        notes = tuple(map(attempt.masker.mask, attempt.notes))
        outcome = replace(outcome, notes=notes, seconds=time.monotonic() - began)
        if span:
            span.end(outcome)
        return outcome

    def _bug(self, run: ClaimedRun, error: BaseException, masker: Masker) -> Outcome:
        text = masker.mask("".join(traceback.format_exception(error)))
        self.log.error("handler.bug", run=run.id, handler=run.handler, traceback=text)
        reason = f"handler {run.handler} broke off with {type(error).__name__}; see the log"
        return Outcome(OutcomeKind.PERMANENT, reason)


class _Attempt:
    """One attempt under way; its masker has the secrets that were resolved for it."""

    def __init__(
        self, runner: Runner, run: ClaimedRun, began: float, span: AttemptSpan | None
    ) -> None:
        self._runner = runner
        self._run = run
        self._began = began
        self._span = span
        self.notes: list[str] = []
        self.masker = Masker(())

    def run(self) -> Outcome:
        """Make the attempt; return its outcome without a secret in it."""
        try:
            outcome = self._call_handler()
        except TemporaryError as error:
            outcome = Outcome(
                OutcomeKind.TEMPORARY, str(error), delay=error.delay, limited=error.limited,
                state=self._run.state if error.state is None else error.state,
            )  # fmt: skip
        except PostsyncError as error:
            outcome = Outcome(OutcomeKind.PERMANENT, str(error))
        state = self.masker.mask_tree(outcome.state)
        if state != outcome.state:  # a masked address in it would lead the next attempt elsewhere
            why = f"handler {self._run.handler} cannot go on: its state would hold a secret"
            return Outcome(OutcomeKind.PERMANENT, why)
        reason = self.masker.mask(outcome.reason)[:REASON_LENGTH]
        return replace(outcome, reason=reason, output=self.masker.mask_tree(outcome.output))

    def _call_handler(self) -> Outcome:
        run, runner = self._run, self._runner
        handler = runner.registry.get(run.handler)
        admitted, timeout = runner.tenants.admit(run, handler), run.policy["timeout"]
        deadline = self._began + timeout
        tree = self._with_secrets(admitted.tenant, deadline)
        parameters = runner.registry.build(handler, tree)
        observer = self._span.request if self._span else None
        call = Call(
            run=run.id, idempotency_key=f"{run.id}.{run.key_number}", attempt=run.attempt,
            state=run.state, timeout=timeout, now=datetime.now(UTC),
            http=runner.outbound.http(deadline, self.masker, admitted.hosts, observer),
            evaluate=self._evaluate, say=self.notes.append,
            mask=self.masker.mask, hide=self.masker.add_secret, watches=runner.watches(run.id),
            tenant=admitted.tenant, trace_headers=self._span.headers if self._span else {},
        )  # fmt: skip
        ended = handler.run(parameters, call)
        if isinstance(ended, Pending):
            return Outcome(
                OutcomeKind.PENDING, ended.why, state=ended.state, delay=ended.ask_again_in
            )
        if isinstance(ended, Succeeded):
            return Outcome(OutcomeKind.SUCCEEDED, output=ended.output)
        raise TypeError(f"the handler returned {type(ended).__name__}")

    def _with_secrets(self, tenant: Tenant | None, deadline: float) -> Json:
        """Return the parameters with their secrets, each of which is masked from here on."""
        values = {}
        plain = []
        for place, stored in self._run.secrets.items():
            ref = SecretRef(**stored)  # type: ignore[arg-type]  # as `Renderer` wrote it
            if tenant is None:
                value = self._runner.secrets.resolve(ref)
            else:
                value = self._runner.tenants.secret(tenant.namespace, ref, deadline)
            plain += [value, ref.apply(value)]
            values[place] = ref.apply(value)
        self.masker = self._runner.masker(plain)
        return put_values(self._run.parameters, values)

    def _evaluate(self, source: str, values: Mapping[str, Any]) -> Any:
        expressions = self._runner.expressions
        program = expressions.compile(source, Scope(tuple(values)))
        return program.evaluate(expressions.bind(dict(values)))
