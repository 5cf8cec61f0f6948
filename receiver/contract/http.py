"""How a handler sends HTTP requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from receiver.contract.responses import Answer


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to one server that the usual authorities do not know, or that wants our certificate.

    Attributes:
        authority: the certificates to trust, PEM; "" for the usual ones.
        certificate: ours, PEM; "" for none.
        key: its private key, PEM, not encrypted.
    """

    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


class Http(Protocol):
    """Sends HTTP requests: pooled, bounded by the attempt's time, checked by the address policy."""

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
        """Send one request and read its answer, up to ``max_answer`` bytes.

        ``tls`` is for a server that the usual (or the operator's) authorities do not know.
        ``proxy`` is the URL of an HTTP proxy that leads to it, instead of the operator's; hide
        the password in it by `Call.hide` before.

        Raises:
            TemporaryError: nothing was answered: refused, reset, too slow, name unknown.
            PermanentError: the address is not allowed, or its certificate is not valid.
        """
        ...

    def addresses(self, host: str) -> list[str]:
        """Return every address that a host's name has now, those that may be called.

        Raises:
            TemporaryError: the name is not known, or its server is silent.
            PermanentError: none of its addresses may be called.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer under way.

    Attributes:
        answer: its head; with its body where it is no success, and then there are no lines.
        lines: each when it has come, without its end; it ends with the answer or at the
            deadline, and raises an `AttemptError` where the answer breaks off.
    """

    answer: Answer
    lines: Iterator[bytes]


class StreamHttp(Http, Protocol):
    """Sends requests as `Http` does, and opens answers that go on."""

    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        longest: int = 8 << 20,
        tls: Tls | None = None,
        proxy: str = "",
    ) -> AbstractContextManager[Stream]:
        """Open the answer to a GET; ``longest`` is in bytes, of a line. Raises as `Http.send`."""
        ...
