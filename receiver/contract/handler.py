"""The registration of a handler: its parameters, its function and what rules may expect of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from receiver.contract.call import Call, Outcome
from receiver.contract.tenant import Tenant
from receiver.core.model import Json

Lane: TypeAlias = Callable[[Mapping[str, Json]], str]

WRONG_SHAPE = "wrong_shape"


class Params(BaseModel):
    """What stands under `with`: frozen, camelCase keys, an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


P = TypeVar("P", bound=Params)


def wrong_shape(message: str) -> PydanticCustomError:
    """Make the error of a validator for what is wrong whatever the values are.

    `check` sees no rendered values yet, and passes over what a validator says of them. It
    reports these: two fields that exclude each other, or that one of several is missing.
    """
    return PydanticCustomError(WRONG_SHAPE, "{message}", {"message": message})


def _own_name(_parameters: Mapping[str, Json]) -> str:
    return ""


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


Confine: TypeAlias = Callable[[Mapping[str, Any], Tenant], Iterable[Finding]]


def by_parameters(_parameters: Mapping[str, Any], _tenant: Tenant) -> Iterator[Finding]:
    """Find nothing: a `Handler.confine` of what has all that it uses from its parameters."""
    return iter(())


def needs(*fields: str) -> Confine:
    """Return a `Handler.confine` that wants one of these parameters.

    Without any of them, credentials of Postsync itself would be used.
    """

    def confine(parameters: Mapping[str, Any], _tenant: Tenant) -> Iterator[Finding]:
        if all(parameters.get(field) is None for field in fields):
            which = " or ".join(fields)
            message = f"{which} is missing, and Postsync's own credentials are none of a tenant's"
            yield Finding((), message, f"give {which} from a Secret of the rule's namespace")

    return confine


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
            `target`. What is known only where a rule asks for it (`labels`, `annotations`,
            `fields`, `imageChanged`) is null where this rule does not.
            It is called once, before the parameters are checked and stored; a secret is None.
        permissions: the least that the credential must be allowed to do, for the reference.
        output: what `actions.NAME.output` has, for the reference.
        errors: what the service's own errors mean, for the reference, where its statuses do
            not say it as `raise_for_status` reads them.
        dry_run: asks the service, for `postsync check --cluster`, whether it would take these
            parameters, and changes nothing there. What is known only at run time stands as
            `PLACEHOLDER`, 1, true, or an empty list or mapping. It may raise as `run` does.
        confine: finds what of the parameters a tenant may not have: another namespace than its
            own, or what would use credentials of Postsync itself. It is asked when a rule is
            loaded (what is not known yet is a text like another, and what is found there is
            passed over), when its parameters were rendered, and at each attempt. Without it, no
            tenant can use the handler; `by_parameters` if it uses nothing but its parameters,
            `needs` if that is so where one of some is given. A secret is some text there.
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
    complete: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]] = _as_given
    permissions: str = ""
    output: str = ""
    errors: str = ""
    dry_run: Callable[[P, Call], Sequence[Finding]] | None = None
    confine: Confine | None = None
