"""The words in which resources and the values of their fields are told."""

from __future__ import annotations

from receiver.core.model import Change, ChangeVerdict, Resource, Sync
from receiver.rules.matching.cluster_scoped import namespace_of
from receiver.rules.schema import OnUnknownChange, ResourceMatch

POLICY = "onUnknownChange: run"


def describe(resource: Resource) -> str:
    """Name a resource for people: ``ConfigMap shop/shop-config``."""
    namespace = namespace_of(resource)
    hook = f" ({resource.hook_type} hook)" if resource.hook_type else ""
    name = f"{namespace}/{resource.name}" if namespace else resource.name
    return f"{resource.kind} {name}{hook}"


def say_match(selector: ResourceMatch, policy: OnUnknownChange, resource: Resource) -> str:
    """Say what the sync did to a resource that matched, and what was let pass unknown."""
    words = [_say_change(selector, policy, resource.change)]
    if selector.image_changed is not None:
        words.append(_say_images(resource.image_changed))
    return ", ".join(words)


def say_seen(field: str, value: object, subject: Sync | Resource) -> str:
    """Say the value that a predicate refused."""
    if field == "change" and isinstance(subject, Resource):
        return _say(str(value), subject.change)
    if value is None:
        return "unknown" if field == "imageChanged" else "nothing"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or _say_empty(field)


def _say_empty(field: str) -> str:
    if field.startswith("application."):
        return "nothing: the notification does not tell it"
    return '""' if field == "group" else "nothing"


def _say_change(selector: ResourceMatch, policy: OnUnknownChange, change: Change) -> str:
    if change.verdict is not ChangeVerdict.UNKNOWN:
        return _say(change.verdict.value, change)
    if policy == "run" and not {"unknown", "any"} & {*selector.change}:
        return f"perhaps changed ({change.reason}; {POLICY})"
    return _say("of unknown change", change)


def _say(word: str, change: Change) -> str:
    return word if change.reason == word else f"{word} ({change.reason})"


def _say_images(changed: bool | None) -> str:
    if changed is None:
        return f"its images perhaps changed (unknown; {POLICY})"
    return "its images changed" if changed else "its images unchanged"
