"""What can be wrong with the words of a rule that act on its plans."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.contract.durations import duration_text
from receiver.core.validation import Mistake
from receiver.rules.schema import Rule, Target


def check_plans(rule: Rule) -> Iterator[Mistake]:
    """Check ``limits``, ``debounce`` and ``onNewer`` of a merged rule."""
    yield from _check_limits(rule)
    yield from _check_debounce(rule)
    if rule.on_newer == "queue" and rule.concurrency is not None:
        yield Mistake(
            ("onNewer",),
            "queue and concurrency cannot be together: each says what a plan waits for",
            "leave one out; concurrency.key: ${{ application.name }} with limit 1 is a queue too",
        )


def _check_limits(rule: Rule) -> Iterator[Mistake]:
    if rule.limits is None:
        return
    if rule.match.resources is None:
        message = "needs match.resources: without it a plan has no resources to count"
        yield Mistake(("limits", "maxTargets"), message)
    elif rule.limits.otherwise == "batch" and not _per_resource(rule):
        message = "batch needs an action with target resource: nothing else can be taken in parts"
        yield Mistake(("limits", "otherwise"), message, "use hold")


def _per_resource(rule: Rule) -> bool:
    return any(action.target is Target.RESOURCE for action in rule.actions)


def _check_debounce(rule: Rule) -> Iterator[Mistake]:
    debounce = rule.debounce
    if debounce is not None and debounce.max_wait < debounce.window:
        longest, window = duration_text(debounce.max_wait), duration_text(debounce.window)
        message = f"{longest} is shorter than the window of {window}"
        yield Mistake(("debounce", "maxWait"), message, "make it as long, or longer")
