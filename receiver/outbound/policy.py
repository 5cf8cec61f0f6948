"""Which hosts and addresses may be called. A no carries its reason."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ALWAYS_DENIED: Sequence[tuple[Network, str]] = (
    (ip_network("169.254.0.0/16"), "link-local, where clouds serve their metadata"),
    (ip_network("fe80::/10"), "link-local"),
    (ip_network("fd00:ec2::/32"), "a cloud's metadata"),
    (ip_network("fd20:ce::254/128"), "a cloud's metadata"),
    (ip_network("fd00:42::42/128"), "a cloud's metadata"),
    (ip_network("100.100.100.200/32"), "a cloud's metadata"),
    (ip_network("192.0.0.192/32"), "a cloud's metadata"),
    (ip_network("168.63.129.16/32"), "a cloud's platform service"),
    (ip_network("0.0.0.0/8"), "unspecified"),
    (ip_network("::/128"), "unspecified"),
    (ip_network("224.0.0.0/4"), "multicast"),
    (ip_network("ff00::/8"), "multicast"),
    (ip_network("255.255.255.255/32"), "broadcast"),
)
"""AWS, GCP and Azure serve metadata on 169.254.169.254, AWS also on fd00:ec2::254 and its
neighbours, GCP on fd20:ce::254, Scaleway on fd00:42::42, Alibaba on 100.100.100.200,
Oracle on 192.0.0.192; Azure's WireServer is 168.63.129.16. An action has no business there."""

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
        if denied := _first_glob(self.deny_hosts, name):
            return f"host {host} is denied by deny_hosts {denied}"
        if self.allow_hosts and not _first_glob(self.allow_hosts, name):
            return f"host {host} is not in allow_hosts"
        address = _as_address(name)
        refusal = self.refuse_address(address) if address else ""
        return f"host {host} may not be called: {refusal}" if refusal else ""

    def refuse_address(self, text: str) -> str:
        """Return why an address may not be connected to, "" if it may."""
        address = ip_address(text.partition("%")[0])
        for one in (address, *_embedded(address)):
            for network, why in ALWAYS_DENIED:
                if one in network:
                    return f"address {text} is never called ({why})"
            if denied := _first_network(self.deny_networks, one):
                return f"address {text} is denied by deny_networks {denied}"
        meant = getattr(address, "ipv4_mapped", None) or address
        if self.allow_networks and not _first_network(self.allow_networks, meant):
            return f"address {text} is not in allow_networks"
        return ""


def _first_glob(globs: Iterable[str], name: str) -> str:
    return next((glob for glob in globs if fnmatchcase(name, glob.rstrip(".").lower())), "")


def _as_address(host: str) -> str:
    """Return the address that a host's name spells out, "" if it is a name."""
    try:
        if ":" in host:
            return str(ip_address(host.partition("%")[0]))
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return ""


def _first_network(networks: Iterable[Network], address: Address) -> str:
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
