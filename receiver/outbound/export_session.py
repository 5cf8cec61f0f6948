"""requests' session for a library that sends by itself: what it sends goes our way.

So it is bounded in time, under the address policy and the proxy of the settings, and its errors
are in our words, with nothing secret in them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import requests

from receiver.contract import Answer, Tls
from receiver.core.errors import AttemptError, TemporaryError, UnreadableFile
from receiver.core.user_files import read_text
from receiver.outbound import Outbound
from receiver.outbound.client import FAILED
from receiver.outbound.secret_masking import Masker

REDIRECTED = 300
"""The first status of those that say that what was sent is to go elsewhere."""

LARGEST = 1 << 20
"""Bytes of a file of certificates."""


class ExportSession(requests.Session):
    """Sends requests; ``secrets`` are masked in what is said of them.

    Attributes:
        problem: why the last request failed, "" if it went well.
    """

    def __init__(self, outbound: Outbound, secrets: Iterable[str]) -> None:
        super().__init__()
        self._outbound = outbound
        self._secrets = tuple(secrets)
        self.problem = ""

    def request(  # type: ignore[override]  # the library that is meant gives no other
        self, method: str, url: str, *, headers: dict[str, str], data: bytes, timeout: float,
        **_: Any,
    ) -> requests.Response:  # fmt: skip
        """Send a request.

        Raises:
            ConnectionError: nothing was answered, and it may be tried again.
            RequestException: it cannot be sent.
        """
        masker = Masker(self._secrets)
        http = self._outbound.http(time.monotonic() + timeout, masker)
        try:
            answer = http.send(method, url, headers=headers, body=data, tls=self._tls())
        except UnreadableFile as error:
            self.problem = f"certificate or key {error.message}"
            raise requests.RequestException(self.problem) from None
        except AttemptError as error:
            self.problem = str(error)
            again = isinstance(error, TemporaryError)
            kind = requests.ConnectionError if again else requests.RequestException
            raise kind(self.problem) from None
        if REDIRECTED <= answer.status < FAILED:  # the library takes that for a success
            self.problem = f"it answered {answer.status}, which is not followed"
            raise requests.RequestException(self.problem)
        self.problem = _refused(answer) if answer.status >= FAILED else ""
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.raw = BytesIO(answer.body)
        return response

    def _tls(self) -> Tls | None:
        """Return the certificates that the library was told of, read anew: they may change."""
        certificate, key = self.cert if isinstance(self.cert, tuple) else (self.cert, self.cert)
        if not certificate and not isinstance(self.verify, str):
            return None
        authority = self.verify if isinstance(self.verify, str) else ""
        return Tls(*(_read(file) for file in (authority, certificate, key)))


def _refused(answer: Answer) -> str:
    why = answer.excerpt() if answer.content_type.startswith(("text/", "application/json")) else ""
    return f"it answered {answer.status}" + (f": {why}" if why else "")


def _read(file: str | None) -> str:
    return read_text(Path(file), LARGEST) if file else ""
