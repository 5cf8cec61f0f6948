"""Every row of the table of messages, and every trap in it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.model import Change, ChangeVerdict
from receiver.notification.change_detection import PLAIN, RECONCILED, VERB, detect_change

CHANGED, UNCHANGED, UNKNOWN = ChangeVerdict.CHANGED, ChangeVerdict.UNCHANGED, ChangeVerdict.UNKNOWN

RULES = "\n\tmissing rules added:\n\t\t{Verbs:[list] APIGroups:[] Resources:[nodes]}"
OPTED_OUT = (
    "reconciliation required update, but object opted out "
    "(rbac.authorization.kubernetes.io/autoupdate: false)"
)
RBAC = "clusterrole.rbac.authorization.k8s.io/shop-reader"
OUT_OF_SYNC = "it was out of sync (ApplyOutOfSyncOnly=true)"
ANY = "which is said of every resource, changed or not"
RETRY = "unchanged, but in a retry (retryCount 2), which hides what an earlier attempt did"
HEALTH = "statefulset rolling update complete 1 pods at revision shop-cache-6d8f9c7b5..."


def verdict(message: str, status: str = "Synced", **facts: Any) -> Change:
    given: dict[str, Any] = {
        "retry_count": 0,
        "dry_run": False,
        "options": (),
        "hook": "",
    } | facts
    return detect_change(message, status=status, **given)


@pytest.mark.parametrize(
    ("message", "expected", "reason"),
    [
        ("configmap/x created", CHANGED, "created"),
        ("configmap/x configured", CHANGED, "configured"),
        ("configmap/x unchanged", UNCHANGED, "unchanged"),
        ("deployment.apps/shop configured", CHANGED, "configured"),
        ("deployment.apps/x serverside-applied", UNKNOWN, f"serverside-applied, {ANY}"),
        ("configmap/x replaced", UNKNOWN, f"replaced, {ANY}"),
        ("CustomResourceDefinition/shops.acme.io updated", UNKNOWN, f"updated, {ANY}"),
        ("Namespace/shop updated", UNKNOWN, f"updated, {ANY}"),
        (
            'deployment.apps "shop" deleted\ndeployment.apps/shop replaced',
            CHANGED,
            "deleted and replaced",
        ),
        (
            'deployment.apps "shop" deleted from shop namespace\ndeployment.apps/shop replaced',
            CHANGED,
            "deleted and replaced",
        ),
        (f"{RBAC} reconciled. {RBAC} unchanged", UNCHANGED, "unchanged"),
        (f"{RBAC} reconciled{RBAC} unchanged", UNCHANGED, "unchanged"),
        (f"{RBAC} reconciled. {RBAC} configured", CHANGED, "configured"),
        (f"{RBAC} reconciled{RBAC} configured", CHANGED, "configured"),
        (f"{RBAC} reconciled{RBAC} serverside-applied", UNKNOWN, f"serverside-applied, {ANY}"),
        (f"{RBAC} reconciled. {OPTED_OUT}{RULES}{RBAC} configured", CHANGED, "configured"),
        ("configmap/x unchanged. configmap/x configured", CHANGED, "configured"),
        ("configmap/x configured\nconfigmap/x unchanged", UNCHANGED, "unchanged"),
    ],
)
def test_the_last_verb_of_a_message_decides(
    message: str, expected: ChangeVerdict, reason: str
) -> None:
    """Whatever kubectl's apply wrote, its last verb gives verdict and reason."""
    assert verdict(message) == Change(expected, reason)


@pytest.mark.parametrize("verb", ["unchanged", "configured"])
@pytest.mark.parametrize("did", ["create", "update", "recreate"])
@pytest.mark.parametrize("rules", ["", RULES, f"{RULES}. ", f"{RULES}\n"])
def test_a_reconciliation_that_was_required_changed_the_object(
    did: str, verb: str, rules: str
) -> None:
    """Whatever the apply after it had left to do, and whatever stands between the two."""
    message = f"{RBAC} reconciled. reconciliation required {did}{rules}{RBAC} {verb}"
    assert verdict(message) == Change(CHANGED, f"reconciliation required {did}")
    assert verdict(message, retry_count=1).verdict is CHANGED


def test_a_reconciliation_of_an_object_that_opted_out_changed_nothing() -> None:
    """Then the last verb counts, also where it follows the list of rules directly."""
    message = f"{RBAC} reconciled. {OPTED_OUT}{RULES}{RBAC} unchanged"
    assert verdict(message) == Change(UNCHANGED, "unchanged")


def test_a_reconciliation_that_was_tried_only_changed_nothing() -> None:
    """The verb of a dry run says so."""
    message = (
        f"{RBAC} reconciled (server dry run). reconciliation required update{RULES}"
        f"{RBAC} unchanged (server dry run)"
    )
    assert verdict(message) == Change(UNCHANGED, "unchanged (server dry run)")


@pytest.mark.parametrize(
    ("hook", "message", "expected"),
    [
        ("seed", "seed created", CHANGED),
        ("seed", "seed created (dry run)", UNKNOWN),
        ("seed", "other created", UNKNOWN),
        ("", "seed created", UNKNOWN),
    ],
)
def test_a_hook_without_health_says_that_it_was_created(
    hook: str, message: str, expected: ChangeVerdict
) -> None:
    """By its own name and without its type; of anything else these words say nothing."""
    assert verdict(message, hook=hook).verdict is expected


@pytest.mark.parametrize(
    ("message", "status", "expected", "reason"),
    [
        ("pruned", "Pruned", CHANGED, "pruned"),
        ("pruned (dry run)", "Pruned", UNCHANGED, "pruned (dry run)"),
        (
            "ignored (requires pruning)",
            "PruneSkipped",
            UNCHANGED,
            "not pruned: ignored (requires pruning)",
        ),
        ("ignored (no prune)", "PruneSkipped", UNCHANGED, "not pruned: ignored (no prune)"),
        ("pruned", "Synced", UNKNOWN, "its message is no output of apply: pruned"),
        (
            'admission webhook "v.acme.io" denied the request: no',
            "SyncFailed",
            UNKNOWN,
            'its sync failed: admission webhook "v.acme.io" denied the request: no',
        ),
        (
            "configmap/x configured",
            "SyncFailed",
            UNKNOWN,
            "its sync failed: configmap/x configured",
        ),
    ],
)
def test_the_status_speaks_before_the_verb(
    message: str, status: str, expected: ChangeVerdict, reason: str
) -> None:
    """Pruning and failure are told by the status; only Pruned means that something went away."""
    assert verdict(message, status) == Change(expected, reason)


@pytest.mark.parametrize(
    ("message", "dry_run", "reason"),
    [
        ("configmap/x created", True, "the sync was a dry run"),
        ("deployment.apps/x serverside-applied", True, "the sync was a dry run"),
        ("configmap/x configured (dry run)", False, "configured (dry run)"),
        ("configmap/x created (server dry run)", False, "created (server dry run)"),
        (f"{RBAC} reconciled (dry run){RBAC} created (dry run)", False, "created (dry run)"),
    ],
)
def test_a_dry_run_changes_nothing(message: str, dry_run: bool, reason: str) -> None:
    """A dry run is told by the operation or by the message, whichever says so."""
    assert verdict(message, dry_run=dry_run) == Change(UNCHANGED, reason)


@pytest.mark.parametrize("status", ["Pruned", "SyncFailed", "Synced"])
def test_a_dry_run_changes_nothing_whatever_the_status_says(status: str) -> None:
    """The operation's dry run outweighs the status of an entry."""
    assert verdict("pruned", status, dry_run=True).verdict is UNCHANGED


@pytest.mark.parametrize("message", [HEALTH, "Waiting for rollout/x created by hand to end"])
def test_a_lost_verb_is_unknown(message: str) -> None:
    """A health message that took the verb's place leaves the question open."""
    change = verdict(message)
    assert change.verdict is UNKNOWN
    assert change.reason.startswith(f"its message is no output of apply: {message[:40]}")


