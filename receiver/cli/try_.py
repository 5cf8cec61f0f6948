"""`postsync try`: runs one rule's actions once, for real."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
import structlog
import yaml

from receiver.app.outbound import build_outbound
from receiver.app.tenants import build_tenant_attempts
from receiver.cli import complete, options
from receiver.cli.known_tenants import known_tenants
from receiver.cli.screen import Part, Styled, confirm, write_json, write_line
from receiver.core.credential_texts import MASK
from receiver.core.errors import PostsyncError
from receiver.core.logs import Log, escape
from receiver.core.model import Json, Outcome, OutcomeKind, Sync, new_id
from receiver.core.states import RunState
from receiver.core.validation import did_you_mean
from receiver.dispatcher.attempt import Runner
from receiver.dispatcher.tenants.attempts import TenantAttempts
from receiver.inspection.try_rule import Released, Trial
from receiver.notification.parse import read_notification
from receiver.planning.parameters import Renderer
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import SecretRef, put_values
from receiver.rules.loading.load import load_rules
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import Tenants
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets

FAILED = frozenset({OutcomeKind.TEMPORARY, OutcomeKind.PERMANENT})
SIDES = {
    OutcomeKind.SUCCEEDED: ("green", "succeeded"),
    OutcomeKind.PENDING: ("yellow", "started; the other side works on it, later waves are not run"),
    OutcomeKind.TEMPORARY: ("red", "failed, and a server would try it again"),
    OutcomeKind.PERMANENT: ("red", "failed"),
}
LISTED = 10
"""Resources that a message lists."""


@click.command("try")
@click.argument("rule", shell_complete=complete.rules)
@options.payload
@options.came_by
@options.rules
@options.settings
@click.option("--target", default="", help="The resource: its name or key (default: the first).")
@options.yes
@options.output()
def try_(
    *, rule: str, payload: Path | None, paths: tuple[Path, ...], settings_file: Path | None,
    target: str, channel: str, sender: str, yes: bool, output: str,
) -> None:  # fmt: skip
    """Run the actions of RULE once, for real, as for the sync that a notification tells of.

    To prove addresses and credentials before a rule is in force. It needs no server and writes
    no ledger; secrets come from this shell's POSTSYNC_SECRET_* and from HOME/secrets. Of the
    resources that match, one is acted on. Before each wave it shows what it will send, secrets
    masked, and asks. Nothing is tried again, and onFailure is left out.

    \b
      postsync try shop-config-changed notification.json
      postsync try shop-config-changed notification.json --rules new.yaml --yes

    Exits 0 if every action succeeded, else 1.
    """  # noqa: D301 click's \b keeps the lines
    if payload is None:
        raise click.UsageError("name the FILE of a notification, or - for stdin")
    if payload == options.STDIN and not yes:
        raise click.UsageError("a notification from stdin leaves nobody to ask: add --yes")
    body = options.read_payload(payload)
    sync = read_notification(body, sender=sender, channel=channel, query={}).sync
    trial, others = _prepare(rule, sync, load_settings(settings_file), paths, target)
    page = _Page(quiet=output == "json")
    page.note_others(others)
    good, runs = _run_waves(trial, page, ask=not yes)
    if output == "json":
        write_json({"rule": rule, "succeeded": good, "runs": runs})
    sys.exit(0 if good else 1)


def _run_waves(trial: Trial, page: _Page, *, ask: bool) -> tuple[bool, list[dict[str, Any]]]:
    """Run wave after wave; return whether none failed, and each run for the JSON output."""
    good, runs = True, list[dict[str, Any]]()
    while wave := trial.release():
        due = [item for item in wave if item.change.state is RunState.DUE]
        for item in wave:
            page.show(item)
        if due and ask:
            page.ask_to_send(len(due))
        for item in wave:
            outcome = trial.run(item) if item in due else None
            runs.append(page.ended(item, outcome))
            failed = outcome.kind in FAILED if outcome else item.change.state is RunState.FAILED
            good = good and not failed
    return good, runs


def _prepare(
    name: str, sync: Sync, settings: Settings, paths: Sequence[Path], target: str
) -> tuple[Trial, list[str]]:
    """Return the trial, and the keys of the resources that match and are not acted on.

    Raises:
        PostsyncError: there is no such rule, it does not match, or not this resource.
    """
    registry, expressions = Registry.discover(), Expressions()
    rules = load_rules(paths or settings.rules, registry, expressions, in_force=not paths).rules
    rule = _named(name, rules).model_copy(update={"enabled": True})
    sync = replace(sync, id=new_id("s"), received_at=datetime.now(UTC))
    tenants = known_tenants(registry, settings)
    found = _matched(rule, sync, expressions, tenants)
    chosen = _chosen(sync, found, target)
    outbound = build_outbound(settings)
    granted = settings.tenants is not None
    attempts = build_tenant_attempts(settings, outbound) if granted else TenantAttempts(tenants)
    runner = Runner(registry, expressions, Secrets(settings.secrets), outbound, _log(), attempts)
    trial = Trial(rule, sync, chosen, Renderer(expressions, registry, tenants), runner.run)
    return trial, [sync.resources[at].key for at in found if at not in chosen]


def _named(name: str, rules: Sequence[Rule]) -> Rule:
    for rule in rules:
        if rule.name == name:
            return rule
    hint = did_you_mean(name, [rule.name for rule in rules]) or "`postsync check` finds the rules"
    raise PostsyncError(f"there is no rule {name}", hint=hint)


def _matched(rule: Rule, sync: Sync, expressions: Expressions, tenants: Tenants) -> tuple[int, ...]:
    matcher = Matcher([rule], expressions, tenants)
    for match in matcher.match(sync):
        if match.matched:
            return match.resources
    reason = next(matcher.explain(sync)).finding.reason
    raise PostsyncError(
        f"rule {rule.name} does not match this notification: {reason}",
        hint=f"`postsync explain FILE --rule {rule.name}` shows each resource",
    )


def _chosen(sync: Sync, found: Sequence[int], target: str) -> tuple[int, ...]:
    """Return the one resource to act on; none for a rule that matches the sync itself."""
    if not target:
        return tuple(found[:1])
    for at in found:
        if target in {sync.resources[at].key, sync.resources[at].name}:
            return (at,)
    keys = ", ".join(sync.resources[at].key for at in found[:LISTED]) or "the sync itself"
    raise PostsyncError(f"the rule does not match {target}", hint=f"it matches {keys}")


def _log() -> Log:
    """Return a log on stderr, for the traceback of a handler that raises."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[escape, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return cast("Log", logger)


