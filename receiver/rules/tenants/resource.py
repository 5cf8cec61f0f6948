"""One PostSyncRule, as the API server has it, becomes a rule set of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from receiver.core.errors import Problem, RuleError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet, load_texts
from receiver.rules.tenants.names import API_VERSION, KIND, file_name


def load_resource(
    resource: Mapping[str, Any], registry: Registry, expressions: Expressions, *,
    connected: bool = True,
) -> RuleSet:  # fmt: skip
    """Check a PostSyncRule; its rule is called NAMESPACE/NAME.

    Raises:
        RuleError: with every problem, by its path in the resource.
    """
    metadata = resource["metadata"]
    file = file_name(metadata["namespace"], metadata["name"])
    try:
        text = resource_text(resource)
        text.encode()
    except (RecursionError, UnicodeError):
        message = "is nested too deep, or has a text that is no Unicode"
        raise RuleError([Problem(file, 0, 0, "spec", message)]) from None
    return load_texts(((file, text),), registry, expressions, connected=connected)


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
