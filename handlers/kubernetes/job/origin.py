"""Where a Job comes from: the sync, the rule and the resource, on the Job and in its pods."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

KEY = "postsync/run"
"""Annotation with the idempotency key: by it we know a Job as our own."""
SERIES = "postsync/series"
"""Label that the Jobs of one action for one target have in common."""
MANAGED = "app.kubernetes.io/managed-by"


def complete(parameters: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the run is about as environment variables, labels and annotations.

    What the rule gives under the same name wins.
    """
    added = {
        "env": _variables(facts),
        "labels": _labels(facts),
        "annotations": _annotations(facts),
    }
    given = {name: parameters.get(name) for name in added}
    merged = {
        name: {**values, **(given[name] or {})}
        for name, values in added.items()
        if given[name] is None or isinstance(given[name], dict)
    }
    return {**parameters, **merged}


def _variables(facts: Mapping[str, Any]) -> dict[str, str]:
    application, sync = facts["application"], facts["sync"]
    found = {
        "RULE": facts["rule"],
        "SYNC": sync["id"],
        "PHASE": sync["phase"],
        "REVISION": sync["revision"],
        "APPLICATION": application["name"],
        "APPLICATION_NAMESPACE": application["namespace"],
        "PROJECT": application["project"],
    }
    resource = facts.get("resource")
    if resource is not None:
        names = ("group", "version", "kind", "namespace", "name")
        found |= {f"RESOURCE_{name.upper()}": resource[name] for name in names}
        found["RESOURCE_IMAGES"] = " ".join(resource["images"])
    return {f"POSTSYNC_{name}": str(value) for name, value in found.items()}


def _labels(facts: Mapping[str, Any]) -> dict[str, str]:
    application = facts["application"]
    parts = (application["namespace"], application["name"], facts["rule"], facts["action"],
             facts["target"])  # fmt: skip
    series = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
    return {
        MANAGED: "postsync",
        SERIES: series,
        "postsync/rule": label_value(facts["rule"]),
        "postsync/application": label_value(application["name"]),
    }


def _annotations(facts: Mapping[str, Any]) -> dict[str, str]:
    application = facts["application"]
    names = (application["namespace"], application["name"])
    found = {
        "postsync/sync": facts["sync"]["id"],
        "postsync/rule": facts["rule"],
        "postsync/action": facts["action"],
        "postsync/application": "/".join(name for name in names if name),
        "postsync/target": facts["target"],
    }
    return {name: str(value) for name, value in found.items() if value}


def label_value(text: str) -> str:
    """Make a text fit for a label: at most 63 letters, digits and ``-_.``, none of these last."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("-_.")
