"""Hints for names of rules, handlers, Applications and events that are most likely mistakes.

A name may belong to something that is gone or about to come: it counts as a mistake only if the
ledger has nothing of that name either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

from receiver.core.errors import RuleError
from receiver.core.states import OPEN_RUNS
from receiver.core.validation import FieldError, did_you_mean
from receiver.ledger.audit.key_values import RULES, get_rule_set, get_value
from receiver.ledger.audit.trail import BY_KIND, EVENTS
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import Filters, Reader
from receiver.ledger.queries.rule_rows import RuleOutline
from receiver.ledger.queries.rules import custom_outlines
from receiver.ledger.queue.pauses import Scope
from receiver.rules.loading.defaults import sections
from receiver.rules.loading.load import rule_set_from

FEW = 8
"""Names that are listed where none is near."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules that are in force, and the handlers that they use."""

    rules: frozenset[str]
    handlers: frozenset[str]


class NameHints:
    """Checks the names that people give, against one ledger; a hint is "" if a name is known.

    Known to a token is what is within its binding.

    Raises:
        LedgerUnavailable: (every method) the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.reader = Reader(ledger)
        self.binding = UNBOUND
        self._of_set = lru_cache(maxsize=1)(self._read_names)

    def within(self, binding: Binding) -> NameHints:
        """Return who checks the same for a token of this binding."""
        bound = copy(self)
        bound.binding, bound.reader = binding, self.reader.within(binding)
        return bound

    def for_pause(self, scope: Scope, name: str) -> str:
        """Return a hint if there is nothing now that a pause of this name could hold back."""
        if scope is Scope.RULE:
            return self._absent("rule", name, Filters(states=OPEN_RUNS, rule=name), "open")
        if scope is Scope.HANDLER:
            return self._absent("handler", name, Filters(states=OPEN_RUNS, handler=name), "open")
        return ""

    def for_filters(
        self, *, rule: str = "", handler: str = "", application: str = "", event: str = "",
        project: str = "", **ids: str,
    ) -> str:  # fmt: skip
        """Return which of these filters can choose nothing, since nothing has that name.

        ``ids`` are those of a ``sync``, a ``plan`` or a ``run``; ``event`` is a glob.
        """
        kept = "in the ledger"
        hints = [
            *(self._no_such(kind, wanted) for kind, wanted in ids.items() if wanted),
            _no_event(event) if event else "",
            self._absent("rule", rule, Filters(rule=rule), kept) if rule else "",
            self._absent("handler", handler, Filters(handler=handler), kept) if handler else "",
            self._no_application(application) if application else "",
            self._no_project(project) if project else "",
        ]
        return "; ".join(filter(None, hints))

    def for_rule(self, name: str) -> FieldError | None:
        """Return what is wrong with the name of a rule that is to be in force."""
        known = self._in_force()
        if known is None or name in known.rules:
            return None
        soon = "a rule file that has changed is in force some seconds later, unless it has mistakes"
        hint = did_you_mean(name, known.rules) or "; ".join(filter(None, (_few(known.rules), soon)))
        return FieldError((), f"no rule {name} is in force", hint)

    def _absent(self, kind: str, name: str, of_it: Filters, where: str) -> str:
        known = self._in_force()
        if known is None:
            return ""
        names = known.rules if kind == "rule" else known.handlers
        if name in names or self.reader.runs(of_it, limit=1):
            return ""
        message = f"no {kind} {name} is in force, and no run of it is {where}"
        return str(FieldError((), message, did_you_mean(name, names) or _few(names)))

    def _no_such(self, kind: str, wanted: str) -> str:
        return "" if self.reader.has(kind, wanted) else f"there is no {kind} {wanted}"

    def _no_application(self, name: str) -> str:
        known = self.reader.applications()
        short = "/" not in name
        names = {one.rpartition("/")[2] for one in known} if short else set(known)
        return _unheard_of(name, names, f"no sync of {name} is in the ledger")

    def _no_project(self, name: str) -> str:
        names = {*self.reader.projects()} - {""}
        return _unheard_of(name, names, f"none of the newest syncs is of the project {name}")

    def _in_force(self) -> InForce | None:
        """Return the names in force; None before any were loaded, or if they cannot be parsed.

        This version may not parse an older version's rules, until a dispatcher has loaded others.
        """
        with self._ledger.read() as connection:
            digest = (get_value(connection, RULES) or {}).get("digest") or ""
            custom = [one for one in custom_outlines(connection) if self.binding.owns(one["rule"])]
        if self.binding.bound:
            return _names_in(InForce(frozenset(), frozenset()), custom)
        try:
            known = self._of_set(digest)
        except RuleError:
            return None
        return None if known is None else _names_in(known, custom)

    def _read_names(self, digest: str) -> InForce | None:
        with self._ledger.read() as connection:
            files = get_rule_set(connection, digest)
        if files is None:
            return None
        rules = rule_set_from(files).rules
        uses = (action.uses for rule in rules for _, _, action in sections(rule))
        return InForce(frozenset(rule.name for rule in rules), frozenset(uses))


def _names_in(known: InForce, custom: Iterable[RuleOutline]) -> InForce:
    """Add the names of tenants' rules."""
    rules, handlers = {*known.rules}, {*known.handlers}
    for one in custom:
        rules.add(one["rule"])
        handlers.update(one["handlers"])
    return InForce(frozenset(rules), frozenset(handlers))


def _unheard_of(name: str, names: Collection[str], message: str) -> str:
    if not names or name in names:
        return ""
    return str(FieldError((), message, did_you_mean(name, names) or _few(names)))


def _few(names: Collection[str]) -> str:
    """List some of the names that there are."""
    shown = ", ".join(sorted(names)[:FEW])
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"there {'is' if len(names) == 1 else 'are'} {shown}{more}" if shown else ""


def _no_event(glob: str) -> str:
    # As the trail's filter compares them: there are only these two wildcards.
    pattern = re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))
    if any(map(pattern.fullmatch, EVENTS)):
        return ""
    kinds = [f"{kind}.*" for kind in BY_KIND]
    hint = did_you_mean(glob, [*EVENTS, *kinds]) or f"there are {', '.join(kinds)}"
    return str(FieldError((), f"no event is called {glob}", hint))
