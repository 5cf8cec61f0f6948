"""The bounds of tenants: what rules in a namespace may see and use, as the operator grants it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from receiver.contract import Handler, Rate, Tenant
from receiver.core.errors import PostsyncError
from receiver.core.model import Sync
from receiver.core.validation import FieldError, dotted
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.defaults import sections
from receiver.rules.matching.predicates import Globs
from receiver.rules.schema.match import Strict
from receiver.rules.schema.rate import AttemptRate
from receiver.rules.schema.rule_file import FailureAction, Rule
from receiver.rules.tenants.confinement import overstepping
from receiver.rules.tenants.sight import BLIND, Reach, Sight

NAMESPACE = re.compile(r"[a-z0-9*?-]+")
PROJECT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
ASK = "ask who runs Postsync to add it"
ASK_FOR_BOUNDS = f"{ASK} to tenants.bounds"
"""The way out of what only an operator can grant."""


def _namespace(value: str) -> str:
    if not NAMESPACE.fullmatch(value):
        raise ValueError(f"{value} is no namespace and no glob of one, as team-a or shop-*")
    return value


def _project(value: str) -> str:
    if not PROJECT.fullmatch(value):
        raise ValueError(f"{value} is no project: each is named whole, without a glob")
    return value


def _service_account(value: str) -> str:
    if not PROJECT.fullmatch(value):
        raise ValueError(f"{value} is no name of a service account")
    return value


class TenantBounds(Strict):
    """What the rules of some namespaces may do; what is not granted here is refused."""

    namespaces: Annotated[
        tuple[Annotated[str, AfterValidator(_namespace)], ...], Field(min_length=1)
    ]
    """The namespaces, as globs."""
    projects: tuple[Annotated[str, AfterValidator(_project)], ...] = ()
    """Projects whose Applications their rules see, beside those with the rule's own namespace as
    their destination."""
    handlers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Handlers that their rules may use, by name."""
    hosts: tuple[str, ...] = ()
    """Hosts (globs) that their actions may call, of those that `allowHosts` and the other lists
    allow; empty means all of these."""
    service_account: Annotated[str, AfterValidator(_service_account)] = "default"
    """What their Jobs run as."""
    rate: AttemptRate | None = None
    """How many attempts of all rules of a namespace begin together; none: as many as there are."""
    max_rules: int = Field(default=50, ge=1)
    """Rules that a namespace may have."""
    max_rule_size: int = Field(default=65536, ge=1024)
    """Bytes of one rule."""


