"""Planners for tests: rules as YAML, a sync as a notification brings it, and the real parts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from notifications import notification

from receiver.core.model import Sync, new_id
from receiver.ledger.plans.run import Run
from receiver.ledger.queue.claim import ClaimedRun
from receiver.notification.parse import read_notification
from receiver.planning.parameters import Renderer
from receiver.planning.plan_view import ACTIONS
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import rule_set_from
from receiver.rules.matching.compiled import RuleCompiler
from receiver.rules.schema.rule_file import Rule


def sync_of(*resources: dict[str, object], **fields: object) -> Sync:
    """The sync of a notification, with an id."""
    body = notification(*resources, **fields)  # type: ignore[arg-type]  # test's options
    read = read_notification(body, sender="argocd", channel="sync", query={})
    return replace(read.sync, id="s-1")


def rules_of(text: str) -> tuple[Rule, ...]:
    """The rules of a YAML list."""
    return rule_set_from([("r.yaml", f"version: 1\nrules:\n{text}")]).rules


@cache
def handlers() -> Registry:
    """Every handler of the distribution; to find them, the metadata of all packages is read."""
    return Registry.discover()


def renderer() -> Renderer:
    """With every handler of the distribution."""
    return Renderer(Expressions(), handlers())


def planner_of(text: str) -> Planner:
    """A planner over the rules of a YAML list."""
    expressions = Expressions()
    rule_set = rule_set_from([("r.yaml", f"version: 1\nrules:\n{text}")])
    own = RuleCompiler(expressions).compile_set(rule_set)
    return Planner(own, expressions, Renderer(expressions, handlers()))


def made_run(**fields: Any) -> Run:
    """A run of which only these fields matter."""
    values: dict[str, Any] = {
        "id": new_id("r"), "plan": "p-1", "sync": "s-1", "rule": "r", "flow": "r shop",
        "section": ACTIONS, "step": 0, "action": "a", "handler": "log.message", "wave": 0,
        "target": "batch", "target_index": None, "policy": {},
    }  # fmt: skip
    return Run(**values | fields)


def claimed_run(name: str, lane: str = "") -> ClaimedRun:
    """A run that was claimed for its first attempt."""
    return ClaimedRun(
        id=name, plan="p-1", sync="s-1", rule="rule", action="action", handler="toy.run",
        target="", target_index=None, lane=lane, attempt=1, claim=1, failures=0, key_number=1,
        parameters={}, secrets={}, policy={"timeout": 60}, state=None, pending=False, reason="",
        first_attempt_at=0,
    )  # fmt: skip