class _Page:
    """Writes for people, on stderr if standard output is for a program."""

    def __init__(self, *, quiet: bool) -> None:
        self._err = quiet

    def note_others(self, others: Sequence[str]) -> None:
        """Name the resources that match and are not acted on."""
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            self._write(f"not acted on: {others[0]}{more} (choose with --target)")
            self._write()

    def show(self, item: Released) -> None:
        """Show a run: what it will send, or why it sends nothing."""
        run = item.run
        self._write(
            Styled(f"wave {run.wave}  {run.action} ({item.run.handler}), {run.target}", bold=True)
        )
        if item.change.state is not RunState.DUE:
            return
        text = yaml.safe_dump(_masked(item), sort_keys=False, allow_unicode=True, width=100)
        for line in text.splitlines():
            self._write(f"    {line}")

    def ask_to_send(self, number: int) -> None:
        """Ask whether to send; what is declined ends the command."""
        what = "this" if number == 1 else f"these {number}"
        confirm(f"Send {what} for real?")

    def ended(self, item: Released, outcome: Outcome | None) -> dict[str, Any]:
        """Write how a run ended, and return it for the JSON output."""
        run, change = item.run, item.change
        result = {
            "run": run.id, "wave": run.wave, "action": run.action, "handler": item.run.handler,
            "target": run.target, "state": change.state.value, "reason": change.reason,
        }  # fmt: skip
        if outcome is None:
            self._write(f"  {run.action}: {change.state.value}: {change.reason}")
            return result
        colour, words = SIDES[outcome.kind]
        reason = f": {outcome.reason}" if outcome.reason else ""
        seconds = f" ({outcome.seconds:.2f} s)"
        self._write("  ", Styled(f"{run.action}: {words}", colour), reason, seconds)
        for note in outcome.notes:
            self._write(f"    {note}")
        if outcome.output:
            self._write(f"    output: {json.dumps(outcome.output, ensure_ascii=False)}")
        return result | {
            "state": outcome.kind.value, "reason": outcome.reason, "parameters": _masked(item),
            "output": outcome.output, "notes": list(outcome.notes), "seconds": outcome.seconds,
        }  # fmt: skip

    def _write(self, *parts: Part) -> None:
        write_line(*parts, err=self._err)


def _masked(item: Released) -> Json:
    """Return the parameters with a mask where a secret will stand."""
    refs = {place: SecretRef(**ref) for place, ref in item.change.secrets.items()}  # type: ignore[arg-type]  # as `Renderer` wrote it
    masks = {place: ref.apply(MASK) for place, ref in refs.items()}
    return put_values(item.change.parameters, masks)
