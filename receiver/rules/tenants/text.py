"""The one form in which a PostSyncRule is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from receiver.rules.tenants.names import API_VERSION, KIND


def resource_text(resource: Mapping[str, Any]) -> str:
    """Return what a PostSyncRule says, and nothing else, in the one form that is stored.

    Two that say the same have the same text, so the digest changes with what is said alone.
    """
    metadata = {key: resource["metadata"][key] for key in ("name", "namespace")}
    said = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
    whole = said | {"spec": resource.get("spec")}
    return yaml.dump(whole, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=WIDE)


WIDE = 1 << 30
"""No line is folded."""


class _Dumper(yaml.CSafeDumper):
    """Writes what is there twice, twice: an alias would depend on who made the objects."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base's signature
        return True
