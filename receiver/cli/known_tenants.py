"""The bounds of PostSyncRules in files: those of the settings, if there are any."""

from __future__ import annotations

from receiver.rules.handlers.registry import Registry
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.settings.argocd import OWN_CLUSTER
from receiver.settings.model import Settings
from receiver.settings.tenants import tenants_of


def known_tenants(registry: Registry, settings: Settings | None) -> Tenants:
    """Return what the settings grant.

    Where they are silent, the rules of each namespace see the Applications that have it as their
    destination, and may use every handler.
    """
    if settings is not None and settings.tenants is not None:
        return tenants_of(settings.tenants)
    handlers = tuple(handler.name for handler in registry)
    return Tenants((TenantBounds(namespaces=("*",), handlers=handlers),), frozenset(OWN_CLUSTER))
