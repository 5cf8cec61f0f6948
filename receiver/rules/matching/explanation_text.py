"""Texts for resources and the values of their fields."""

from __future__ import annotations

from receiver.core.model import Change, ChangeVerdict, Resource, Sync
from receiver.rules.matching.cluster_scoped import namespace_of
from receiver.rules.schema import OnUnknownChange, ResourceMatch

POLICY = "onUnknownChange: run"


def describe(resource: Resource) -> str:
    """Return a resource's name for people: ``ConfigMap shop/shop-config``."""
    namespace = namespace_of(resource)
    hook = f" ({resource.hook_type} hook)" if resource.hook_type else ""
    name = f"{namespace}/{resource.name}" if namespace else resource.name
    return f"{resource.kind} {name}{hook}"


def format_match(selector: ResourceMatch, policy: OnUnknownChange, resource: Resource) -> str:
    """Return what the sync did to a resource that matched, and what passed although unknown."""
    words = [_format_change(selector, policy, resource.change)]
    if selector.image_changed is not None:
        words.append(_format_images(resource.image_changed))
    return ", ".join(words)


def format_value(field: str, value: object, subject: Sync | Resource) -> str:
    """Return the value that a predicate refused, as text."""
    if field == "change" and isinstance(subject, Resource):
        return _with_reason(str(value), subject.change)
    if value is None:
        return "unknown" if field == "imageChanged" else "nothing"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or _format_empty(field)


def _format_empty(field: str) -> str:
    if field.startswith("application."):
        return "nothing: the notification does not tell it"
    return '""' if field == "group" else "nothing"


def _format_change(selector: ResourceMatch, policy: OnUnknownChange, change: Change) -> str:
    if change.verdict is not ChangeVerdict.UNKNOWN:
        return _with_reason(change.verdict.value, change)
    if policy == "run" and not {"unknown", "any"} & {*selector.change}:
        return f"perhaps changed ({change.reason}; {POLICY})"
    return _with_reason("of unknown change", change)


def _with_reason(word: str, change: Change) -> str:
    return word if change.reason == word else f"{word} ({change.reason})"


def _format_images(changed: bool | None) -> str:
    if changed is None:
        return f"its images perhaps changed (unknown; {POLICY})"
    return "its images changed" if changed else "its images unchanged"
