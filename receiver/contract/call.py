"""What a handler is given for one attempt, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from receiver.contract.responses import Answer
from receiver.core.model import Json


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
class Call:
    """One attempt: what the handler is given.

    Attributes:
        run: the run's id.
        idempotency_key: ``RUN.n``, the same over lost and repeated attempts.
        attempt: counts from 1.
        state: what the last `Pending` or `TemporaryError` left, else None.
        timeout: seconds that this attempt may take.
        now: the attempt's time, aware UTC.
        http: sends requests; nothing else may.
        evaluate: evaluates a `Cel` parameter over the given variables.
        say: writes a line on the trail.
        hide: masks a further secret from here on: an access token that the attempt got itself,
            a session's key.
        mask: returns a text with all secrets masked, as `Answer.mask` does: for a state, in which
            a secret would fail the run, and for a text before it is cut.
    """

    run: str
    idempotency_key: str
    attempt: int
    state: Any
    timeout: float
    now: datetime
    http: Http
    evaluate: Callable[[str, Mapping[str, Any]], Any]
    say: Callable[[str], None]
    hide: Callable[[str], None]
    mask: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done; ``output`` (JSON) is what later actions read as ``actions.NAME.output``."""

    output: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """Started, and the other side works on it.

    The run is asked again with ``state`` (JSON) after ``ask_again_in`` seconds, by any
    worker; no thread waits meanwhile. ``why`` is what it waits for, for people, where more is known
    than that it is under way: it is shown with the run, and is in the reason if its deadline
    passes.
    """

    state: Json
    ask_again_in: float
    why: str = ""


Outcome: TypeAlias = Succeeded | Pending
