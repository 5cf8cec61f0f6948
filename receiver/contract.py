"""All that the author of a handler needs.

A handler is one file: a parameter model, one function, and its registration::

    class Params(contract.Params):
        url: str = Field(description="Where to send.")

    def run(params: Params, call: Call) -> Outcome:
        answer = call.http.send("POST", params.url)
        contract.raise_for_status(answer)
        return Succeeded({"status": answer.status})

    handler = Handler(name="example.post", summary="...", params=Params, run=run, example="...")

An attempt ends in one of four ways. It returns `Succeeded`, or `Pending` when the other
side goes on working; it raises `TemporaryError` to be tried again by the retry policy, or
`PermanentError`. Whatever else it raises counts as a bug of the handler: permanent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from receiver.errors import PermanentError, TemporaryError
from receiver.model import Json

__all__ = [
    "Answer",
    "Call",
    "Cel",
    "Duration",
    "Handler",
    "Http",
    "Json",
    "Outcome",
    "Params",
    "Pending",
    "PermanentError",
    "Succeeded",
    "TemporaryError",
    "is_temporary",
    "raise_for_status",
    "retry_after",
]


class Params(BaseModel):
    """What stands under `with`: frozen, camelCase keys, an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


@dataclass(frozen=True, slots=True)
class Cel:
    """Marks a parameter as a CEL expression that the handler evaluates during the run.

    Write ``until: Annotated[str, Cel("answer")]``: `check` then compiles what the user
    wrote with these variables declared, and `Call.evaluate` evaluates it.
    """

    variables: tuple[str, ...]

    def __init__(self, *variables: str) -> None:
        object.__setattr__(self, "variables", variables)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. Header names are in lower case.

    ``mask`` takes the attempt's secrets out of a text: use it before you cut one, since half
    a secret cannot be found any more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    mask: Callable[[str], str] = field(default=str, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The body as UTF-8, with what is not replaced."""
        return self.body.decode("utf-8", "replace")

    def excerpt(self, length: int = 200) -> str:
        """The body's first characters on one line, masked before they are cut, for messages."""
        return " ".join(self.mask(self.text).split())[:length]

    def json(self) -> Any:
        """The body as JSON; ValueError if it is none, or nested deeper than any service does."""
        try:
            return json.loads(self.body, parse_constant=_no_number)
        except RecursionError:
            raise ValueError("is nested too deeply") from None


class Http(Protocol):
    """The door out: pooled, bounded by the attempt's time, checked by the address policy."""

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_answer: int = 1 << 20,
    ) -> Answer:
        """Send one request and read its answer, up to ``max_answer`` bytes.

        Raises:
            TemporaryError: nothing was answered: refused, reset, too slow, name unknown.
            PermanentError: the address is not allowed, or its certificate is not valid.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt, as the handler sees it.

    Attributes:
        run: the run's id.
        idempotency_key: ``RUN.n``, the same over lost and repeated attempts.
        attempt: counts from 1.
        state: what the last `Pending` or `TemporaryError` left, else None.
        timeout: seconds that this attempt may take.
        now: the attempt's time, aware UTC.
        http: the only way out.
        evaluate: evaluates a `Cel` parameter over the given variables.
        say: writes a line on the trail.
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


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done; ``output`` (JSON) is what later actions read as ``actions.NAME.output``."""

    output: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """Started, and the other side works on it.

    The run is asked again with ``state`` (JSON) after ``ask_again_in`` seconds, by any
    worker; no thread waits meanwhile.
    """

    state: Json
    ask_again_in: float


Outcome: TypeAlias = Succeeded | Pending

P = TypeVar("P", bound=Params)


def _own_name(_parameters: Mapping[str, Json]) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """The registration of one kind of action.

    Attributes:
        name: what rules write after `uses`: ``service.verb``.
        summary: one line for `postsync handlers`.
        params: the model of `with`.
        run: one attempt.
        example: the YAML of a complete `with`; a test validates it.
        lane: the host that a run keeps busy, from its rendered parameters (a value that is
            a secret is None there), so that one slow host cannot take all attempts; "" means
            the handler itself.
        extra: the extra of the distribution that has the handler's library, if any.
    """

    name: str
    summary: str
    params: type[P]
    run: Callable[[P, Call], Outcome]
    example: str
    lane: Callable[[Mapping[str, Json]], str] = _own_name
    extra: str = ""


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(?:\d+(?:ms|s|m|h|d))+")
LONGEST = 365 * 86400.0


def seconds(value: Any) -> Any:
    """Read a duration like ``30s``, ``1h30m`` or ``500ms`` as seconds, a year at most.

    A bare number is refused, since its unit would be a guess; 0 needs none.
    """
    if isinstance(value, str) and DURATION.fullmatch(value):
        parts = re.findall(r"(\d+)(ms|s|m|h|d)", value)
        total = sum(int(number) * UNITS[unit] for number, unit in parts)
        if total > LONGEST:
            raise ValueError("is longer than a year")
        return total
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("is no duration; write a number with a unit, as in 30s, 5m, 1h30m or 500ms")


def duration_text(value: float) -> str:
    """Write seconds as the shortest duration: 5400 as ``1h30m``."""
    rest, text = round(value * 1000), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["30s"]}),
]


LASTING = frozenset({501, 505})
"""RFC 9110, 15.6: not implemented, and the version of HTTP; no later try changes that."""


def is_temporary(status: int) -> bool:
    """Whether a status means that the same call may succeed later.

    408 and 5xx (RFC 9110; CDNs add some of their own), 425 (RFC 8470), 429 (RFC 6585).
    """
    return status in {408, 425, 429} or (500 <= status < 600 and status not in LASTING)  # noqa: PLR2004 the range of 5xx


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
        raise TemporaryError(message, delay=retry_after(answer, now))
    location = answer.mask(answer.headers.get("location", ""))[:500]
    hint = f"redirects are not followed; this one leads to {location}" if location else ""
    raise PermanentError(message, hint=hint if 300 <= answer.status < 400 else "")  # noqa: PLR2004 the range of redirects
