"""A server's answer, and what its status means for an attempt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from receiver.contract.durations import LONGEST
from receiver.core.errors import PermanentError, TemporaryError

TOO_MANY = 429
"""RFC 6585, 4."""
LASTING = frozenset({501, 505})
"""RFC 9110, 15.6: not implemented, and the version of HTTP; no later try changes that."""

MARGIN = 16_384
"""Characters that are masked for an excerpt beside its own: an answer may have megabytes."""
CODE = re.compile(
    r"[a-z]{2,20}(?:[_.-][a-z]{2,20}){0,5}"
    r"|[A-Z]{2,20}(?:_[A-Z]{2,20}){0,5}|(?:[A-Z][a-z]{1,19}){1,6}"
)
"""What services name their errors: `invalid_payload`, `NOT_FOUND`, `InvalidToken`; letters only."""
CODE_KEYS = ("error", "code", "error_code", "errorCode", "reason", "status")
LARGEST_CODE = 999_999
MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}")


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. Header names are in lower case.

    ``mask`` takes the attempt's secrets out of a text: use it before you cut one, since half
    a secret cannot be found any more. ``private`` says that a secret made the address: a message
    then shows nothing that the server could have made of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    mask: Callable[[str], str] = field(default=str, repr=False, compare=False)
    private: bool = False

    @property
    def text(self) -> str:
        """The body as UTF-8, with what is not replaced."""
        return self.body.decode("utf-8", "replace")

    def excerpt(self, length: int = 200) -> str:
        """The body's first characters on one line, masked before they are cut, for messages.

        Of a ``private`` answer an error code and the content type alone.
        """
        if self.private:
            return self._harmless()
        line = " ".join(self.text.split())
        return self.mask(line[: length + MARGIN])[:length]

    def json(self) -> Any:
        """The body as JSON; ValueError if it is none, or nested deeper than any service does."""
        try:
            return json.loads(self.body, parse_constant=_no_number)
        except RecursionError:
            raise ValueError("is nested too deeply") from None

    @property
    def content_type(self) -> str:
        """The media type, without parameters; "" for none, or for what is none."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind if MEDIA_TYPE.fullmatch(kind) and self.mask(kind) == kind else ""

    def _harmless(self) -> str:
        if not self.body:
            return ""
        code, kind = self._code(), self.content_type
        if code:
            return f"{code} ({kind})" if kind else code
        return f"{kind or 'a body'}, not shown since a secret is in the address"

    def _code(self) -> str:
        """Return the error code that a JSON object names, or that the body is; "" for none."""
        try:
            data = self.json()
        except ValueError:
            data = self.text.strip()
        inner = data.get("error") if isinstance(data, dict) else None
        trees = [tree for tree in (data, inner) if isinstance(tree, dict)]
        words = [tree.get(key) for tree in trees for key in CODE_KEYS] if trees else [data]
        return next((str(word) for word in words if self._is_code(word)), "")

    def _is_code(self, word: object) -> bool:
        if isinstance(word, int) and not isinstance(word, bool):
            return 0 < word <= LARGEST_CODE and self.mask(str(word)) == str(word)
        return isinstance(word, str) and bool(CODE.fullmatch(word)) and self.mask(word) == word


def is_temporary(status: int) -> bool:
    """Whether a status means that the same call may succeed later.

    408 and 5xx (RFC 9110; CDNs add some of their own), 425 (RFC 8470), 429 (RFC 6585).
    """
    return status in {408, 425, TOO_MANY} or (500 <= status < 600 and status not in LASTING)  # noqa: PLR2004 the range of 5xx


def retry_after(answer: Answer, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (number or date), else None.

    At most a year: what a peer asks for must stay a time that a calendar can hold.
    """
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser's words for no date
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    left = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, left), LONGEST)


def raise_for_status(
    answer: Answer, *, expect: frozenset[int] = frozenset(), now: datetime | None = None
) -> None:
    """Raise for an answer that is no success; ``expect`` empty means any 2xx.

    ``now`` is the attempt's time, from which a Retry-After as a date counts.

    Raises:
        TemporaryError: where `is_temporary` says so, with the asked delay.
        PermanentError: for any other.
    """
    if answer.status in expect or (not expect and 200 <= answer.status < 300):  # noqa: PLR2004 the range of success
        return
    excerpt = answer.excerpt()
    message = f"answered {answer.status}" + (f": {excerpt}" if excerpt else "")
    if is_temporary(answer.status):
        delay = retry_after(answer, now)
        raise TemporaryError(message, delay=delay, limited=answer.status == TOO_MANY)
    location = _location(answer)
    hint = f"redirects are not followed; this one leads to {location}" if location else ""
    raise PermanentError(message, hint=hint if 300 <= answer.status < 400 else "")  # noqa: PLR2004 the range of redirects


def _location(answer: Answer) -> str:
    """Return where a redirect leads; of a private answer the host alone."""
    location = answer.headers.get("location", "")
    if answer.private:
        try:
            location = urlsplit(location).hostname or ""
        except ValueError:
            return ""
    return answer.mask(location)[:500]


def object_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that an answer is.

    Raises:
        TemporaryError: it is none. Such an answer is not the service's own, but that of
            something on the way to it.
    """
    try:
        data = answer.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise TemporaryError(f"answered {answer.status} without a JSON object: {answer.excerpt()}")
    return data
