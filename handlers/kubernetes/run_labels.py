"""Labels and annotations of the objects that we create: which run, rule and sync they are of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

SERIES = "postsync/series"
"""Label that the objects of one action for one target have in common."""
MANAGED = "app.kubernetes.io/managed-by"


def complete(parameters: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add labels and annotations; what the rule gives under the same name wins."""
    return merged(parameters, {"labels": _labels(facts), "annotations": _annotations(facts)})


def merged(parameters: dict[str, Any], added: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Add entries to mappings among the parameters, where those are mappings or not given."""
    given = {name: parameters.get(name) for name in added}
    whole = {
        name: {**values, **(given[name] or {})}
        for name, values in added.items()
        if given[name] is None or isinstance(given[name], dict)
    }
    return {**parameters, **whole}


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
