"""Builds the connections to Argo CD that the settings name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.connection import Connection
from receiver.argocd.connections import Both, Connections
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.server import Server
from receiver.contract import PermanentError, Tls
from receiver.core.errors import UnreadableFile
from receiver.core.logs import Log
from receiver.core.user_files import read_text
from receiver.kubernetes.access import SERVICE_ACCOUNT, Access, by_kubeconfig, in_cluster
from receiver.outbound import Outbound
from receiver.rules.handlers.secret_refs import SecretRef
from receiver.settings.argocd import ApiServerSetting, ConnectionSetting, KubernetesSetting
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets

LARGEST = 1 << 20
"""Bytes of a file of certificates: those of all public authorities have a quarter of that."""


def build_connections(settings: Settings, outbound: Outbound) -> Connections:
    """Build each sender's connection; nothing is asked, and no secret read, before it is used."""
    secrets = Secrets(settings.secrets)
    return Connections({
        sender: _connection(one, secrets, outbound) for sender, one in settings.argocd.items()
    })  # fmt: skip


def unknown_senders(settings: Settings, senders: Sequence[str]) -> dict[str, str]:
    """Return the connections whose sender is none of these, those of tokens, and say so of each."""
    hint = f"no token has that name; senders are {', '.join(senders) or 'none'}"
    return {
        sender: hint
        for sender, one in settings.argocd.items()
        if sender not in senders and one.intake != "watch"
    }


def warn_of_unknown_senders(settings: Settings, senders: Sequence[str], log: Log) -> None:
    """Say in the log which connections no notification belongs to, and that tenants trust all."""
    for sender, hint in unknown_senders(settings, senders).items():
        log.warning("argocd.unknownSender", sender=sender, hint=hint)
    if settings.tenants is not None and not settings.tenants.senders and len(senders) > 1:
        hint = "each may name another cluster so; set tenants.senders"
        log.warning("tenants.anySender", senders=[*senders], hint=hint)


def _connection(setting: ConnectionSetting, secrets: Secrets, outbound: Outbound) -> Connection:
    argocd = _argocd(setting, secrets, outbound)
    kubernetes = _kubernetes(setting.kubernetes, secrets, outbound) if setting.kubernetes else None
    if argocd is not None and kubernetes is not None:
        return Both(kubernetes, argocd)
    found = kubernetes or argocd
    assert found is not None, "the setting has one of both"  # noqa: S101 checked where it is read
    return found


def _argocd(setting: ConnectionSetting, secrets: Secrets, outbound: Outbound) -> ArgoCdApi | None:
    if setting.server is None or setting.token is None:
        return None
    access = partial(_to_argocd, setting.server, setting.token, setting.ca_bundle, secrets)
    return ArgoCdApi(Server(f"Argo CD's API {setting.server}", access, outbound))


def _to_argocd(server: str, token: SecretRef, ca_bundle: Path | None, secrets: Secrets) -> Access:
    """Find the way to Argo CD's API.

    Raises:
        PermanentError: its certificates cannot be read.
        TemporaryError: the token cannot.
    """
    tls = None
    if ca_bundle is not None:
        try:
            tls = Tls(read_text(ca_bundle, LARGEST))
        except UnreadableFile as error:
            raise PermanentError(f"caBundle {error.message}") from None
    return Access(server, "", tls, token.apply(secrets.resolve(token)).strip())


def _kubernetes(setting: KubernetesSetting, secrets: Secrets, outbound: Outbound) -> KubernetesApi:
    name, access = to_api_server(setting, secrets)
    server = Server(name, access, outbound)
    return KubernetesApi(server, tuple(setting.namespaces), tuple(setting.destinations))


def to_api_server(setting: ApiServerSetting, secrets: Secrets) -> tuple[str, Callable[[], Access]]:
    """Return what an API server is called, and what finds the way to it."""
    ref = setting.kubeconfig
    if ref is None:
        return "the own API server", lambda: in_cluster(os.environ, SERVICE_ACCOUNT)
    name = f"the API server of {ref.name}"
    return name, lambda: by_kubeconfig(ref.apply(secrets.resolve(ref)), setting.context)
