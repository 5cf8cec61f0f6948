"""The setting ``tenants``: which namespaces may have rules of their own, and within what bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from receiver.rules.schema.match import Strict
from receiver.rules.tenants.bounds import NO_TENANTS, TenantBounds, Tenants
from receiver.settings.argocd import OWN_CLUSTER, ApiServerSetting, Sender


class TenantsSetting(Strict):
    """Namespaces that may have rules of their own."""

    kubernetes: ApiServerSetting
    """The API server that has the namespaces, with their rules and Secrets."""
    destinations: Annotated[tuple[str, ...], Field(min_length=1)] = OWN_CLUSTER
    """How Applications name this cluster, by address or by name."""
    senders: tuple[Sender, ...] = ()
    """Senders whose Applications name it so; empty: all."""
    bounds: Annotated[tuple[TenantBounds, ...], Field(min_length=1)]
    """What they may; the first entry that fits a namespace counts."""


def tenants_of(setting: TenantsSetting | None) -> Tenants:
    """Return what the setting grants; without it no namespace may have rules."""
    if setting is None:
        return NO_TENANTS
    return Tenants(setting.bounds, frozenset(setting.destinations), frozenset(setting.senders))
