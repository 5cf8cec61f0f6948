"""The HTTP client of one attempt, `receiver.contract.Http`."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import HTTPError

from receiver.contract import Answer, Tls
from receiver.core.errors import AttemptError, PermanentError
from receiver.outbound.address_policy import Policy
from receiver.outbound.error_mapping import to_attempt_error
from receiver.outbound.guard import Guard
from receiver.outbound.proxies import Proxies, checked_proxy
from receiver.outbound.response import InvalidHttp
from receiver.outbound.secret_masking import Masker

PIECE = 1 << 16
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2: what a method or a header's name is made of."""
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
FRAMING = frozenset({"content-length", "transfer-encoding"})
PORTS = {"http": 80, "https": 443}
SPLIT_HINT = (
    "a secret is in it, so it is not shown; a character like / ? # : or @ in a user or a password "
    "must be written as a percent escape"
)
NO_URL = (InvalidURL, InvalidSchema, MissingSchema)
AUTHORITY = re.compile(r"[^:/?#]*:/*([^/?#\\]*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Sends the requests of one attempt; every error's message is masked."""

    session: requests.Session
    policy: Policy
    guard: Guard
    proxies: Proxies
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
        tls: Tls | None = None,
        proxy: str = "",
    ) -> Answer:
        """Send one request; see `receiver.contract.Http.send`."""
        began, where = time.monotonic(), ""
        private = self.masker.mask(url) != url
        try:
            check_method_and_headers(method, headers or {})
            if private:
                check_not_split(url)
            request = self.session.prepare_request(
                requests.Request(method, url, headers=dict(headers or {}), data=body)
            )
            host, where = self._check_url(request.url or "")
            proxy_url = checked_proxy(proxy, self.policy) if proxy else self.proxies.url_for(host)
            if "@" in proxy_url:
                self.masker.add_secret(proxy_url)
            with self.guard.until(self.deadline):
                answer = self._exchange(request, max_answer, tls, proxy_url)
        except (AttemptError, requests.RequestException, HTTPError, OSError, InvalidHttp) as error:
            if private and isinstance(
                error, NO_URL
            ):  # its message quotes the address, or half of it
                raise PermanentError("the address is no URL", hint=SPLIT_HINT) from None
            late = time.monotonic() >= self.deadline
            seconds = max(self.deadline - began, 0.0) if late else None
            raise to_attempt_error(error, where, seconds, self.masker) from None
        return replace(answer, private=private)

    def addresses(self, host: str) -> list[str]:
        """Return every address of a host; see `receiver.contract.Http.addresses`."""
        began = time.monotonic()
        try:
            if refusal := self.policy.refuse_host(host):
                raise PermanentError(refusal)
            with self.guard.until(self.deadline):
                return self.guard.addresses(host)
        except (AttemptError, OSError) as error:
            late = time.monotonic() >= self.deadline
            seconds = max(self.deadline - began, 0.0) if late else None
            raise to_attempt_error(error, host, seconds, self.masker) from None

    def _check_url(self, url: str) -> tuple[str, str]:
        """Refuse what is no URL, or whose host may not be called; return host and ``host:port``.

        It is judged as it will be connected to, after requests has read it: two readers of
        one URL may disagree about its host.
        """
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
        if refusal := self.policy.refuse_host(parts.hostname):
            raise PermanentError(refusal)
        return parts.hostname, f"{parts.hostname}:{port}"

    def _exchange(
        self, request: requests.PreparedRequest, most: int, tls: Tls | None, proxy: str
    ) -> Answer:
        timeout = self.guard.seconds_left()
        trust: Any = self.session.verify if tls is None else tls
        try:
            with self.session.send(
                request,
                stream=True,
                allow_redirects=False,
                timeout=timeout,
                verify=trust,
                proxies={"http": proxy, "https": proxy} if proxy else {},
            ) as response:
                return self._read(response, most)
        except (requests.RequestException, HTTPError, OSError, AttemptError, InvalidHttp):
            raise
        except (ValueError, HTTPException, zlib.error) as error:
            # Plain errors of the parsers of heads, chunks and compressed bodies.
            raise InvalidHttp("its body cannot be read") from error

    def _read(self, response: requests.Response, most: int) -> Answer:
        """Read the body, decoded, up to ``most`` bytes; a longer one is cut and says so."""
        pieces, size = [], 0
        for piece in response.iter_content(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                break
            self.guard.seconds_left()
        # After the watchdog's shutdown the body seems to have ended: it would count as whole.
        self.guard.seconds_left()
        body, truncated = b"".join(pieces), size > most
        if truncated:
            body = self.masker.without_partial_secret(body[:most])
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, body, truncated, self.masker.mask)


def check_not_split(url: str) -> None:
    """Refuse an address whose user or password a / ? or # has cut in two.

    Half of it would count as the host, be looked up, and be named as what did not answer.

    Raises:
        PermanentError: it shows nothing of the address.
    """
    found = AUTHORITY.match(url)
    host, rest = found.groups() if found else ("", "")
    if "@" in rest and "@" not in host and (":" in host or "." not in host):
        raise PermanentError("the address is no URL", hint=SPLIT_HINT)


def check_method_and_headers(method: str, headers: Mapping[str, str]) -> None:
    """Refuse a method or header that would break out of its line, or change the framing.

    Raises:
        PermanentError: names the header, never its value.
    """
    if not TOKEN.fullmatch(method):
        raise PermanentError("the method is no word")
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise PermanentError(f"{name!r} is no header's name")
        if name.lower() in FRAMING:
            raise PermanentError(f"header {name} follows from the body and cannot be set")
        if not VALUE.fullmatch(value):
            raise PermanentError(
                f"header {name} has a line break or another character that no header can carry"
            )
