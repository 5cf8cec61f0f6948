"""The bounds of PostSyncRules in files: those of the settings, if there are any."""

from __future__ import annotations

import os

from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.settings.argocd import OWN_CLUSTER
from receiver.settings.loading import has_settings, load_settings
from receiver.settings.model import Settings
from receiver.settings.tenants import tenants_of

ANY = Tenants((TenantBounds(namespaces=("*",), handlers=("*",)),), frozenset(OWN_CLUSTER))
"""Without settings, the rules of each namespace see the Applications that have it as their
destination. Handlers are not looked at where it is used."""


def known_tenants(settings: Settings | None = None) -> Tenants:
    """Return what the settings grant, those of this shell by default; `ANY` if they are silent."""
    if settings is None and has_settings(os.environ):
        settings = load_settings()
    if settings is None or settings.tenants is None:
        return ANY
    return tenants_of(settings.tenants)
