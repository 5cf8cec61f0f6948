"""What a URL leads to, and which hosts and addresses may be called; a refusal has its reason."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from receiver.core.errors import PermanentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = {"http": 80, "https": 443}

ALWAYS_DENIED: Sequence[tuple[Network, str]] = (
    # Metadata of AWS, GCP, Azure, Oracle, IBM, DigitalOcean, Hetzner, OpenStack (169.254.169.254),
    # and of Scaleway (169.254.42.42); credentials of pods on EKS (169.254.170.23).
    (ip_network("169.254.0.0/16"), "link-local, where clouds serve their metadata"),
    # OpenStack's metadata are on fe80::a9fe:a9fe:
    # https://specs.openstack.org/openstack/neutron-specs/specs/ussuri/metadata-add-ipv6-support.html
    (ip_network("fe80::/10"), "link-local"),
    # fd00:ec2::254 metadata, ::253 name server, ::123 time; ::23 credentials of pods on EKS:
    # https://docs.aws.amazon.com/whitepapers/latest/ipv6-on-aws/supporting-amazon-vpc-services.html
    # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
    (ip_network("fd00:ec2::/32"), "metadata and other services of AWS"),
    # https://github.com/GoogleCloudPlatform/k8s-config-connector/issues/5741
    (ip_network("fd20:ce::254/128"), "metadata of Google Cloud"),
    # https://www.scaleway.com/en/developers/api/instance/user-data
    (ip_network("fd00:42::42/128"), "metadata of Scaleway"),
    # https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
    (ip_network("100.100.100.200/32"), "metadata of Alibaba Cloud"),
    # Oracle's older cloud, Compute Classic, by the texts of its Terraform provider `opc`
    # (opc_compute_machine_image, `attributes`); the newer one has 169.254.169.254.
    (ip_network("192.0.0.192/32"), "metadata of Oracle Compute Classic"),
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    (ip_network("168.63.129.16/32"), "a platform service of Azure"),
    # RFC 6890: they name no single host that could be meant.
    (ip_network("0.0.0.0/8"), "unspecified"),
    (ip_network("::/128"), "unspecified"),
    (ip_network("224.0.0.0/4"), "multicast"),
    (ip_network("ff00::/8"), "multicast"),
    (ip_network("255.255.255.255/32"), "broadcast"),
)
"""An action has no business there: who can name such an address in a rule or an answer would
get at the credentials of the machine that we run on."""

NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""RFC 6052 and 8215: the IPv4 address stands in the last 32 bits (of a prefix of 96)."""
IPV4_COMPATIBLE = ip_network("::/96")
"""RFC 4291, 2.5.5.1, deprecated; `::` and `::1` are in it and mean something else."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Allow and deny lists; a deny wins, and an empty allow list allows any.

    Hosts are compared as they are sent: in lower case, other scripts as ``xn--``.
    """

    allow_hosts: Sequence[str] = ()
    deny_hosts: Sequence[str] = ()
    allow_networks: Sequence[Network] = ()
    deny_networks: Sequence[Network] = ()

    def refuse_host(self, host: str) -> str:
        """Return why a host may not be called, "" if it may.

        A host that is an address is judged as one too, in any spelling that connects
        (``127.1``, ``0x7f000001``), since behind a proxy nobody else would.
        """
        name = host.rstrip(".").lower()
        if denied := first_glob(self.deny_hosts, name):
            return f"host {host} is denied by denyHosts {denied}"
        if self.allow_hosts and not first_glob(self.allow_hosts, name):
            return f"host {host} is not in allowHosts"
        address = as_address(name)
        refusal = self.refuse_address(address) if address else ""
        return f"host {host} may not be called: {refusal}" if refusal else ""

    def refuse_address(self, text: str) -> str:
        """Return why an address may not be connected to, "" if it may."""
        address = ip_address(text.partition("%")[0])
        for one in (address, *_embedded(address)):
            for network, why in ALWAYS_DENIED:
                if one in network:
                    return f"address {text} is never called ({why})"
            if denied := first_network(self.deny_networks, one):
                return f"address {text} is denied by denyNetworks {denied}"
        meant = getattr(address, "ipv4_mapped", None) or address
        if self.allow_networks and not first_network(self.allow_networks, meant):
            return f"address {text} is not in allowNetworks"
        return ""


@dataclass(frozen=True, slots=True)
class HostBounds:
    """Hosts (globs) beyond which an attempt calls none, whatever the policy allows beside them.

    ``place`` is where in the settings they stand.
    """

    hosts: Sequence[str]
    place: str

    def require(self, host: str) -> None:
        """Refuse a host that is not among them.

        Raises:
            PermanentError: it is not.
        """
        if not first_glob(self.hosts, host.rstrip(".").lower()):
            raise PermanentError(
                f"host {host} is not among those that this rule may call ({self.place})",
                hint="ask who runs Postsync to add it",
            )


def origin(text: str) -> tuple[str, str, int]:
    r"""Return scheme, host and port of a URL, read by the parser that makes the connection.

    Parsers disagree: to `urlsplit` the host of ``https://evil.example\@api.example/`` is
    ``api.example``, and the request would go to ``evil.example``.

    Raises:
        PermanentError: it is no URL of http or https.
    """
    try:
        url = parse_url(text)
    except LocationParseError:
        raise PermanentError(f"{text!r} is no URL") from None
    if url.scheme not in PORTS or not url.host:
        raise PermanentError(f"{text!r} is no URL of http or https")
    return url.scheme or "", url.host, url.port or PORTS[url.scheme or ""]


def first_glob(globs: Iterable[str], name: str) -> str:
    """Return the first glob that a host's name (lower case, no dot at its end) fits, else ""."""
    return next((glob for glob in globs if fnmatchcase(name, glob.rstrip(".").lower())), "")


def as_address(host: str) -> str:
    """Return the address that a host's name spells out, "" if it is a name."""
    try:
        if ":" in host:
            return str(ip_address(host.partition("%")[0]))
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return ""


def first_network(networks: Iterable[Network], address: Address) -> str:
    """Return the first network that an address is in, else ""."""
    return next((str(network) for network in networks if address in network), "")


def _embedded(address: Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    last = int(address) & 0xFFFFFFFF
    if any(address in prefix for prefix in NAT64) or (address in IPV4_COMPATIBLE and last > 1):
        found.append(IPv4Address(last))
    return [one for one in found if one is not None]
