"""The setting ``argocd``: for each sender, how to ask Argo CD and the cluster that it runs in."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from receiver.rules.handlers.secret_refs import SecretRef, check_secrets, is_secret, split_secrets
from receiver.rules.schema.match import Strict
from receiver.settings.token_files import NAME

OWN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")
"""How Applications name the cluster that Argo CD runs in, by address and by name."""
INSIDE = (".svc", ".svc.cluster.local")
"""Names within a cluster, which may be called without TLS."""


def _reference(value: object) -> SecretRef:
    """Read a reference to a secret; what is written instead may be one, so it is not quoted."""
    if not is_secret(value):
        raise ValueError(
            "a secret is never written here: name it, as {file: NAME} or "
            "{env: POSTSYNC_SECRET_NAME}"
        )
    for mistake in check_secrets({"it": value}):
        raise ValueError(mistake.message)  # its hint is for rules, which have expressions
    return split_secrets({"it": value})[1]["/it"]


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise ValueError("must be an address like https://argocd-server.argocd.svc")
    if parts.username or parts.password:
        raise ValueError("must have no user in it; the account's token is named under token")
    if parts.scheme == "http" and not (host.endswith(INSIDE) or _is_loopback(host)):
        raise ValueError(
            "must begin with https://: the token would be sent in the clear (http:// is for "
            "loopback and for names that end with .svc)"
        )
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sender(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(
            "is no sender's name: letters, digits, and . _ - after the first, at most 63"
        )
    return value


Sender = Annotated[str, AfterValidator(_sender)]
"""The name of a sender's token, which is that of a file."""

Reference = Annotated[SecretRef, PlainValidator(_reference)]


class ApiServerSetting(Strict):
    """An API server, and as whom it is asked."""

    in_cluster: bool = False
    """The cluster that Postsync runs in, as its service account."""
    kubeconfig: Reference | None = None
    """Another one, by its kubeconfig: `{file: NAME}`."""
    context: str | None = None
    """A context of the kubeconfig; by default its current one."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.in_cluster == (self.kubeconfig is not None):
            raise ValueError("needs inCluster: true or a kubeconfig, and not both")
        if self.context and self.kubeconfig is None:
            raise ValueError("context is one of a kubeconfig, and there is none")
        return self


class KubernetesSetting(ApiServerSetting):
    """The API server that has the Applications."""

    namespaces: Annotated[tuple[str, ...], Field(min_length=1)] = ("argocd",)
    """Those of the Applications."""
    destinations: tuple[str, ...] = OWN_CLUSTER
    """How Applications name this cluster, by address or by name."""


class ConnectionSetting(Strict):
    """What may be asked for one sender."""

    server: Annotated[str, AfterValidator(_address)] | None = None
    """Address of Argo CD's API."""
    token: Reference | None = None
    """Token of an account there: `{file: NAME}` or `{env: POSTSYNC_SECRET_NAME}`."""
    ca_bundle: Path | None = None
    """Certificates to trust there, instead of the usual ones."""
    kubernetes: KubernetesSetting | None = None
    """The API server that has the Applications."""
    managers: tuple[str, ...] = ()
    """Further names under which this Argo CD manages fields."""
    intake: Literal["both", "notifications", "watch"] = "both"
    """How finished operations come: by notifications, and those that did not arrive from the
    Applications (`both`); by one of the two alone."""
    recover_after: float = Field(default=60, ge=0)
    """An operation of which no notification has come so many seconds after its end was seen is read
    from its Application, if `intake` is `both`."""

    @property
    def ways(self) -> list[Literal["argocd", "kubernetes"]]:
        """Whom it asks: Argo CD's API, an API server, or both."""
        ways: list[Literal["argocd", "kubernetes"]] = []
        if self.server is not None:
            ways.append("argocd")
        if self.kubernetes is not None:
            ways.append("kubernetes")
        return ways

    @model_validator(mode="after")
    def _some_way(self) -> Self:
        if self.server is None and self.kubernetes is None:
            raise ValueError("needs server (with token) or kubernetes")
        if (self.server is None) != (self.token is None):
            given, missing = ("token", "server") if self.server is None else ("server", "token")
            raise ValueError(f"{given} is set without {missing}")
        if self.ca_bundle is not None and self.server is None:
            raise ValueError("caBundle is set without server")
        return self
