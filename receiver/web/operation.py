"""An operation of the API: its route, its view, and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, get_type_hints

from flask import Blueprint, g, request
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from receiver.app.composition import Intake
from receiver.ledger.operations.common import Act
from receiver.web.auth import authenticate
from receiver.web.query_params import NoQuery, read_query
from receiver.web.request_bodies import Why, read_act

READ_ERRORS = (400, 401, 403, 503)
ACT_ERRORS = (400, 401, 403, 404, 408, 409, 413, 415, 503)
SEND_ERRORS = (400, 401, 403, 404, 408, 413, 415, 503)

V = TypeVar("V", bound=Callable[..., Any])


class Who(StrEnum):
    """Whose token is needed."""

    NOBODY = "no token"
    SENDER = "a sender's token"
    MESSENGER = "a messenger's or an operator's token"
    EXTENSION = "an extension's token, and the headers of Argo CD's proxy"
    VIEWER = "a viewer's or an operator's token"
    OPERATOR = "an operator's token"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        answers: the type of the JSON by status, None for text.
        body: a model, or the media type of what is no JSON object of ours.
        errors: statuses that are answered with a problem.
        example: of a body.
        bound: whether it is also for a token that is bound to namespaces.
    """

    method: str
    path: str
    name: str
    summary: str
    who: Who
    answers: Mapping[int, Any]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | str | None = None
    errors: tuple[int, ...] = ()
    example: Any = None
    bound: bool = False

    @property
    def tag(self) -> str:
        """The part of the API that it belongs to."""
        return self.path.split("/")[2] if self.path.startswith("/v1/") else "probes"

    @property
    def url_rule(self) -> str:
        """The path as Flask writes it; a name may have a slash, as that of a tenant's rule has."""
        path = self.path.replace("{name}", "<path:name>")
        return path.replace("{", "<").replace("}", ">")


class Routes:
    """Operations for holders of one kind of token, each made of a view's signature.

    A view is called with the intake, the parts of its path, and of these what it names: ``query``
    and ``body``, of the models of their annotations, and ``act``, who acts and why. It returns
    what its annotation says, as JSON.

    Args:
        who: a viewer or an operator.
        errors: statuses that are answered with a problem.
        body: the model of the body where a view names none; None if there is no body.
    """

    def __init__(self, who: Who, errors: tuple[int, ...], body: type[Why] | None = None) -> None:
        self.operations: list[Operation] = []
        self._views: list[Callable[..., Any]] = []
        self._who = who
        self._errors = errors
        self._body = body

    def add(
        self, method: str, path: str, *, name: str = "", summary: str = "",
        status: HTTPStatus = HTTPStatus.OK, example: Any = None, bound: bool = False,
    ) -> Callable[[V], V]:  # fmt: skip
        """Make an operation of the view that this decorates.

        Its name is the view's in camelCase and its summary the view's docstring, unless given. To a
        token that is bound to namespaces it is closed, unless ``bound``: then all that the view
        answers keeps to `Intake.binding`.
        """

        def decorate(view: V) -> V:
            hints = get_type_hints(view)
            errors = (*self._errors, 404) if "{" in path else self._errors
            self.operations.append(Operation(
                method, path, name or to_camel(view.__name__), summary or str(view.__doc__),
                self._who, {status.value: hints["return"]}, hints.get("query"),
                hints.get("body", self._body), errors, example, bound,
            ))  # fmt: skip
            self._views.append(_reading(view, hints, self._body, status, bound=bound))
            return view

        return decorate

    def blueprint(self, name: str, intake: Intake) -> Blueprint:
        """Make the routes of the operations, over these parts."""
        routes = Blueprint(name, __name__)

        @routes.before_request
        def authorized() -> None:
            keys, header = intake.keys, request.headers.get("Authorization", "")
            viewers = () if self._who is Who.OPERATOR else (keys.viewers,)
            g.by = authenticate(header, keys, keys.operators, *viewers)

        for operation, view in zip(self.operations, self._views, strict=True):
            routes.add_url_rule(
                operation.url_rule, operation.name, partial(view, intake),
                methods=[operation.method.upper()],
            )  # fmt: skip
        return routes


def _reading(
    view: Callable[..., Any], hints: Mapping[str, Any], body_model: type[Why] | None,
    status: HTTPStatus, *, bound: bool,
) -> Callable[..., Any]:  # fmt: skip
    """Give a view what it names of the current request, and check the rest of that."""
    query_model, body_model = hints.get("query", NoQuery), hints.get("body", body_model)

    def call(intake: Intake, **given: Any) -> Any:
        intake = intake.of_token(g.by)
        if intake.binding.bound and not bound:
            raise intake.binding.refusal("this is not for such a token")
        found: dict[str, Any] = {"query": read_query(query_model)}
        if body_model is not None:
            body = read_act(request.environ, body_model)
            found |= {"body": body, "act": Act(g.by, body.reason, intake.binding)}
        wanted = {name: found[name] for name in found if name in hints}
        return view(intake, **given, **wanted), status

    return call
