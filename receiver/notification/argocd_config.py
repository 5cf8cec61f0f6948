"""Argo CD's notification config for a receiver, ready to apply."""

from __future__ import annotations

import re
from importlib.resources import files
from urllib.parse import urlsplit

from receiver.core.errors import SettingsError

URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%/-]*)?")
"""Neither credentials nor a query: Argo CD appends the path, and `$` would name a secret."""

NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label, as Kubernetes demands of a namespace."""

PATH = "/v1/notifications"


def notification_config(url: str, *, namespace: str = "argocd") -> str:
    """Write the config as YAML with comments that say how to apply it.

    Args:
        url: where Argo CD's notification controller reaches the receiver; the path of the
            intake may be part of it.
        namespace: of Argo CD.

    Raises:
        SettingsError: one of them cannot be used.
    """
    base = url.rstrip("/").removesuffix(PATH).rstrip("/")
    if not URL.fullmatch(base) or not _host(base):
        raise SettingsError(
            f"{url!r} is no address of a receiver",
            hint="for example http://postsync.postsync.svc:8080, without query or credentials",
        )
    if not NAMESPACE.fullmatch(namespace):
        raise SettingsError(f"{namespace!r} is no Kubernetes namespace")
    text = files("receiver").joinpath("notification/argocd.yaml").read_text("utf-8")
    return text.replace("__URL__", base).replace("__NAMESPACE__", namespace)


def example_notification() -> bytes:
    """Return a notification as the template of this config makes it, from an Argo CD that ran."""
    return files("receiver").joinpath("notification/example.json").read_bytes()


def _host(url: str) -> str | None:
    """The host, if host and port can be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname
