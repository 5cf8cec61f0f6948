"""The environment variables of a Job's pods: sync, rule and resource that they run for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.kubernetes import run_labels


def complete(parameters: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the run is about as environment variables, labels and annotations.

    What the rule gives under the same name wins.
    """
    return run_labels.merged(run_labels.complete(parameters, facts), {"env": _variables(facts)})


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
