"""A PostSyncRule as an API server tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.argocd.application_json import mapping, text
from receiver.ledger.plans.custom_rules import Key
from receiver.rules.tenants.names import full_name


@dataclass(frozen=True, slots=True)
class SeenRule:
    """What it says, and which version of it says so.

    Attributes:
        namespace: its own.
        name: its own.
        uid: of the object; another one of the same name is another rule.
        generation: grows with each change of what it says.
        spec: as JSON: of thousands, the objects would take ten times the room.
        version: grows with each change of anything in it, as all versions of one API server do.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    spec: str
    version: int = field(default=0, compare=False)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> SeenRule:
        """Read what a list, a watch or a GET tells."""
        metadata = mapping(found, "metadata")
        generation, version = metadata.get("generation"), text(metadata, "resourceVersion")
        return cls(
            text(metadata, "namespace"),
            text(metadata, "name"),
            text(metadata, "uid"),
            generation if isinstance(generation, int) else 0,
            json.dumps(found.get("spec"), sort_keys=True, separators=(",", ":")),
            int(version) if version.isdecimal() else 0,
        )

    @property
    def place(self) -> Key:
        """Its namespace and name."""
        return self.namespace, self.name

    @property
    def key(self) -> str:
        """What its rule is called in force."""
        return full_name(self.namespace, self.name)

    @property
    def resource(self) -> Mapping[str, Any]:
        """The object, as far as it is read."""
        metadata = {"namespace": self.namespace, "name": self.name}
        return {"metadata": metadata, "spec": json.loads(self.spec)}
