"""The HTTP client of one attempt, `receiver.contract.Http`."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from receiver.contract import Answer, Stream, Tls
from receiver.core.errors import AttemptError, PermanentError
from receiver.outbound.address_policy import HostBounds, Policy, origin
from receiver.outbound.destinations import Destinations
from receiver.outbound.error_mapping import to_attempt_error
from receiver.outbound.guard import Guard
from receiver.outbound.observed import Observer
from receiver.outbound.proxies import checked_proxy
from receiver.outbound.secret_masking import Masker
from receiver.outbound.streaming import whole_lines
from receiver.outbound.transport import GuardedAdapter, InvalidHttp, Request

PIECE = 1 << 16
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2: what a method or a header's name is made of."""
VALUE = re.compile(r"(?!\s)[\t\x20-\x7e\x80-\xff]*")
WITHOUT_BODY = frozenset({"GET", "HEAD"})
"""Methods whose requests tell no length where they have no body."""
FRAMING = frozenset({"content-length", "transfer-encoding"})
SPLIT_HINT = (
    "a secret is in it, so it is not shown; a character like / ? # : or @ in a user or a password "
    "must be written as a percent escape"
)
FAILED = 400
"""The first status of a failure."""
NO_URL = (InvalidURL, InvalidSchema, MissingSchema)
AUTHORITY = re.compile(r"[^:/?#]*:/*([^/?#\\]*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Sends the requests of one attempt; every error's message is masked.

    ``headers`` are those of every request, ``bounds`` those of whom the attempt is for;
    ``observer`` is told of each request.
    """

    adapter: GuardedAdapter
    headers: Mapping[str, str]
    policy: Policy
    guard: Guard
    destinations: Destinations
    deadline: float
    masker: Masker
    bounds: HostBounds | None = None
    observer: Observer | None = None

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
        request = self._prepare(method, url, headers, body, proxy)
        if self.observer is None:
            return self._exchange(request, url, max_answer, tls)
        observed = self.observer(request, self.masker.mask, private=self._is_private(url))
        if observed is None:
            return self._exchange(request, url, max_answer, tls)
        try:
            answer = self._exchange(observed.request, url, max_answer, tls)
        except AttemptError as error:
            observed.failed(error)
            raise
        observed.answered(answer.status)
        return answer

    def _exchange(self, request: Request, url: str, max_answer: int, tls: Tls | None) -> Answer:
        with (
            self._errors_told(url, request.destination.place),
            self.guard.until(self.deadline),
            _valid_body(),
            _released(self._open(request, tls)) as response,
        ):
            return self._read(response, max_answer, private=self._is_private(url))

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        longest: int = 8 << 20,
        tls: Tls | None = None,
        proxy: str = "",
    ) -> Iterator[Stream]:
        """Open an answer that goes on until the deadline, and close it after the block.

        ``longest`` is in bytes, of a line; the rest as for `send`.
        """
        plain = {"Accept-Encoding": "identity", **(headers or {})}
        request = self._prepare("GET", url, plain, None, proxy)
        where, private = request.destination.place, self._is_private(url)
        with self._errors_told(url, where), self.guard.until(self.deadline), _valid_body():
            response = self._open(request, tls)
            answer = Answer(response.status, _head(response), b"", False, self.masker.mask, private)
            if failed := response.status >= FAILED:
                with _released(response):
                    answer = self._read(response, longest, private=private)
            release = self.guard.keep_watching()
        try:
            pieces = () if failed else self._pieces(response, url, where)
            with _released(response):
                yield Stream(answer, whole_lines(pieces, longest))
        finally:
            release()

    def _pieces(self, response: BaseHTTPResponse, url: str, where: str) -> Iterator[bytes]:
        """Yield the body as it comes; that the deadline has ended it is no error."""
        try:
            with self._errors_told(url, where), _valid_body():
                yield from response.stream(PIECE, decode_content=True)
        except AttemptError:
            if time.monotonic() < self.deadline:
                raise

    def addresses(self, host: str) -> list[str]:
        """Return every address of a host; see `receiver.contract.Http.addresses`."""
        with self._errors_told("", host):
            if refusal := self.policy.refuse_host(host):
                raise PermanentError(refusal)
            self._require_bounds(host)
            with self.guard.until(self.deadline):
                return self.guard.addresses(host)

    def _is_private(self, url: str) -> bool:
        """Whether a secret is in the address."""
        return self.masker.mask(url) != url

    @contextmanager
    def _errors_told(self, url: str, where: str = "") -> Iterator[None]:
        """Raise the errors of the libraries as an attempt's, with nothing secret in them."""
        began, private = time.monotonic(), self._is_private(url)
        try:
            yield
        except (AttemptError, requests.RequestException, HTTPError, OSError, InvalidHttp) as error:
            if private and isinstance(error, NO_URL):  # it quotes the address, or half of it
                raise PermanentError("the address is no URL", hint=SPLIT_HINT) from None
            late = time.monotonic() >= self.deadline
            seconds = max(self.deadline - began, 0.0) if late else None
            raise to_attempt_error(error, where, seconds, self.masker) from None

    def _prepare(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        proxy: str,
    ) -> Request:
        """Return a request that may be sent."""
        with self._errors_told(url):
            check_method_and_headers(method, headers or {})
            if private := self._is_private(url):
                check_not_split(url)
            destination = self.destinations.of(url, private=private)
            self._require_bounds(destination.place.rpartition(":")[0])
            proxy_url = checked_proxy(proxy, self.policy) if proxy else destination.proxy
            if proxy:
                self._require_bounds(origin(proxy)[1].strip("[]"))
            if "@" in proxy_url:
                self.masker.add_secret(proxy_url)
        method, whole = method.upper(), merged_headers(self.headers, headers or {})
        if body or method not in WITHOUT_BODY:
            whole["Content-Length"] = str(len(body or b""))
        return Request(method, destination, proxy_url, whole, body or None)

    def _require_bounds(self, host: str) -> None:
        if self.bounds is not None:
            self.bounds.require(host)

    def _open(self, request: Request, tls: Tls | None) -> BaseHTTPResponse:
        return self.adapter.open(request, timeout=self.guard.seconds_left(), tls=tls)

    def _read(self, response: BaseHTTPResponse, most: int, *, private: bool) -> Answer:
        """Read the body, decoded, up to ``most`` bytes; a longer one is cut and says so."""
        pieces, size = [], 0
        for piece in response.stream(PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                break
            self.guard.seconds_left()
        else:
            response.release_conn()
        # After the watchdog's shutdown the body seems to have ended: it would count as whole.
        self.guard.seconds_left()
        truncated = size > most
        if truncated:
            pieces[-1] = pieces[-1][: most - size]
        body = b"".join(pieces)
        pieces.clear()  # an answer may have 64 MiB
        if truncated:
            body = self.masker.without_partial_secret(body)
        return Answer(response.status, _head(response), body, truncated, self.masker.mask, private)


def _head(response: BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.itermerged()}


@contextmanager
def _released(response: BaseHTTPResponse) -> Iterator[BaseHTTPResponse]:
    """Give the answer's connection back after the block, closed unless that was done before."""
    try:
        yield response
    finally:
        response.close()
        response.release_conn()


@contextmanager
def _valid_body() -> Iterator[None]:
    """Raise the plain errors of the parsers of heads, chunks and compressed bodies as ours."""
    try:
        yield
    except (requests.RequestException, HTTPError, OSError, AttemptError, InvalidHttp):
        raise
    except (ValueError, HTTPException, zlib.error) as error:
        raise InvalidHttp("its body cannot be read") from error


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


def merged_headers(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Return both; of those whose names differ only in case, the last one."""
    every = (*ours.items(), *theirs.items())
    return dict({name.lower(): (name, value) for name, value in every}.values())


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
                f"header {name} has a line break or another character that no header can carry, "
                "or begins with white space"
            )
