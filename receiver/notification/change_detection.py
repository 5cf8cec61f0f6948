"""Whether a sync really changed a resource, by the messages that Argo CD left.

A resource's message is the output of kubectl's apply, and the last verb in it counts. What
the messages leave open is `unknown`, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from receiver.core.model import Change, ChangeVerdict

_changed = partial(Change, ChangeVerdict.CHANGED)
_unchanged = partial(Change, ChangeVerdict.UNCHANGED)
_unknown = partial(Change, ChangeVerdict.UNKNOWN)

CREATED, CONFIGURED, UNCHANGED = (
    _changed("created"),
    _changed("configured"),
    _unchanged("unchanged"),
)
"""What most resources of all syncs have: the same for all of them."""

VERB = re.compile(
    r"(?<![^\s)}])[A-Za-z0-9.-]+/[^\s)}]+ "
    r"(created|configured|unchanged|serverside-applied|replaced|updated)"
    r"( \((?:server )?dry run\))?(?=$|\n|\. )"
)
"""``TYPE/NAME VERB``. RBAC objects have two in one message, newer releases without a separator.

It begins only where a word begins (or the bracket of a dry run or of a list of rules ended), and
a name has no bracket: that keeps the search linear in a message of any length.
"""

PLAIN = re.compile(r"[A-Za-z0-9.-]+/[^\s)}]+ (created|configured|unchanged)")
"""The whole of most messages: what `VERB` finds in them, and `RECONCILED` does not."""

RECONCILED = re.compile(
    r"reconciliation required (?:create|update|recreate)(?!, but object opted out)"
)
"""What `kubectl auth reconcile` did to an RBAC object before the apply, whose verb then follows:
often ``unchanged``, since the reconciliation left nothing to do."""

RECREATED = '" deleted'
"""Replace with Force writes ``deployment.apps "shop" deleted`` before its verb."""

OUT_OF_SYNC_ONLY = "ApplyOutOfSyncOnly=true"

EXCERPT = 60
"""Characters of a message that a reason quotes."""


def detect_change(
    message: str,
    *,
    status: str,
    retry_count: int,
    dry_run: bool,
    options: Sequence[str],
    hook: str = "",
) -> Change:
    """Return what the sync did to one resource, with the reason.

    Args:
        message: the entry's message, as Argo CD wrote it.
        status: the entry's status; hooks have none up to Argo CD 3.3.
        retry_count: of the operation; each retry clears what the attempt before had listed.
        dry_run: whether the operation was a dry run.
        options: the operation's sync options, as ``Name=value``.
        hook: the entry's name if it is a hook, "" if it is none: hooks are listed in sync or not.
    """
    if dry_run:
        return _unchanged("the sync was a dry run")
    if by_status := _by_status(status, message):
        return by_status
    if hook and message == f"{hook} created":
        # The message of a hook without health; Argo CD creates each hook anew, unless its delete
        # policy says otherwise.
        return _changed("created")
    only_out_of_sync = OUT_OF_SYNC_ONLY in options and not hook
    return _by_message(message, retry_count, only_out_of_sync)


def list_gap(retry_count: int, options: Sequence[str]) -> str:
    """Return why a sync's list may lack what it changed, "" if it lacks nothing.

    Each retry begins a new list, and what the attempt before it had changed is in sync by then.
    """
    if not retry_count or OUT_OF_SYNC_ONLY not in options:
        return ""
    return (
        f"retried (retryCount {retry_count}) with {OUT_OF_SYNC_ONLY}: what an earlier attempt "
        "changed may be missing from the list"
    )


def _by_status(status: str, message: str) -> Change | None:
    match status:
        case "SyncFailed":
            return _unknown(f"its sync failed: {_excerpt(message)}")
        case "Pruned" if message.endswith("(dry run)"):
            return _unchanged(message)
        case "Pruned":
            return _changed("pruned")
        case "PruneSkipped":
            return _unchanged(f"not pruned: {_excerpt(message)}")
    return None


def _by_message(message: str, retry_count: int, only_out_of_sync: bool) -> Change:
    if plain := PLAIN.fullmatch(message):
        return _by_verb(plain[1], message, retry_count, only_out_of_sync)
    found = VERB.findall(message) if "/" in message else []  # the cheap test first
    verb, dry = found[-1] if found else ("", "")
    if dry:
        return _unchanged(f"{verb}{dry}")
    if reconciled := RECONCILED.search(message):
        return _changed(reconciled[0])
    if verb:
        return _by_verb(verb, message, retry_count, only_out_of_sync)
    seen = f"its message is no output of apply: {_excerpt(message)}" if message else "no message"
    if only_out_of_sync:
        return _changed(f"it was out of sync ({OUT_OF_SYNC_ONLY}); {seen}")
    return _unknown(seen)


def _by_verb(verb: str, message: str, retry_count: int, only_out_of_sync: bool) -> Change:
    match verb:
        case "created" | "configured":
            return CREATED if verb == "created" else CONFIGURED
        case "unchanged" if retry_count > 0:
            return _unknown(
                f"unchanged, but in a retry (retryCount {retry_count}), which hides "
                "what an earlier attempt did"
            )
        case "unchanged":
            return UNCHANGED
        case "replaced" if RECREATED in message:
            return _changed("deleted and replaced")
    if only_out_of_sync:
        return _changed(f"{verb}, and it was out of sync ({OUT_OF_SYNC_ONLY})")
    return _unknown(f"{verb}, which is said of every resource, changed or not")


def _excerpt(message: str) -> str:
    line = " ".join(message[: 2 * EXCERPT].split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]}…"
