"""What makes a rule, a PostSyncRule or a CronJob, as an API server tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.argocd.application_json import mapping, text
from receiver.ledger.plans.custom_rules import Key
from receiver.rules.tenants.cron_job import is_annotated
from receiver.rules.tenants.names import CRON_JOB, cron_job_rule, full_name
from receiver.rules.tenants.text import what_makes_it


@dataclass(frozen=True, slots=True)
class SeenRule:
    """What it says, and which version of it says so.

    Attributes:
        namespace: its own.
        name: of its rule there, which is its own if it is a PostSyncRule.
        uid: of the object; another one of the same name is another rule.
        generation: grows with each change of what it says.
        said: what makes the rule, as JSON: of thousands, the objects would take ten times the room;
            "" of a CronJob that makes none.
        version: grows with each change of anything in it, as all versions of one API server do.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    said: str
    version: int = field(default=0, compare=False)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> SeenRule:
        """Read what a list, a watch or a GET tells of a PostSyncRule."""
        return cls._of(found, what_makes_it(found))

    @classmethod
    def of_cron_job(cls, found: Mapping[str, Any]) -> SeenRule:
        """Read what they tell of a CronJob."""
        whole = {**found, "kind": CRON_JOB}  # a list leaves it out
        return cls._of(whole, what_makes_it(whole) if is_annotated(whole) else "")

    @classmethod
    def _of(cls, found: Mapping[str, Any], said: str) -> SeenRule:
        metadata = mapping(found, "metadata")
        name = text(metadata, "name")
        generation, version = metadata.get("generation"), text(metadata, "resourceVersion")
        return cls(
            text(metadata, "namespace"),
            cron_job_rule(name) if found.get("kind") == CRON_JOB else name,
            text(metadata, "uid"),
            generation if isinstance(generation, int) else 0,
            said,
            int(version) if version.isdecimal() else 0,
        )

    @property
    def place(self) -> Key:
        """The namespace, and the name of its rule there."""
        return self.namespace, self.name

    @property
    def key(self) -> str:
        """What its rule is called in force."""
        return full_name(self.namespace, self.name)

    @property
    def resource(self) -> Mapping[str, Any]:
        """The object, as far as it is read."""
        metadata = {"namespace": self.namespace, "name": self.name}
        return {"metadata": metadata, **json.loads(self.said)}
