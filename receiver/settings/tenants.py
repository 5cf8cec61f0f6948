"""The setting ``tenants``: which namespaces may have rules of their own, and within what bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from receiver.rules.schema.match import Strict
from receiver.rules.tenants.bounds import NO_TENANTS, TenantBounds, Tenants, no_bounds
from receiver.rules.tenants.document import NAMESPACE
from receiver.settings.argocd import OWN_CLUSTER, ApiServerSetting, Sender
from receiver.settings.token_files import NAME


def _namespace(value: str) -> str:
    if not NAMESPACE.fullmatch(value):
        raise ValueError(f"{value} is no namespace: each is named whole, without a glob")
    return value


TokenName = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Namespaces = Annotated[
    tuple[Annotated[str, AfterValidator(_namespace)], ...], Field(min_length=1, max_length=100)
]


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
    tokens: Mapping[TokenName, Namespaces] = Field(default_factory=dict)
    """Operators' and viewers' tokens, by the names of their files, that see and act on what is of
    these namespaces alone."""

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        tenants = tenants_of(self)
        for name, namespaces in self.tokens.items():
            for one in namespaces:
                if tenants.of(one) is None:
                    raise ValueError(f"tokens.{name}: {no_bounds(one)}")
        return self


def tenants_of(setting: TenantsSetting | None) -> Tenants:
    """Return what the setting grants; without it no namespace may have rules."""
    if setting is None:
        return NO_TENANTS
    return Tenants(setting.bounds, frozenset(setting.destinations), frozenset(setting.senders))
