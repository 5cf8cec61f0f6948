"""Whether an action of a tenant keeps to its bounds: its handler, and what that is given."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from receiver.contract import Handler, Tenant
from receiver.core.validation import FieldError, Path
from receiver.rules.handlers.registry import Unknown, known_part


def overstepping(
    handler: Handler[Any], tree: Mapping[str, Any], tenant: Tenant,
    secrets: Collection[str] | None = None,
) -> Iterator[FieldError]:  # fmt: skip
    """Yield what of an action's parameters is beyond its tenant, by path below `with`.

    Args:
        handler: the action's.
        tree: its parameters, as they are written or rendered.
        tenant: whose.
        secrets: see `Registry.check_parameters`.
    """
    if handler.confine is None:
        hint = "use another handler; docs/security.md says which"
        yield FieldError((), f"handler {handler.name} cannot be bounded to a namespace", hint)
        return
    known = known_part(tree, secrets)
    for found in handler.confine(known, tenant):
        if not isinstance(_at(known, found.path), Unknown):
            yield FieldError(found.path, found.message, found.hint)


def _at(tree: Any, path: Path) -> Any:
    """Return what is at a path, or above it, where nothing is known of that."""
    for part in path:
        if isinstance(tree, Unknown):
            return tree
        inside = range(len(tree)) if isinstance(tree, list) else tree
        if not isinstance(inside, Mapping | range) or part not in inside:
            return None
        tree = tree[part]
    return tree
