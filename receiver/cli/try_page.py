"""The output of `postsync try`: what it sends, and the outcomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from receiver.cli.screen import Part, Styled, confirm, write_line
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
