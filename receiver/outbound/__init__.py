"""The one door out: pooled, bounded in time and size, checked by the address policy.

The environment's proxies and certificates are not used; both are settings of ours. There is
one layer of retries, the dispatcher's: nothing here tries twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import requests
from requests.cookies import RequestsCookieJar

from receiver.contract import Answer
from receiver.errors import PermanentError, TemporaryError
from receiver.masking import Masker
from receiver.outbound.failures import as_attempt_error
from receiver.outbound.policy import Network, Policy
from receiver.outbound.transport import Guard, GuardedAdapter, Late

PIECE = 1 << 16
UNSAFE = re.compile(r"[\r\n\0]")


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
        pool_size: connections that are kept for each host.
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
        pool_size: int = 16,
    ) -> None:
        self.policy = Policy(allow_hosts, deny_hosts, allow_networks, deny_networks)
        self.guard = Guard(self.policy)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.clear()
        self.session.verify = str(ca_bundle) if ca_bundle else True
        if proxy:
            self.session.proxies = {"http": proxy, "https": proxy}
        no_cookies = DefaultCookiePolicy(allowed_domains=[])
        self.session.cookies = RequestsCookieJar(policy=no_cookies)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, GuardedAdapter(self.guard, pool_size))

    def http(self, deadline: float, masker: Masker) -> Door:
        """Return the way out of one attempt.

        Args:
            deadline: when its time is over, as `time.monotonic` counts.
            masker: knows the attempt's secrets.
        """
        return Door(self, deadline, masker)


@dataclass(frozen=True, slots=True)
class Door:
    """`receiver.contract.Http` for one attempt."""

    outbound: Outbound
    deadline: float
    masker: Masker

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_answer: int = 1 << 20,
    ) -> Answer:
        """Send one request; see `receiver.contract.Http.send`."""
        began = time.monotonic()
        parts = self._judge(url)
        _check_headers(method, headers or {})
        given = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", **(headers or {})}
        guard = self.outbound.guard
        try:
            with guard.until(self.deadline):
                response = self.outbound.session.request(
                    method, url, headers=given, data=body, stream=True, allow_redirects=False,
                    timeout=guard.left(),
                )  # fmt: skip
                with response:
                    return self._read(response, max_answer)
        except (PermanentError, TemporaryError) as error:
            raise type(error)(self.masker.mask(error.message)) from None
        except (requests.RequestException, Late, OSError) as error:
            late = time.monotonic() >= self.deadline
            where = f"{parts.hostname}:{parts.port or ('443' if parts.scheme == 'https' else 80)}"
            seconds = max(self.deadline - began, 0.0)
            raise as_attempt_error(error, where, seconds if late else None, self.masker) from None

    def _judge(self, url: str) -> SplitResult:
        """Refuse an address that is none, or whose host may not be called."""
        shown = self.masker.mask(url)
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise PermanentError(f"{shown!r} is no URL: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise PermanentError(f"{shown!r} is no URL of http or https")
        if "@" in parts.netloc:
            raise PermanentError(
                f"the URL of {parts.hostname} has a user in it",
                hint="send an Authorization header instead",
            )
        refusal = self.outbound.policy.refuse_host(parts.hostname)
        if refusal:
            raise PermanentError(self.masker.mask(refusal))
        return parts

    def _read(self, response: requests.Response, most: int) -> Answer:
        """Read the body, decoded, up to ``most`` bytes; a longer one is cut and says so."""
        pieces, size = [], 0
        for piece in response.iter_content(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                break
            self.outbound.guard.left()
        # A socket that was shut down looks like an answer's end: what came is not the whole.
        self.outbound.guard.left()
        body = b"".join(pieces)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, body[:most], truncated=size > most)


def _check_headers(method: str, headers: Mapping[str, str]) -> None:
    if not re.fullmatch(r"[A-Za-z-]{1,32}", method):
        raise PermanentError("the method is no word")
    for name, value in headers.items():
        if UNSAFE.search(name) or UNSAFE.search(value):
            raise PermanentError(f"header {UNSAFE.sub('?', name)} has a line break in it")
