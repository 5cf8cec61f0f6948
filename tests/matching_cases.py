"""Syncs and rules for tests of matching, with as little said as each test needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from receiver.core.model import Application, Change, ChangeVerdict, Destination, Resource, Sync
from receiver.rules.loading.defaults import merge
from receiver.rules.schema.rule_file import Defaults, Rule

SHOP = Application(
    "shop",
    "argocd",
    "web",
    labels={"tier": "edge"},
    destination=Destination("https://kubernetes.default.svc", "here", "shop"),
)


def resource(
    name: str = "shop-config", kind: str = "ConfigMap", change: str = "changed", **more: Any
) -> Resource:
    """Return a changed, Synced ConfigMap, or what else is said."""
    plain = Resource(
        "", "v1", kind, "shop", name, "Synced", "", "", "", "Sync", (),
        Change(ChangeVerdict(change), "because"),
    )  # fmt: skip
    return plain._replace(**more)


def sync(*resources: Resource, **more: Any) -> Sync:
    """Return a Succeeded sync of the shop by the sender prod."""
    plain = Sync("prod", "sync", SHOP, "Succeeded", None, None, resources=resources)
    return replace(plain, **more)


def rule(name: str = "rule", *, settings: dict[str, Any] | None = None, **match: Any) -> Rule:
    """Return a rule, merged as the rulebook does; ``settings`` are its keys beside ``match``."""
    tree = {"name": name, "match": match, "actions": [{"uses": "toy.say"}], **(settings or {})}
    return merge(Rule.model_validate(tree), Defaults())
