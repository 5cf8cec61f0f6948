"""Finds the handlers, and checks what is written under ``with`` against their parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel, ValidationError

from receiver.contract import Cel, Handler
from receiver.contract.handler import WRONG_SHAPE
from receiver.core.errors import ExpressionError, PermanentError, PostsyncError, SettingsError
from receiver.core.model import Json
from receiver.core.type_tree import Slot, fields, slots_in
from receiver.core.validation import FieldError, Path, did_you_mean, field_errors
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.template import is_template, map_strings
from receiver.rules.handlers.entry_points import OURS, Broken, Origin, discover
from receiver.rules.handlers.parameter_places import places
from receiver.rules.handlers.secret_refs import check_secrets, put_values, replace_secrets
from receiver.rules.handlers.unrendered_checks import check_written


class Unknown(str):
    """Stands for a value that is known only when the action runs."""

    __slots__ = ()


UNKNOWN = Unknown("unknown")


class Registry:
    """The handlers by their names.

    Args:
        handlers: those that can be used.
        origins: where they came from, by name.
        broken: what is installed and cannot be used.
    """

    def __init__(
        self,
        handlers: Iterable[Handler[Any]],
        origins: Mapping[str, Origin] | None = None,
        broken: Sequence[Broken] = (),
    ) -> None:
        self._handlers: dict[str, Handler[Any]] = {}
        self._origins = dict(origins or {})
        self.broken = tuple(broken)
        for handler in handlers:
            if handler.name in self._handlers:
                raise SettingsError(f"two handlers have the name {handler.name}")
            self._handlers[handler.name] = handler

    @classmethod
    def discover(cls) -> Registry:
        """Load every handler that an installed distribution registers; see `broken` for others."""
        found, broken = discover()
        origins = {one.handler.name: one.origin for one in found}
        return cls([one.handler for one in found], origins, broken)

    def __iter__(self) -> Iterator[Handler[Any]]:
        return iter(sorted(self._handlers.values(), key=lambda handler: handler.name))

    def get(self, name: str) -> Handler[Any]:
        """Return a handler.

        Raises:
            PostsyncError: there is none of that name, the hint is the nearest one; or what has
                it is broken, or its library is not installed.
        """
        handler = self.find(name)
        if not self.complete(handler):
            raise PostsyncError(
                f"handler {name} needs the extra {handler.extra}, which is not installed",
                hint=self.install(handler),
            )
        return handler

    def find(self, name: str) -> Handler[Any]:
        """Return a handler that is there to read about, whether or not it can be used.

        Raises:
            PostsyncError: there is none of that name, or what has it is broken.
        """
        if name in self._handlers:
            return self._handlers[name]
        for broken in self.broken:
            if broken.explains(name):
                raise PostsyncError(
                    f"handler {name} cannot be used: {broken.reason}",
                    hint="install a distribution that works, and start again",
                )
        hint = did_you_mean(name, self._handlers) or "`postsync handlers` lists them"
        raise PostsyncError(f"there is no handler {name}", hint=hint)

    def complete(self, handler: Handler[Any]) -> bool:
        """Whether the handler's library is installed, if it needs one."""
        return not handler.library or _installed(handler.library)

    def install(self, handler: Handler[Any]) -> str:
        """Say what installs the handler's extra; ours is on no index, and comes from a clone."""
        origin = self.origin(handler.name)
        if origin is None or origin.name == OURS:
            return f"`pip install '.[{handler.extra}]'` in a clone of Postsync"
        return f"`pip install '{origin.name}[{handler.extra}]'`"

    def origin(self, name: str) -> Origin | None:
        """Return the distribution that a handler came with, None if nobody installed it."""
        return self._origins.get(name)

    def check_parameters(
        self,
        handler: Handler[Any],
        tree: Mapping[str, Any],
        expressions: Expressions,
        *,
        secrets: Collection[str] | None = None,
        tenant: bool = False,
    ) -> list[FieldError]:
        """Return what is wrong with an action's parameters, as far as they are known.

        ``secrets`` None: the tree is as it is written, in a ``tenant``'s rule or the operator's,
        and its templates and references are not known yet. Otherwise the tree is rendered, and
        only the values at these JSON pointers are unknown.
        """
        known, found = known_part(tree, secrets), list[FieldError]()
        if secrets is None:
            found += check_secrets(tree, tenant=tenant)
            found += check_written(handler.params, tree, tenant=tenant)
        try:
            handler.params.model_validate(known, by_alias=True, by_name=False)
        except ValidationError as error:
            told = {mistake.path for mistake in found}
            more = field_errors(
                error, handler.params, known, keep=_is_known, rendered=secrets is not None
            )
            found += [mistake for mistake in more if mistake.path not in told]
        return [*found, *_check_cel(handler.params, known, expressions)]

    def build(self, handler: Handler[Any], tree: Json) -> Any:
        """Return the handler's parameters from a tree in which nothing is unknown.

        Raises:
            PermanentError: with the path of what does not fit; its value is not told.
        """
        try:
            return handler.params.model_validate(tree, by_alias=True, by_name=False)
        except ValidationError as error:
            found = field_errors(error, handler.params, tree, hide_values=True, rendered=True)
            raise PermanentError("with: " + "; ".join(map(str, found))) from None


@cache
def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there either
        return False


def known_part(tree: Mapping[str, Any], secrets: Collection[str] | None) -> Any:
    """Return parameters with `UNKNOWN` for what is not known: see `Registry.check_parameters`."""
    if secrets is not None:
        return put_values(dict(tree), dict.fromkeys(secrets, UNKNOWN))
    known = replace_secrets(tree, lambda _path, _value: UNKNOWN)
    return map_strings(known, _hide_template)


def _hide_template(text: str) -> str:
    if isinstance(text, Unknown):
        return text
    return UNKNOWN if is_template(text) else text.replace("$${{", "${{")


def _is_known(kind: str, value: Any) -> bool:
    """Whether a complaint of this kind about this value holds whatever is unknown in it."""
    if kind in {"too_long", "too_short"} and not isinstance(value, Unknown):
        return True
    return kind in {"missing", "extra_forbidden", WRONG_SHAPE} or not _has_unknown(value)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_unknown, value))
    return isinstance(value, Unknown)


def _check_cel(model: type[BaseModel], tree: Any, expressions: Expressions) -> Iterator[FieldError]:
    """Compile the parameters that are marked as expressions, in nested models too."""
    for field, inner in _with_cel(model).items():
        for slot, value, path in places(inner, tree[field], (field,)) if field in tree else ():
            if isinstance(value, str) and not isinstance(value, Unknown):
                for mark in slot.marks:
                    if isinstance(mark, Cel):
                        yield from _compile(value, mark, expressions, path)


@cache
def _with_cel(model: type[BaseModel]) -> Mapping[str, Slot]:
    """Return the fields of a model that are, or may have in them, such an expression."""
    return {
        field: slot
        for field, slot in fields(model).items()
        if any(one.has(Cel) for one in slots_in(slot))
    }


def _compile(source: str, mark: Cel, expressions: Expressions, path: Path) -> Iterator[FieldError]:
    try:
        expressions.compile(source, Scope(mark.variables))
    except ExpressionError as error:
        yield FieldError(path, error.message, error.hint)
