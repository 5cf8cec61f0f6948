"""Settings: POSTSYNC_* variables, over a YAML file whose keys are the same words in camelCase."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from receiver.rules.schema.match import Strict
from receiver.rules.schema.rate import AttemptRate
from receiver.settings.argocd import ConnectionSetting, Sender
from receiver.settings.tenants import TenantsSetting
from receiver.settings.variables import Variables

MIB = 1 << 20

HOST = re.compile(r"[a-z0-9*?_.-]*[a-z*?][a-z0-9*?_.-]*")
"""A name or a glob. What has no letter in it would be an address, and an invalid one."""

Network = IPv4Network | IPv6Network


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("needs a time zone, for example 2026-06-01T00:00:00Z")
    return moment


def _called_directly(entry: object) -> Network | str:
    text = str(entry).strip().lower()
    with suppress(ValueError):
        return ip_network(text)
    if HOST.fullmatch(text):
        return text
    hint = "write a host, a glob as *.corp.example, or a network as 10.0.0.0/8, without a port"
    raise ValueError(f"{entry} is neither a host nor a network: {hint}")


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
Group = Annotated[str, Field(min_length=1, pattern=r"^[^,]*[^,\s][^,]*$")]


PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
OURS = ("healthz", "metrics", "page", "readyz", "v1")
"""What our own paths begin with."""


def _prefix(path: str) -> str:
    if path and not PREFIX.fullmatch(path):
        raise ValueError("write a path such as /postsync, without a slash at its end")
    if (first := path.split("/")[1:2]) and first[0] in OURS:
        raise ValueError(f"/{first[0]} is a path of the server's own; take another, as /postsync")
    return path


class PageLogin(Strict):
    """Who a proxy that has logged people in says they are, for the page."""

    user_header: HeaderName
    """The header with the user's name."""
    groups_header: HeaderName
    """The header with the user's groups, separated by commas."""
    operators: tuple[Group, ...] = ()
    """Groups whose members look and act."""
    viewers: tuple[Group, ...] = ()
    """Groups whose members look."""