@dataclass(frozen=True)
class Tenants:
    """The bounds of all tenants.

    Attributes:
        bounds: of which the first entry that fits a namespace counts.
        destinations: how Applications name the cluster of the tenants' namespaces.
        senders: whose Applications name it so; empty: every sender's.
    """

    bounds: Sequence[TenantBounds] = ()
    destinations: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()

    def of(self, namespace: str) -> TenantBounds | None:
        """Return the bounds of a namespace; None: it may have no rules."""
        number = self._number(namespace)
        return None if number is None else self.bounds[number]

    def sight(self, namespace: str) -> Sight:
        """Return which syncs the rules of a namespace see."""
        bounds = self.of(namespace)
        if bounds is None:
            return BLIND
        return Sight(namespace, frozenset(bounds.projects), self.destinations, self.senders)

    def refusal(self, namespace: str, sync: Sync) -> str:
        """Return why the rules of a namespace may not see a sync, "" if they may."""
        sight, reach = self.sight(namespace), Reach.of(sync)
        return "" if sight.takes(reach) else f"tenant wants {sight}, saw {reach}"

    def check(self, rule: Rule, namespace: str, registry: Registry) -> Iterator[FieldError]:
        """Yield what a merged rule of a namespace has beyond its bounds, by path below the rule.

        What an expression will give is judged when it has.
        """
        bounds = self.of(namespace)
        if bounds is None:
            yield FieldError((), no_bounds(namespace), ASK_FOR_BOUNDS, whole=True)
            return
        for section, index, action in sections(rule):
            for found in self._check_action(action, namespace, registry):
                yield replace(found, path=(section, index, *found.path))
        place = self.place(namespace, "projects")
        yield from _check_seen(rule, bounds, namespace, place)
        yield from _check_awaited(rule, bounds, place)

    def _check_action(
        self, action: FailureAction, namespace: str, registry: Registry
    ) -> Iterator[FieldError]:
        if refusal := self.handler_refusal(namespace, action.uses):
            yield FieldError(("uses",), refusal, ASK)
            return
        with suppress(PostsyncError):  # there is none of that name: `check_action` says so
            handler = registry.get(action.uses)
            for found in self.overstepping(namespace, handler, action.with_):
                yield replace(found, path=("with", *found.path))

    def handler_refusal(self, namespace: str, handler: str) -> str:
        """Return why the rules of a namespace may not use a handler, "" if they may."""
        bounds = self.of(namespace)
        if bounds is None:
            return no_bounds(namespace)
        if handler in bounds.handlers:
            return ""
        place = self.place(namespace, "handlers")
        return f"handler {handler} is not among those of namespace {namespace} ({place})"

    def overstepping(
        self, namespace: str, handler: Handler[Any], tree: Mapping[str, Any],
        secrets: Collection[str] | None = None,
    ) -> Iterator[FieldError]:  # fmt: skip
        """Yield what of an action's parameters is beyond the bounds of a namespace."""
        bounds = self.of(namespace)
        if bounds is None:
            yield FieldError((), no_bounds(namespace))
        else:
            tenant = Tenant(namespace, bounds.service_account)
            yield from overstepping(handler, tree, tenant, secrets)

    def unusable(self, registry: Registry) -> Iterator[tuple[str, str]]:
        """Yield where a handler is granted that no tenant can use, and why."""
        for number, bounds in enumerate(self.bounds):
            place = dotted(("tenants", "bounds", number, "handlers"))
            for name in bounds.handlers:
                try:
                    handler = registry.get(name)
                except PostsyncError as error:
                    yield place, str(error)
                else:
                    if handler.confine is None:
                        yield place, f"handler {name} cannot be bounded to a namespace"

    def rate(self, namespace: str) -> Rate | None:
        """Return how many attempts of a namespace's rules begin, None for any number."""
        bounds = self.of(namespace)
        rate = bounds.rate if bounds is not None else None
        return Rate(rate.per_second, rate.burst) if rate is not None else None

    def too_large(self, namespace: str, size: int) -> str:
        """Return why a rule of so many bytes is refused, "" if it is not."""
        bounds = self.of(namespace)
        if bounds is None or size <= bounds.max_rule_size:
            return ""
        return (
            f"the rule has {size} bytes; one of namespace {namespace} may have at most "
            f"{bounds.max_rule_size} ({self.place(namespace, 'maxRuleSize')})"
        )

    def too_many(self, namespace: str, others: int) -> str:
        """Return why a rule beside so many others of its namespace is refused, "" if it is not."""
        bounds = self.of(namespace)
        if bounds is None or others < bounds.max_rules:
            return ""
        return (
            f"namespace {namespace} has {others} rules already, which is all that it may have "
            f"({self.place(namespace, 'maxRules')})"
        )

    def place(self, namespace: str, key: str) -> str:
        """Return where in the settings a bound of a namespace stands."""
        number = self._number(namespace)
        return dotted(("tenants", "bounds", *(() if number is None else (number, key))))

    def _number(self, namespace: str) -> int | None:
        fitting = (number for number, globs in enumerate(self._globs) if globs.accept(namespace))
        return next(fitting, None)

    @cached_property
    def _globs(self) -> list[Globs]:
        return [Globs(one.namespaces) for one in self.bounds]


NO_TENANTS = Tenants()
"""No namespace may have rules."""


def no_bounds(namespace: str) -> str:
    """Return why a namespace may have no rules."""
    return f"namespace {namespace} may have no rules: no entry of tenants.bounds names it"


def _check_seen(
    rule: Rule, bounds: TenantBounds, namespace: str, place: str
) -> Iterator[FieldError]:
    """Refuse a rule about syncs of others alone: it would be in force, and never see one."""
    destination = rule.match.application.destination
    if destination is None or destination.namespace is None or bounds.projects:
        return
    if not Globs(destination.namespace).accept(namespace):
        yield FieldError(
            ("match", "application", "destination", "namespace"),
            f"leaves out {namespace}, and syncs that go elsewhere are seen of the projects in "
            f"{place} alone",
            "ask who runs Postsync to add a project",
        )


def _check_awaited(rule: Rule, bounds: TenantBounds, place: str) -> Iterator[FieldError]:
    """Refuse a rule that waits for Applications which it may not see: it would tell of them."""
    if rule.debounce is None or rule.debounce.until is None:
        return
    awaited = rule.debounce.until.applications.project or ()
    if awaited and {*awaited} <= {*bounds.projects}:
        return
    yield FieldError(
        ("debounce", "until", "applications", "project"),
        f"must name, whole, projects of {place}: whom a rule waits for, it must be allowed to see",
        f"name one of {', '.join(bounds.projects)}" if bounds.projects else ASK,
    )
