"""The only HTTP client: bounded in time and size, under the address policy, secrets masked.

The environment's proxies and certificates are not used; both are settings of ours. There is
one layer of retries, the dispatcher's: nothing here tries twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from receiver.core.errors import PermanentError, SettingsError
from receiver.outbound.address_policy import HostBounds, Network, Policy, origin
from receiver.outbound.client import HttpClient, merged_headers
from receiver.outbound.destinations import Destinations
from receiver.outbound.guard import Guard
from receiver.outbound.observed import Observer
from receiver.outbound.proxies import Proxies, checked_proxy, own_api_server
from receiver.outbound.secret_masking import Masker
from receiver.outbound.transport import GuardedAdapter

__all__ = ["Outbound", "merged_headers", "origin", "own_api_server"]


class Outbound:
    """Shared by all attempts of a process.

    Args:
        allow_hosts: globs of hosts that may be called; empty means any.
        deny_hosts: globs of hosts that may not.
        allow_networks: networks that may be connected to; empty means any.
        deny_networks: networks that may not.
        ca_bundle: certificates to trust instead of the usual ones.
        proxy: URL of an HTTP proxy. The policy then judges the names of the targets and the
            address of the proxy; the targets' addresses are looked up by the proxy alone.
        no_proxy: hosts (globs) and networks that are called without it, beside
            `receiver.outbound.proxies.ALWAYS_DIRECT`.
        pool_size: connections that are kept for each host.

    Raises:
        SettingsError: ``ca_bundle`` does not exist, or ``proxy`` is no URL of http or https.
    """

    def __init__(
        self,
        *,
        allow_hosts: Sequence[str] = (),
        deny_hosts: Sequence[str] = (),
        allow_networks: Sequence[Network] = (),
        deny_networks: Sequence[Network] = (),
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        no_proxy: Sequence[Network | str] = (),
        pool_size: int = 16,
    ) -> None:
        if ca_bundle is not None and not ca_bundle.exists():
            raise SettingsError(f"caBundle {ca_bundle} does not exist")
        self._policy = Policy(allow_hosts, deny_hosts, allow_networks, deny_networks)
        proxies = Proxies(_checked_setting(proxy), no_proxy)
        self._destinations = Destinations(self._policy, proxies)
        self._guard = Guard(self._policy)
        trust = str(ca_bundle) if ca_bundle else True
        self._adapter = GuardedAdapter(self._guard, pool_size, trust)
        self._headers = {
            "User-Agent": _user_agent(),
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
        }

    def http(
        self, deadline: float, masker: Masker, bounds: HostBounds | None = None,
        observer: Observer | None = None,
    ) -> HttpClient:  # fmt: skip
        """Return the HTTP client of one attempt.

        Args:
            deadline: when its time is over, as `time.monotonic` counts.
            masker: has the attempt's secrets; the password in a proxy's address is added to them.
            bounds: the hosts beyond which this attempt calls none.
            observer: is told of each request.
        """
        return HttpClient(
            self._adapter, self._headers, self._policy, self._guard, self._destinations, deadline,
            masker, bounds, observer,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections that are kept, and end the watchdog's thread."""
        self._adapter.close()
        self._guard.close()


def _checked_setting(proxy: str | None) -> str:
    try:
        return checked_proxy(proxy, Policy()) if proxy else ""
    except PermanentError as error:
        raise SettingsError(error.message, hint="as in proxy: http://proxy.example:3128") from None


@cache
def _user_agent() -> str:
    """Look up our version once: that reads the files of a package."""
    return f"postsync/{version('postsync-receiver')}"