class Settings(BaseSettings):
    """Everything that an operator can set. Durations are in seconds, sizes in bytes.

    A variable may have a list as JSON, or plain: ``POSTSYNC_RULES=rules,more/cdn.yaml``.
    """

    model_config = SettingsConfigDict(env_prefix="POSTSYNC_", extra="forbid", frozen=True)

    home: Path = Path(".postsync")
    """Folder of the ledger, the token folders `senders` and `operators`, and `secrets`."""
    database: SecretStr | None = None
    """PostgreSQL database that keeps the ledger, instead of a SQLite file in `home`:
    `postgresql://USER@HOST:5432/DATABASE`. The password may stand in PGPASSWORD or a PGPASSFILE
    instead."""
    rules: list[Path] = [Path("config/rules")]
    """Rule files and folders of rule files."""
    host: str = "127.0.0.1"
    """Address that the server listens on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port that it listens on."""
    tls_certificate: Path | None = None
    """Certificate in PEM, its chain after it, to serve HTTPS with; read again when it changes."""
    tls_key: Path | None = None
    """Its key in PEM, without passphrase."""
    page_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None
    """Address at which people reach this server's page, for links that lead to it from elsewhere:
    `https://postsync.example.com`."""
    url_prefix: Annotated[str, AfterValidator(_prefix)] = ""
    """Path below which an ingress has this server, such as `/postsync`: every link begins with it.
    Requests come with it or without."""
    trusted_proxies: list[Network] = []
    """Networks of proxies whose X-Forwarded-For is believed; empty means none."""
    page_login: PageLogin | None = None
    """Headers by which a proxy of `trustedProxies` says who looks at the page; see docs/page.md."""
    allow_anonymous: bool = False
    """Start without any sender's token and accept every sender."""
    max_body: int = Field(default=8 * MIB, ge=1024)
    """Largest notification accepted."""
    max_resources: int = Field(default=10_000, ge=1)
    """Most resources of a sync that is planned; one that lists more is stored as failed: too
    large."""
    disk_reserve: int = Field(default=64 * MIB, ge=0)
    """Where the disk of a SQLite file has less left, notifications get a 503, so that what was
    accepted can still be worked on."""
    request_timeout: float = Field(default=20, gt=0)
    """Time for a sender to deliver its whole request."""
    gunicorn_config: Path | None = None
    """gunicorn configuration file with the last word."""
    threads: int = Field(default=32, ge=1, le=512)
    """Threads of the intake."""
    max_age: float = Field(default=86400, gt=0)
    """A sync that finished longer ago is stored but not acted upon."""
    keep_for: float = Field(default=30 * 86400, ge=600)
    """A sync that ended longer ago is deleted with all that belongs to it; so are refused
    notifications. Longer than `maxAge`."""
    keep_syncs: int = Field(default=1_000_000, ge=1)
    """Syncs that are kept; of more the oldest are deleted before `keepFor` is over, but not before
    `maxAge`."""
    act_since: Annotated[datetime, AfterValidator(_aware)] | None = None
    """A sync that finished earlier is stored but not acted upon; by default the moment at which the
    ledger was created."""
    attempt_threads: int = Field(default=64, ge=1, le=256)
    """Attempts that run at one time; a quarter of them for one host."""
    rates: dict[str, AttemptRate] = {}
    """How many attempts of a handler begin with one credential, by its name, instead of what its
    service documents: `{cloudflare.purge: {perSecond: 50, burst: 500}}`."""
    argocd: dict[Sender, ConnectionSetting] = {}
    """For each sender, by the name of its token, how to ask its Argo CD what a sync really changed:
    `{argocd: {server: 'https://argocd-server.argocd.svc', token: {file: argocd}}}`; see
    docs/argocd-connection.md."""
    tenants: TenantsSetting | None = None
    """Namespaces that may have rules of their own, and the bounds of these; see
    docs/security.md."""
    verify_for: float = Field(default=120, gt=0)
    """A sync waits no longer for what its live objects tell, and is then planned without."""
    drain: float = Field(default=25, ge=0)
    """Time that attempts under way have to finish after SIGTERM."""
    lease: float = Field(default=30, ge=3)
    """An attempt whose process is silent for so long is lost."""
    allow_hosts: list[str] = []
    """Hosts (globs) that actions may call; empty means any."""
    deny_hosts: list[str] = []
    """Hosts (globs) that they may not call."""
    allow_networks: list[Network] = []
    """Networks that actions may connect to; empty means any."""
    deny_networks: list[Network] = []
    """Networks that they may not connect to. Link-local and metadata addresses are always
    denied."""
    ca_bundle: Path | None = None
    """Certificates to trust in outgoing calls, beside none other."""
    proxy: str | None = None
    """HTTP proxy of outgoing calls; the environment's is not used."""
    no_proxy: list[Annotated[Network | str, PlainValidator(_called_directly)]] = []
    """Hosts (globs; `.corp.example` means all below it) and networks that are called without
    `proxy`, beside loopback, `*.svc`, `*.svc.cluster.local` and the API server of the own cluster
    (KUBERNETES_SERVICE_HOST). A network is for hosts that are written as addresses: names are not
    looked up for it."""
    tracing: bool = False
    """Write OpenTelemetry spans; the OTEL_* variables say where to; see docs/tracing.md."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` is console on a terminal, JSON elsewhere."""

    @model_validator(mode="after")
    def _known_until_too_old(self) -> Self:
        if self.keep_for <= self.max_age:
            raise ValueError(
                f"keepFor ({self.keep_for:g} s) must be longer than maxAge ({self.max_age:g} s): "
                "a sync that is sent again must still be known, or be too old to be acted upon"
            )
        return self

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            if self.tls_key is None:
                raise ValueError("tlsCertificate is set without tlsKey (POSTSYNC_TLS_KEY)")
            raise ValueError("tlsKey is set without tlsCertificate (POSTSYNC_TLS_CERTIFICATE)")
        return self

    @model_validator(mode="after")
    def _page_below_its_prefix(self) -> Self:
        page = (self.page_url or "").rstrip("/")
        if page and not urlsplit(page).path.endswith(self.url_prefix):
            raise ValueError(
                f"pageUrl ({page}) does not end with urlPrefix ({self.url_prefix}), below which "
                f"the page is: {page}{self.url_prefix}"
            )
        return self

    @model_validator(mode="after")
    def _login_by_somebody(self) -> Self:
        if self.page_login is not None and not self.trusted_proxies:
            raise ValueError("pageLogin is set without trustedProxies, whose headers it believes")
        return self

    @property
    def ledger(self) -> Path | str:
        """The SQLite file, or the URL of the database."""
        if self.database is not None:
            return self.database.get_secret_value()
        return self.home / "ledger.db"

    @property
    def secrets(self) -> Path:
        """The folder that ``{file: NAME}`` names files of."""
        return self.home / "secrets"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 ours takes plain lists, too
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 we read no .env file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 nor a secrets folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by priority: a command's options, then the environment."""
        return init_settings, Variables(settings_cls)
