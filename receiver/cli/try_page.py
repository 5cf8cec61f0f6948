"""Shows what `postsync try` sends, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from receiver.cli.screen import Part, Styled, ask, say
from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.core.states import RunState
from receiver.inspection.try_rule import Released
from receiver.outbound.secret_masking import MASK
from receiver.rules.handlers.secret_refs import SecretRef, put_values

SIDES = {
    OutcomeKind.SUCCEEDED: ("green", "succeeded"),
    OutcomeKind.PENDING: ("yellow", "started; the other side works on it, later waves are not run"),
    OutcomeKind.TEMPORARY: ("red", "failed, and a server would try it again"),
    OutcomeKind.PERMANENT: ("red", "failed"),
}


class Page:
    """Writes for people, on stderr if standard output is for a program."""

    def __init__(self, *, quiet: bool) -> None:
        self._err = quiet

    def note_others(self, others: Sequence[str]) -> None:
        """Tell what else matches."""
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            self._say(f"not acted on: {others[0]}{more} (choose with --target)")
            self._say()

    def show(self, item: Released) -> None:
        """Show a run: what it will send, or why it sends nothing."""
        run = item.run
        self._say(
            Styled(f"wave {run.wave}  {run.action} ({item.handler}), {run.target}", bold=True)
        )
        if item.change.state is not RunState.DUE:
            return
        text = yaml.safe_dump(_masked(item), sort_keys=False, allow_unicode=True, width=100)
        for line in text.splitlines():
            self._say(f"    {line}")

    def ask(self, number: int) -> None:
        """Ask whether to send; what is declined ends the command."""
        what = "this" if number == 1 else f"these {number}"
        ask(f"Send {what} for real?")

    def ended(self, item: Released, outcome: Outcome | None) -> dict[str, Any]:
        """Tell how a run ended, and return it for a program."""
        run, change = item.run, item.change
        told = {
            "run": run.id, "wave": run.wave, "action": run.action, "handler": item.handler,
            "target": run.target, "state": change.state.value, "reason": change.reason,
        }  # fmt: skip
        if outcome is None:
            self._say(f"  {run.action}: {change.state.value}: {change.reason}")
            return told
        colour, words = SIDES[outcome.kind]
        reason = f": {outcome.reason}" if outcome.reason else ""
        seconds = f" ({outcome.seconds:.2f} s)"
        self._say("  ", Styled(f"{run.action}: {words}", colour), reason, seconds)
        for note in outcome.notes:
            self._say(f"    {note}")
        if outcome.output:
            self._say(f"    output: {json.dumps(outcome.output, ensure_ascii=False)}")
        return told | {
            "state": outcome.kind.value, "reason": outcome.reason, "parameters": _masked(item),
            "output": outcome.output, "notes": list(outcome.notes), "seconds": outcome.seconds,
        }  # fmt: skip

    def _say(self, *parts: Part) -> None:
        say(*parts, err=self._err)


def _masked(item: Released) -> Json:
    """Return the parameters with a mask where a secret will stand."""
    refs = {place: SecretRef(**ref) for place, ref in item.change.secrets.items()}  # type: ignore[arg-type]  # as `Renderer` wrote it
    masks = {place: ref.apply(MASK) for place, ref in refs.items()}
    return put_values(item.change.parameters, masks)
