"""How to reach an API server: that of the cluster we run in, or another by its kubeconfig."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from receiver.contract import PermanentError, Tls

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/)."""
FLATTEN = "kubectl config view --raw --flatten --minify"
FOREIGN = ("exec", "auth-provider", "tokenFile", "client-certificate", "client-key", "username")
"""Ways to log in that need a program, a file or a password that is not in the kubeconfig."""
KEPT = 16
"""Kubeconfigs that are kept as they were read: a few clusters, and one before of each."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where an API server is, how to trust it, and as whom to ask it.

    Attributes:
        server: its address, without a slash at the end.
        namespace: the one that is meant where none is said.
        token: "" where a certificate says who we are.
        proxy: URL of the HTTP proxy that leads there; "" for the settings' way.
    """

    server: str
    namespace: str
    tls: Tls | None = None
    token: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)

    @property
    def secrets(self) -> list[str]:
        """What of it is secret and no part of a rule: the token, the password of the proxy."""
        password = urlsplit(self.proxy).password or ""
        return [self.token, password, unquote(password)]


def in_cluster(environ: Mapping[str, str], folder: Path) -> Access:
    """Read what the kubelet puts into a pod: it replaces the token before it expires."""
    try:
        host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
        token, authority, namespace = (
            (folder / name).read_text().strip() for name in ("token", "ca.crt", "namespace")
        )
    except (KeyError, OSError):
        raise PermanentError(
            "Postsync runs in no cluster, or in a pod without the token of a service account",
            hint="set automountServiceAccountToken, or name a kubeconfig",
        ) from None
    address = f"[{host}]" if ":" in host else host
    return Access(f"https://{address}:{port}", namespace, Tls(authority), token)


@lru_cache(maxsize=KEPT)
def by_kubeconfig(text: str, context: str | None) -> Access:
    """Read a kubeconfig; messages quote only names from it.

    Those read last are kept: each request asks anew, since a token may be rotated, and to parse
    YAML takes 1.5 ms of a core.
    """
    config = _mapping(_parsed(text))
    chosen = context or str(config.get("current-context") or "")
    if not chosen:
        raise PermanentError("the kubeconfig has no current-context", hint="name a context")
    meant = _entry(config, "context", chosen)
    cluster = _entry(config, "cluster", str(meant.get("cluster")))
    user = _entry(config, "user", str(meant.get("user"))) if meant.get("user") else {}
    _refuse_foreign(cluster, user)
    tls = Tls(
        _decoded(cluster, "certificate-authority-data"),
        _decoded(user, "client-certificate-data"),
        _decoded(user, "client-key-data"),
    )
    server = str(cluster.get("server") or "").rstrip("/")
    namespace = str(meant.get("namespace") or "default")
    token = str(user.get("token") or "").strip()
    proxy = _proxy(cluster)
    return Access(server, namespace, tls if tls != Tls() else None, token, proxy)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PermanentError("the kubeconfig is none", hint=f"make it by {FLATTEN}")
    return value


def _entry(config: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    entries = config.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            return _mapping(entry.get(kind))
    raise PermanentError(f"the kubeconfig has no {kind} {name}")


def _refuse_foreign(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    if cluster.get("insecure-skip-tls-verify"):
        raise PermanentError(
            "the kubeconfig skips the check of the server's certificate",
            hint="give certificate-authority-data instead of insecure-skip-tls-verify",
        )
    found = [name for name in FOREIGN if user.get(name)]
    found += ["certificate-authority"] if cluster.get("certificate-authority") else []
    if found:
        raise PermanentError(
            f"the kubeconfig has {found[0]}, which is not in itself",
            hint=f"give the token of a service account, or make it by {FLATTEN}",
        )


def _proxy(cluster: Mapping[str, Any]) -> str:
    """Return the proxy that leads to the cluster; kubectl takes SOCKS as well, which we do not."""
    url = str(cluster.get("proxy-url") or "").strip()
    try:
        usable = not url or (urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname)
    except ValueError:
        usable = False
    if not usable:
        raise PermanentError(
            "proxy-url of the kubeconfig is no URL of http or https",
            hint="give an HTTP proxy, as http://proxy.example:3128",
        )
    return url


def _decoded(entry: Mapping[str, Any], name: str) -> str:
    try:
        return base64.b64decode(str(entry.get(name) or ""), validate=True).decode()
    except ValueError:
        raise PermanentError(f"{name} of the kubeconfig is no base 64") from None
