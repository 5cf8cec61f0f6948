"""Each notification of a running Argo CD, judged by its messages alone, against what really was."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

from receiver.core.model import Change, ChangeVerdict, Resource, Sync
from receiver.notification.application_memory import Memory, apply_update, recall, update_from
from receiver.notification.change_detection import list_gap
from receiver.notification.parse import read_notification
from receiver.notification.recalled import with_recalled

DATA = Path(__file__).parent / "data/argocd"

NORMALISED = (
    *("policy/PodDisruptionBudget/norm/p", "Secret/norm/stringdata", "batch/CronJob/norm/cj"),
    *("ConfigMap/norm/emptyann", "ConfigMap/norm/nulltime", "ConfigMap/norm/emptydata"),
    *("rbac.authorization.k8s.io/ClusterRole/norm/t-agg", "apps/StatefulSet/norm/pvc"),
    *(
        f"apps/Deployment/norm/{name}"
        for name in (
            *("empties", "cpuint", "emptyenv", "clean", "quantities", "nullport", "initnull"),
            "cpu1000m",
        )
    ),
)
"""Manifests that the API server stores in another form than in Git."""

CONFIGURED_ALL_THE_SAME = {
    *(("normalised2-first", key) for key in NORMALISED),
    *(("normalised2-nothing", key) for key in NORMALISED),
    ("hooks-nothing-changed", "apps/Deployment/hooks/api"),
    ("rollback-with-hooks", "apps/Deployment/hooks/api"),
    ("no-change", "apps/Deployment/shop/web"),
    ("one-configmap-changed", "apps/Deployment/shop/web"),
}
"""What no message can tell: `configured`, and nothing of the object had changed."""


@cache
def syncs() -> dict[str, Sync]:
    """Each notification as we read it, by its name."""
    lines = map(json.loads, (DATA / "payloads.jsonl").read_text().splitlines())
    return {
        line["payload"]: read_notification(
            json.dumps(line["body"]).encode(), sender="argocd", channel="sync", query={}
        ).sync
        for line in lines
    }


def entries() -> list[tuple[tuple[str, str], Resource, str]]:
    """Each entry with what is right of it: right, wrong or unknown."""
    found = []
    for line in map(json.loads, (DATA / "truth.jsonl").read_text().splitlines()):
        name, key = line["payload"], line["resource"]
        (entry,) = (one for one in syncs()[name].resources if one.key == key)
        verdict = entry.change.verdict.value
        if verdict == line["truth"] or "annotation only" in line["why"]:
            how = "right"
        else:
            how = "unknown" if verdict == "unknown" else "wrong"
        found.append(((name, key), entry, how))
    return found


def test_the_messages_alone_are_read_at_their_best() -> None:
    """The table of verdicts: what is wrong is only what `configured` cannot tell."""
    found = entries()
    assert Counter(how for _, _, how in found) == {"right": 161, "unknown": 44, "wrong": 36}
    wrong = {name: entry for name, entry, how in found if how == "wrong"}
    assert set(wrong) == CONFIGURED_ALL_THE_SAME
    assert {entry.change.reason for entry in wrong.values()} == {"configured"}


def test_every_reconciliation_of_rbac_is_told() -> None:
    """In all messages with a reconciliation, the object was created or its rules were changed."""
    told = [(entry, how) for _, entry, how in entries() if "ation required" in entry.message]
    assert len(told) == 6
    assert {how for _, how in told} == {"right"}


def test_no_hook_is_told_wrong() -> None:
    """A hook's message is mostly of its health: unknown, and never a change that was none."""
    hooks = Counter(how for _, entry, how in entries() if entry.hook_type)
    assert hooks["unknown"] > 0
    assert hooks["wrong"] == 0


def test_the_sync_after_a_failed_one_says_what_that_had_changed() -> None:
    """Argo CD says `unchanged` of it, which is true of the second operation alone."""
    failed, mended = replace(syncs()["later-failed"], id="s-1"), syncs()["later-mended"]
    news = update_from(failed, (), acted=True)
    assert news
    now = with_recalled(mended, recall(mended, apply_update(Memory(), news)))
    changes = {entry.name: entry.change for entry in now.resources}
    assert changes["conf"] == Change(ChangeVerdict.CHANGED, "by the failed sync s-1")
    assert {entry.name: entry.change.reason for entry in mended.resources}["conf"] == "unchanged"


def test_a_retry_that_lists_only_what_was_out_of_sync_is_told_as_incomplete() -> None:
    """Its first attempt changed a ConfigMap that the second does not list."""
    sync = syncs()["retry-oos-then-good"]
    assert [entry.name for entry in sync.resources] == ["late"]
    assert list_gap(sync.retry_count, sync.options)
    assert not list_gap(syncs()["retry-then-good"].retry_count, syncs()["retry-then-good"].options)