def test_no_message_is_unknown() -> None:
    """An entry without a message says nothing."""
    assert verdict("") == Change(UNKNOWN, "no message")


@pytest.mark.parametrize(
    ("message", "expected", "reason"),
    [
        ("configmap/x unchanged", UNKNOWN, RETRY),
        ("configmap/x configured", CHANGED, "configured"),
        ("configmap/x created", CHANGED, "created"),
    ],
)
def test_after_a_retry_unchanged_is_only_unknown(
    message: str, expected: ChangeVerdict, reason: str
) -> None:
    """A retry forgets what the attempt before it changed."""
    assert verdict(message, retry_count=2) == Change(expected, reason)


@pytest.mark.parametrize(
    ("message", "expected", "reason"),
    [
        ("deployment.apps/x serverside-applied", CHANGED, f"serverside-applied, and {OUT_OF_SYNC}"),
        ("configmap/x replaced", CHANGED, f"replaced, and {OUT_OF_SYNC}"),
        ("Namespace/shop updated", CHANGED, f"updated, and {OUT_OF_SYNC}"),
        ("", CHANGED, f"{OUT_OF_SYNC}; no message"),
        ("configmap/x unchanged", UNCHANGED, "unchanged"),
    ],
)
def test_with_apply_out_of_sync_only_a_listed_resource_was_out_of_sync(
    message: str, expected: ChangeVerdict, reason: str
) -> None:
    """Where the verb leaves it open, being listed at all is the answer."""
    options = ("CreateNamespace=true", "ApplyOutOfSyncOnly=true")
    assert verdict(message, options=options) == Change(expected, reason)


@pytest.mark.parametrize("options", [("ApplyOutOfSyncOnly=false",), ("ServerSideApply=true",)])
def test_other_options_leave_server_side_apply_unknown(options: tuple[str, ...]) -> None:
    """Only ApplyOutOfSyncOnly=true leaves resources in sync out of the list."""
    assert verdict("deployment.apps/x serverside-applied", options=options).verdict is UNKNOWN


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Reached expected number of succeeded pods", UNKNOWN),
        ("job.batch/db-migrate serverside-applied", UNKNOWN),
        ("job.batch/db-migrate created", CHANGED),
    ],
)
def test_a_hook_is_listed_in_sync_or_not(message: str, expected: ChangeVerdict) -> None:
    """ApplyOutOfSyncOnly says nothing of hooks; their status is empty in older releases."""
    change = verdict(message, "", options=("ApplyOutOfSyncOnly=true",), hook="db-migrate")
    assert change.verdict is expected


def test_a_reason_quotes_a_long_message_in_part() -> None:
    """A reason stays one short line, whatever the message."""
    change = verdict("first\nsecond " + "x" * 500)
    assert "\n" not in change.reason
    assert len(change.reason) < 110


@pytest.mark.parametrize(
    "message",
    ["a" * 2_000_000, "a/" * 1_000_000, *(f"{start}a/b" * 500_000 for start in " )}")],
)
def test_a_huge_message_is_read_in_linear_time(message: str) -> None:
    """No message makes the search for the verb slow."""
    began = time.process_time()
    assert verdict(message).verdict is UNKNOWN
    assert time.process_time() - began < 2


PIECES = ["configmap/x", "a", "/", " ", "unchanged", "created", ")", "}", "(", "\n", ". ", "-"]


@given(st.lists(st.sampled_from([*PIECES, "reconciliation required create"]), max_size=9))
def test_a_plain_message_says_what_any_other_way_of_reading_it_finds(pieces: list[str]) -> None:
    """It is looked at by one expression instead of two."""
    for message in ("".join(pieces), f"{''.join(pieces)}/x unchanged"):
        if plain := PLAIN.fullmatch(message):
            assert VERB.findall(message) == [(plain[1], "")]
            assert not RECONCILED.search(message)
