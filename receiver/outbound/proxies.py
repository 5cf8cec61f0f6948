"""Which hosts are called through the proxy, and which directly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network

from receiver.core.errors import PermanentError
from receiver.outbound.address_policy import (
    Network,
    Policy,
    as_address,
    first_glob,
    first_network,
    origin,
)

ALWAYS_DIRECT: Sequence[Network | str] = (
    # A proxy's own loopback is never what a rule means.
    "localhost",
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
    # Services of the own cluster, which no proxy outside it can look up:
    # https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    "*.svc",
    "*.svc.cluster.local",
)


class Proxies:
    """The operator's proxy, and what is called without it, beside `ALWAYS_DIRECT`.

    Args:
        url: of the proxy; "" for none.
        direct: globs of hosts, one with a leading dot for every host below it; and networks, of
            hosts that are written as addresses. A name is not looked up for them: behind a proxy
            it may have no address here.
    """

    def __init__(self, url: str, direct: Iterable[Network | str]) -> None:
        every = [*ALWAYS_DIRECT, *direct]
        names = [one for one in every if isinstance(one, str)]
        self._url = url
        self._hosts = [f"*{name}" if name.startswith(".") else name for name in names]
        self._networks = [one for one in every if not isinstance(one, str)]

    def url_for(self, host: str) -> str:
        """Return the URL of the proxy that leads to a host, "" if it is called directly."""
        name = host.rstrip(".").lower()
        if first_glob(self._hosts, name):
            return ""
        text = as_address(name)
        if not text:
            return self._url
        address = ip_address(text)
        meant = getattr(address, "ipv4_mapped", None) or address
        return "" if first_network(self._networks, meant) else self._url


def checked_proxy(url: str, policy: Policy) -> str:
    """Return the URL of a proxy after the policy has checked the host that it connects to.

    Raises:
        PermanentError: it is none that we can use, or its host may not be called. The URL is not
            quoted, since a password may stand in it.
    """
    try:
        _, host, _ = origin(url)
    except PermanentError:
        raise PermanentError("the proxy is no URL of http or https") from None
    if refusal := policy.refuse_host(host.strip("[]")):
        raise PermanentError(f"the proxy: {refusal}")
    return url


def own_api_server(environ: Mapping[str, str]) -> list[Network | str]:
    """Return the host of the own cluster's API server, as the kubelet names it to each pod."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    try:
        return [ip_network(host)] if host else []
    except ValueError:
        return [host]
