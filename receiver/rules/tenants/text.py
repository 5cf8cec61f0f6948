"""The forms of what makes a rule: the one in which it is stored, and the one that is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from receiver.rules.tenants.cron_job import what_it_says
from receiver.rules.tenants.names import API_VERSION, CRON_JOB, KIND


def resource_text(resource: Mapping[str, Any]) -> str:
    """Return what a PostSyncRule says, or a CronJob of its rule, in the one form that is stored.

    Two that say the same have the same text, so the digest changes with what is said alone.
    """
    if resource.get("kind") == CRON_JOB:
        whole = what_it_says(resource)
    else:
        metadata = {key: resource["metadata"][key] for key in ("name", "namespace")}
        whole = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
        whole["spec"] = resource.get("spec")
    return yaml.dump(whole, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=WIDE)


def what_makes_it(resource: Mapping[str, Any]) -> str:
    """Return what of a resource makes its rule, as short JSON: of thousands it takes little room.

    Raises:
        RecursionError: it is nested too deep.
    """
    spec = {"kind": KIND, "spec": resource.get("spec")}
    said = what_it_says(resource) if resource.get("kind") == CRON_JOB else spec
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def size_of(said: str) -> int:
    """Return how many bytes `what_makes_it` has, by which a rule counts as large."""
    return len(said.encode("utf-8", "surrogatepass"))


WIDE = 1 << 30
"""No line is folded."""


class _Dumper(yaml.CSafeDumper):
    """Writes what is there twice, twice: an alias would depend on who made the objects."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base's signature
        return True
