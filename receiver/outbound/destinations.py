"""Where requests go: each URL is read, and its host judged, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidURL

from receiver.core.errors import PermanentError
from receiver.outbound.address_policy import PORTS, Policy
from receiver.outbound.proxies import Proxies

KEPT = 1_024
"""URLs that are kept: a run of an action mostly goes where the last one went, and to read a URL
costs a third of a small request."""
LONGEST = 2_000
"""Characters of a URL that is kept."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL as requests sends it, and its parts.

    Attributes:
        url: the whole.
        origin: its scheme, host and port, as they stand in it.
        target: what a request to the host asks for: path and query.
        place: ``host:port``.
        proxy: the proxy on the way, "" for none.
    """

    url: str
    origin: str
    target: str
    place: str
    proxy: str


class Destinations:
    """Reads URLs for all attempts of a process."""

    def __init__(self, policy: Policy, proxies: Proxies) -> None:
        self._policy = policy
        self._proxies = proxies
        self._kept = lru_cache(KEPT)(self._read)

    def of(self, url: str, *, private: bool) -> Destination:
        """Return where a request to this URL goes; one with a secret, or a long one, is not kept.

        Raises:
            PermanentError: its host may not be called, or it is no URL of http or https.
            RequestException: it is no URL.
        """
        return self._read(url) if private or len(url) > LONGEST else self._kept(url)

    def _read(self, url: str) -> Destination:
        """Refuse what is no URL, or whose host may not be called.

        It is judged as it will be connected to, after requests has read it: two readers of
        one URL may disagree about its host.
        """
        request = requests.PreparedRequest()
        request.prepare_url(url, None)
        url = request.url or ""
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme)
        except ValueError as error:
            raise InvalidURL(f"{url!r} is no URL: {error}") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise PermanentError(f"{url!r} is no URL of http or https")
        if "@" in parts.netloc:
            raise PermanentError(
                f"the URL of {parts.hostname} has a user in it",
                hint="send an Authorization header instead",
            )
        if refusal := self._policy.refuse_host(parts.hostname):
            raise PermanentError(refusal)
        proxy = self._proxies.url_for(parts.hostname)
        origin, place = f"{parts.scheme}://{parts.netloc}", f"{parts.hostname}:{port}"
        return Destination(url, origin, request.path_url, place, proxy)
