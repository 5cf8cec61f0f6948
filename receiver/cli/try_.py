"""`postsync try`: runs one rule's actions once, for real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from receiver.cli import complete
from receiver.cli.options import STDIN, output_option, payload_option, read_payload, yes_option
from receiver.cli.screen import write_json
from receiver.cli.try_page import Page
from receiver.cli.try_rule import prepare
from receiver.core.model import OutcomeKind
from receiver.core.states import RunState
from receiver.inspection.try_rule import Trial

FAILED = frozenset({OutcomeKind.TEMPORARY, OutcomeKind.PERMANENT})


@click.command("try")
@click.argument("rule", shell_complete=complete.rules)
@payload_option
@click.option(
    "--rules", "paths", multiple=True, type=click.Path(path_type=Path),
    help="A rule file or folder, several times; by default those of the settings.",
)  # fmt: skip
@click.option("--target", default="", help="The resource: its name or key (default: the first).")
@click.option("--channel", default="sync", show_default=True, help="What the notification came by.")
@click.option("--sender", default="", help="The name of the token that it came with.")
@yes_option
@output_option()
def try_(
    *, rule: str, payload: Path, paths: tuple[Path, ...], target: str, channel: str,
    sender: str, yes: bool, output: str,
) -> None:  # fmt: skip
    """Run the actions of RULE once, for real, as for the sync that a notification tells of.

    To prove addresses and credentials before a rule is in force. It needs no server and writes
    no ledger; secrets come from this shell's POSTSYNC_SECRET_* and from HOME/secrets. Of the
    resources that match, one is acted on. Before each wave it shows what it will send, secrets
    masked, and asks. Nothing is tried again, and onFailure is left out.

    \b
      postsync try shop-config-changed --payload config/examples/notification.json
      postsync try shop-config-changed --payload config/examples/notification.json --yes

    Exits 0 if every action succeeded, else 1.
    """  # noqa: D301 click's \b keeps the lines
    if payload == STDIN and not yes:
        raise click.UsageError("a notification from stdin leaves nobody to ask: add --yes")
    trial, others = prepare(
        rule, read_payload(payload), paths, target, sender=sender, channel=channel
    )
    page = Page(quiet=output == "json")
    page.note_others(others)
    good, runs = _run_waves(trial, page, ask=not yes)
    if output == "json":
        write_json({"rule": rule, "succeeded": good, "runs": runs})
    sys.exit(0 if good else 1)


def _run_waves(trial: Trial, page: Page, *, ask: bool) -> tuple[bool, list[dict[str, Any]]]:
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
