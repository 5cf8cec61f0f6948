"""Finds the handlers that installed distributions register.

A broken distribution takes nothing else down: what it registers is left out, with the reason,
and a rule that names it is refused for that reason. Notifications are taken meanwhile, since
Argo CD may never send them again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from receiver.contract import Handler, Params
from receiver.core.errors import SettingsError

GROUP = "postsync.handlers"
OURS = "postsync-receiver"
NAME = re.compile(r"(?=.{3,100}\Z)[a-z][a-z0-9_-]*\.[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """The distribution that a handler came with."""

    name: str
    version: str

    @property
    def built_in(self) -> bool:
        """Whether it is the receiver's own."""
        return self.name == OURS

    def __str__(self) -> str:
        return "built-in" if self.built_in else f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Broken:
    """What cannot be used. ``handlers`` is empty where nobody knows what it would have had."""

    entry_point: str
    origin: Origin
    reason: str
    handlers: tuple[str, ...] = ()

    def explains(self, name: str) -> bool:
        """Whether a handler of this name is missing for this reason.

        Where the names are not known, an entry point that has the name of the service counts.
        """
        return name in self.handlers or (
            not self.handlers and name.partition(".")[0] == self.entry_point
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A handler and where it came from."""

    handler: Handler[Any]
    entry_point: str
    origin: Origin


def discover(points: Iterable[EntryPoint] | None = None) -> tuple[list[Loaded], list[Broken]]:
    """Load what the entry points register; by default those of all installed distributions."""
    loaded: list[Loaded] = []
    broken: list[Broken] = []
    for point in entry_points(group=GROUP) if points is None else points:
        origin = origin_of(point)
        try:
            loaded += [Loaded(handler, point.name, origin) for handler in load(point)]
        except SettingsError as error:
            broken.append(Broken(point.name, origin, error.message))
    by_name = defaultdict(list)
    for one in loaded:
        by_name[one.handler.name].append(one)
    clashes = [clash for same in by_name.values() for clash in _clashes(same)]
    usable = [kept for same in by_name.values() for kept in _usable(same)]
    return usable, broken + clashes


def origin_of(point: EntryPoint) -> Origin:
    """Return the distribution of an entry point."""
    if point.dist is None:
        return Origin("an unknown distribution", "")
    return Origin(point.dist.name, point.dist.version)


def load(point: EntryPoint) -> list[Handler[Any]]:
    """Return the handlers of an entry point: a handler, several, or a callable returning them.

    Raises:
        SettingsError: it cannot be imported or called, or gives something else.
    """
    origin = origin_of(point)
    where = f"entry point {GROUP} {point.name} = {point.value} ({origin})"
    try:
        value = point.load()
        value = value() if callable(value) else value
        handlers = [value] if isinstance(value, Handler) else list(value)
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{where} is broken: {type(error).__name__}: {error}") from error
    for handler in handlers:
        if not isinstance(handler, Handler):
            raise SettingsError(f"{where} gives {type(handler).__name__}, not a Handler")
        if fault := _fault(handler, schema=not origin.built_in):
            raise SettingsError(f"{where} registers a handler wrongly: {fault}")
    return handlers


def _fault(handler: Any, *, schema: bool) -> str:
    """Return what is wrong with a registration; our own schemas are left to the tests."""
    name, params = handler.name, handler.params
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"the name {name!r} is not like service.verb, in lower case, at most 100 characters"
    if not isinstance(params, type) or not issubclass(params, Params):
        return f"params of {name} is no subclass of receiver.contract.Params"
    if not callable(handler.run) or not callable(handler.lane):
        return f"run or lane of {name} is no function"
    if not isinstance(handler.summary, str) or not isinstance(handler.example, str):
        return f"summary or example of {name} is no text"
    try:
        if schema:
            params.model_json_schema()
    except Exception as error:  # noqa: BLE001 a third party's types may raise anything
        return f"params of {name} has no JSON Schema: {error}"
    return ""


def _usable(same: Sequence[Loaded]) -> Iterator[Loaded]:
    """Of several with one name the built-in one is meant; without one, nobody knows which."""
    own = [one for one in same if one.origin.built_in]
    yield from own[:1] if own else same if len(same) == 1 else ()


def _clashes(same: Sequence[Loaded]) -> Iterator[Broken]:
    if len(same) == 1:
        return
    name = same[0].handler.name
    owners = " and ".join(sorted(str(one.origin) for one in same))
    for one in same:
        if not one.origin.built_in:
            reason = f"more than one handler has the name {name}: {owners}"
            yield Broken(one.entry_point, one.origin, reason, (name,))
