"""Finds the handlers, and checks what is written under ``with`` against their parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from receiver.contract import Cel, Handler
from receiver.errors import ExpressionError, PermanentError, PostsyncError, SettingsError
from receiver.expressions import Expressions, Scope, is_template
from receiver.mistakes import Mistake, Path, mistakes, models_in, near
from receiver.model import Json
from receiver.secret_refs import check_secrets, put_values, replace_secrets

GROUP = "postsync.handlers"


class Unknown(str):
    """Stands for a value that is known only when the action runs."""

    __slots__ = ()


UNKNOWN = Unknown("unknown")


class Registry:
    """The handlers by their names."""

    def __init__(self, handlers: Iterable[Handler[Any]]) -> None:
        self._handlers: dict[str, Handler[Any]] = {}
        for handler in handlers:
            if handler.name in self._handlers:
                raise SettingsError(f"two handlers have the name {handler.name}")
            self._handlers[handler.name] = handler

    @classmethod
    def discover(cls) -> Registry:
        """Load every handler that an installed distribution registers.

        Raises:
            SettingsError: names the distribution whose entry point is broken.
        """
        return cls(handler for point in entry_points(group=GROUP) for handler in load(point))

    def __iter__(self) -> Iterator[Handler[Any]]:
        return iter(sorted(self._handlers.values(), key=lambda handler: handler.name))

    def get(self, name: str) -> Handler[Any]:
        """Return a handler.

        Raises:
            PostsyncError: there is none of that name; the hint is the nearest one.
        """
        if name not in self._handlers:
            hint = near(name, self._handlers) or "`postsync handlers` lists them"
            raise PostsyncError(f"there is no handler {name}", hint=hint)
        return self._handlers[name]

    def check_parameters(
        self,
        handler: Handler[Any],
        tree: Mapping[str, Any],
        expressions: Expressions,
        *,
        secrets: Collection[str] | None = None,
    ) -> list[Mistake]:
        """Return what is wrong with an action's parameters, as far as they are known.

        ``secrets`` None: the tree is as it is written, and its templates and references are
        not known yet. Otherwise the tree is rendered, and only the values at these JSON
        pointers are unknown.
        """
        if secrets is None:
            found = check_secrets(tree)
            known = _hide_templates(replace_secrets(tree, lambda _path, _value: UNKNOWN))
        else:
            found = []
            known = put_values(dict(tree), dict.fromkeys(secrets, UNKNOWN))
        try:
            handler.params.model_validate(known, by_alias=True, by_name=False)
        except ValidationError as error:
            found += mistakes(error, handler.params, known, keep=_is_known)
        return [*found, *_check_cel(handler.params, known, expressions)]

    def build(self, handler: Handler[Any], tree: Json) -> Any:
        """Return the handler's parameters from a tree in which nothing is unknown.

        Raises:
            PermanentError: with the path of what does not fit; its value is not told.
        """
        try:
            return handler.params.model_validate(tree, by_alias=True, by_name=False)
        except ValidationError as error:
            found = mistakes(error, handler.params, tree, discreet=True)
            raise PermanentError("with: " + "; ".join(map(str, found))) from None


def load(point: EntryPoint) -> list[Handler[Any]]:
    """Return the handlers of an entry point: a handler, several, or a callable returning them.

    Raises:
        SettingsError: it cannot be imported or called, or gives something else.
    """
    owner = point.dist.name if point.dist else "an unknown distribution"
    where = f"entry point {GROUP} {point.name} = {point.value} of {owner}"
    try:
        value = point.load()
        value = value() if callable(value) else value
        handlers = [value] if isinstance(value, Handler) else list(value)
    except Exception as error:
        raise SettingsError(f"{where} is broken: {type(error).__name__}: {error}") from error
    for handler in handlers:
        if not isinstance(handler, Handler):
            raise SettingsError(f"{where} gives {type(handler).__name__}, not a Handler")
    return handlers


def _hide_templates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hide_templates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide_templates(item) for item in value]
    if isinstance(value, str) and not isinstance(value, Unknown):
        return UNKNOWN if is_template(value) else value.replace("$${{", "${{")
    return value


def _is_known(kind: str, value: Any) -> bool:
    """Whether a complaint of this kind about this value holds whatever is unknown in it."""
    return kind in {"missing", "extra_forbidden"} or not _has_unknown(value)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_unknown, value))
    return isinstance(value, Unknown)


def _check_cel(
    model: type[BaseModel], tree: Any, expressions: Expressions, path: Path = ()
) -> Iterator[Mistake]:
    """Compile the parameters that are marked as expressions, in nested models too."""
    if not isinstance(tree, Mapping):
        return
    for name, field in model.model_fields.items():
        key = field.alias or name
        value = tree.get(key)
        marks = [mark for mark in _marks(field) if isinstance(mark, Cel)]
        if marks and isinstance(value, str) and not isinstance(value, Unknown):
            yield from _compile(value, marks[0], expressions, (*path, key))
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            place = (*path, key) if index is None else (*path, key, index)
            for inner in _models(field.annotation):
                yield from _check_cel(inner, item, expressions, place)


def _compile(source: str, mark: Cel, expressions: Expressions, path: Path) -> Iterator[Mistake]:
    try:
        expressions.compile(source, Scope(mark.variables))
    except ExpressionError as error:
        yield Mistake(path, error.message, error.hint)


def _marks(field: FieldInfo) -> Iterator[object]:
    yield from field.metadata
    for branch in get_args(field.annotation):
        if get_origin(branch) is Annotated:
            yield from get_args(branch)[1:]


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    yield from models_in(kind)
    for inner in get_args(kind):
        if get_origin(kind) in {list, tuple}:
            yield from models_in(inner)
