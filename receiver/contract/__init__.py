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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from receiver.contract.annotations import Cel, Filled, Headers, Secret, Sent
from receiver.contract.batching import ask_each, in_batches, send_each, start_each
from receiver.contract.durations import Duration
from receiver.contract.lengths import cut, cut_bytes
from receiver.contract.responses import (
    Answer,
    is_temporary,
    object_of,
    raise_for_status,
    retry_after,
)
from receiver.core.errors import AttemptError, PermanentError, TemporaryError
from receiver.core.model import Json

__all__ = [
    "PLACEHOLDER",
    "Answer",
    "AttemptError",
    "Call",
    "Cel",
    "Duration",
    "Filled",
    "Finding",
    "Handler",
    "Headers",
    "Http",
    "Json",
    "Outcome",
    "Params",
    "Pending",
    "PermanentError",
    "Rate",
    "Secret",
    "Sent",
    "Succeeded",
    "TemporaryError",
    "Tls",
    "ask_each",
    "cut",
    "cut_bytes",
    "host_of",
    "in_batches",
    "is_temporary",
    "object_of",
    "raise_for_status",
    "retry_after",
    "send_each",
    "start_each",
    "wrong_shape",
]


class Params(BaseModel):
    """What stands under `with`: frozen, camelCase keys, an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


def wrong_shape(message: str) -> PydanticCustomError:
    """Make the error of a validator for what is wrong whatever the values are.

    `check` sees no rendered values yet, and passes over what a validator says of them. It
    reports these: two fields that exclude each other, or that one of several is missing.
    """
    return PydanticCustomError(WRONG_SHAPE, "{message}", {"message": message})


WRONG_SHAPE = "wrong_shape"


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
    """The door out: pooled, bounded by the attempt's time, checked by the address policy."""

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
        hide: masks a further secret from here on, wherever it shows up: an access token that
            the attempt got itself, a session's key.
        mask: takes all of these out of a text, as `Answer.mask` does: for a state, in which a
            secret would fail the run, and for a text before it is cut.
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
    worker; no thread waits meanwhile. ``why`` says for people what it waits for, where there is
    more to say than that it is under way: it is shown with the run, and if its deadline passes,
    it is in the reason.
    """

    state: Json
    ask_again_in: float
    why: str = ""


Outcome: TypeAlias = Succeeded | Pending

P = TypeVar("P", bound=Params)


Lane: TypeAlias = Callable[[Mapping[str, Json]], str]


def _own_name(_parameters: Mapping[str, Json]) -> str:
    return ""


Complete: TypeAlias = Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]


def _as_given(parameters: dict[str, Any], _facts: Mapping[str, Any]) -> dict[str, Any]:
    return parameters


def host_of(field: str) -> Lane:
    """Return a `Handler.lane` that takes the host of the address in this parameter.

    Where it is not given, that of its default must be meant: the handler's own name does as
    well, for all its runs share it. "" while the address is a secret or no address.
    """

    def lane(parameters: Mapping[str, Json]) -> str:
        address = parameters.get(field)
        try:
            return (urlsplit(address).hostname or "") if isinstance(address, str) else ""
        except ValueError:
            return ""

    return lane


PLACEHOLDER = "placeholder"
"""Stands in a `Handler.dry_run` for a text that is known only at run time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a dry run has found.

    Attributes:
        path: where, below `with`: ``("manifest", "spec", "containers", 0)``; () for no place.
        message: what is wrong there.
        hint: the way out, if one is known.
        certain: False where it may be right at run time, or was not tried: a note, no mistake.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """How many attempts a service takes of one credential: so many a second, ``burst`` at once."""

    per_second: float
    burst: int


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
        extra: the extra of the distribution that brings the handler's library, if any.
        library: the module of that library; without it, no rule can use the handler.
        rate: what the service documents as its limit, if it does: attempts of one lane and
            credential wait for it, and a 429 stops all of them for the time that it asks for.
        quote: makes a string harmless in the service's markup; it is applied to what
            expressions put into the parameters, never to what the rule itself says.
        complete: given the rendered parameters and what the run is about, returns the
            parameters with what follows from it, for example a default that names the
            resource. The facts are those that expressions see (`application`, `sync`, `syncs`,
            `actions`, and `resource` or `resources`), with the names of `rule`, `action` and
            `target`.
            It is called once, before the parameters are checked and stored; a secret is None.
        permissions: the least that the credential must be allowed to do, for the reference.
        output: what `actions.NAME.output` has, for the reference.
        errors: what the service's own errors mean, for the reference, where its statuses do
            not say it as `raise_for_status` reads them.
        dry_run: asks the service, for `postsync check --cluster`, whether it would take these
            parameters, and changes nothing there. What is known only at run time stands as
            `PLACEHOLDER`, 1, true, or an empty list or mapping. It may raise as `run` does.
    """

    name: str
    summary: str
    params: type[P]
    run: Callable[[P, Call], Outcome]
    example: str
    lane: Lane = _own_name
    extra: str = ""
    library: str = ""
    rate: Rate | None = None
    quote: Callable[[str], str] | None = None
    complete: Complete = _as_given
    permissions: str = ""
    output: str = ""
    errors: str = ""
    dry_run: Callable[[P, Call], Sequence[Finding]] | None = None
