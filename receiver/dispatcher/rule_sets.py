"""The rules in force: loads them, watches their files, stores their sets and caches older ones."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection

from receiver.core.errors import RuleError
from receiver.core.logs import Log
from receiver.core.model import Event, Json
from receiver.core.threads import SupervisedThread
from receiver.ledger.audit.key_values import (
    OUTLINE,
    RULES,
    get_rule_set,
    get_value,
    put_value,
    store_rule_set,
)
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.rule_rows import RuleOutline
from receiver.planning.parameters import Renderer
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.defaults import sections
from receiver.rules.loading.load import Rulebook, RuleSet, rule_set_from
from receiver.rules.matching.compiled import CompiledSet, RuleCompiler
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import tenant_of

POLL_EVERY = 2.0
"""Seconds between two polls of the files' stats; a ConfigMap's update takes a minute anyway."""
WARNINGS = 20
"""So many of a set's warnings are on the trail and at `/readyz`; `check` has all."""
PROBLEMS = 20
"""Problems of a refused set that are reported; `postsync check` has all of them."""
OLDER_SETS = 16
OLDER_RULES = 1_000
"""Older sets of the rule files, and of custom resources, whose plans may still be under way, kept
ready to use."""

Kept: TypeAlias = "OrderedDict[str, Mapping[str, Rule]]"


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of loading rules.

    Attributes:
        planner: applies the rules now in force; None where there are none, or still the old ones.
        error: why the rule files were refused, "" if they were not.
        of_files: whether the rule files were loaded, and not custom resources alone.
        number: grows with each.
    """

    planner: Planner | None
    error: str = ""
    of_files: bool = True
    number: int = 0

    def after(self, earlier: Reload | None) -> Reload:
        """Return what came of both, of which one at most is of the rule files."""
        if earlier is None:
            return self
        files = self if self.of_files else earlier
        # Each has its number before it is put there, so another may come in between.
        newest, other = sorted((self, earlier), key=lambda one: one.number, reverse=True)
        planner = newest.planner or other.planner
        return Reload(planner, files.error, files.of_files, newest.number)


class RulesInForce:
    """Loads the rule files in a thread of its own, and takes the rules of custom resources.

    The loop takes the result at its next turn.

    Attributes:
        restore: returns the sets of custom resources that were in force last.
        refused: whether the rule files as they are now were refused.
    """

    def __init__(
        self, rulebook: Rulebook, ledger: Ledger, expressions: Expressions, renderer: Renderer,
        notify: Callable[[], None], log: Log, *, tenants: Tenants = NO_TENANTS,
    ) -> None:  # fmt: skip
        self._rulebook = rulebook
        self._ledger = ledger
        self._expressions = expressions
        self._renderer = renderer
        self._notify = notify
        self._log = log
        self._wanted = threading.Event()
        self._results = deque[Reload]()
        self._compiler = RuleCompiler(expressions, tenants)
        self._lock = threading.Lock()  # of what follows
        self._own: CompiledSet | None = None
        self._custom: dict[str, CompiledSet] = {}
        self._number = 0
        self._older: Kept = OrderedDict()
        self._older_custom: Kept = OrderedDict()
        self._loading = False
        self.restore: Callable[[], Iterable[RuleSet]] = tuple
        self.refused = False

    @property
    def digest(self) -> str:
        """Return that of the rule files in force, "" if there are none."""
        return self._own.rule_set.digest if self._own else ""

    def start(self) -> None:
        """Load the rules now, then whenever their files change."""
        self._results.append(self._load())
        SupervisedThread("rules", self._watch).start()

    def request_reload(self) -> None:
        """Load the rules again, changed or not."""
        self._wanted.set()

    def take_result(self) -> Reload | None:
        """Return what has come since the last call, None if there is nothing.

        The rule files are loaded at most once in it: what was put into force is stored first.
        """
        found: Reload | None = None
        while self._results and not (found and found.of_files and self._results[0].of_files):
            found = self._results.popleft().after(found)  # nobody else takes them
        return found

    def is_behind(self) -> bool:
        """Whether files have changed whose rules are not taken yet.

        The loader notices by itself, and wakes the loop when it has loaded them.
        """
        # In the order of the loader's steps, so that none is missed.
        return self._rulebook.changed() or self._loading or bool(self._results)

    def compile(self, rule_set: RuleSet) -> CompiledSet:
        """Compile the set of a custom resource."""
        with self._lock:
            return self._compiler.compile_set(rule_set)

    def put_custom(self, changes: Mapping[str, CompiledSet | None]) -> int:
        """Put the sets of custom resources into force, by the name of their rule; None ends one.

        Returns:
            The number of the result that has them.
        """
        with self._lock:
            for name, found in changes.items():
                if found is None:
                    self._custom.pop(name, None)
                else:
                    self._custom[name] = found
            self._number += 1
            if self._own is not None:
                planner = self._planner(self._own)
                self._results.append(Reload(planner, of_files=False, number=self._number))
            number = self._number
        self._notify()
        return number

    def last_good(self) -> Planner | None:
        """Return the rules that were in force when the ledger was last used."""
        restored = dict[str, CompiledSet]()
        for one in self.restore():
            try:
                restored[one.rules[0].name] = self.compile(one)
            except Exception as error:  # noqa: BLE001 one that does not compile keeps itself out
                self._log_bug(error)
        with self._lock:
            self._custom = restored
        with self._ledger.read() as connection:
            stored_rules = get_value(connection, RULES) or {}
            files = get_rule_set(connection, stored_rules.get("digest") or "")
        if files is None:
            return None
        try:
            rule_set = rule_set_from(files)
            with self._lock:
                self._own = self._compiler.compile_set(rule_set)
                return self._planner(self._own)
        except Exception as error:  # noqa: BLE001 whatever it is, the files of today may be good
            self._log_bug(error)
            return None

    def rule(self, digest: str, name: str) -> Rule:
        """Return a rule as it was in the set of that digest."""
        in_force = self._custom.get(name)
        if in_force is not None and in_force.rule_set.digest == digest:
            return in_force.rule_set.rules[0]
        of_files = not tenant_of(name)
        kept, most = (self._older, OLDER_SETS) if of_files else (self._older_custom, OLDER_RULES)
        if digest not in kept:
            with self._ledger.read() as connection:
                files = get_rule_set(connection, digest) or ()
            _keep(kept, most, rule_set_from(files))
        return kept[digest][name]

    def keep(self, rule_set: RuleSet) -> None:
        """Cache the rules of the rule files for the plans that refer to them."""
        _keep(self._older, OLDER_SETS, rule_set)

    def _watch(self) -> None:
        while True:
            asked = self._wanted.wait(POLL_EVERY)
            self._wanted.clear()
            if asked or self._rulebook.changed():
                self._load_next()
                self._notify()

    def _load(self) -> Reload:
        """Load the rules; if that fails, the last good ones stay, and the reason is returned."""
        loaded = self._try_to_load()
        self.refused = loaded.planner is None
        return loaded

    def _try_to_load(self) -> Reload:
        try:
            rule_set = self._rulebook.reload()
            with self._lock:
                own = self._compiler.compile_set(rule_set)
                planner = self._planner(own)
                self._own = own
                self._number += 1
                return Reload(planner, number=self._number)
        except RuleError as error:
            if error.__cause__ is not None:
                self._log_bug(error.__cause__)
            return Reload(None, error.first_problems(PROBLEMS), number=self._number)
        except Exception as error:  # noqa: BLE001 a bug of ours, or no memory: the files are refused
            self._log_bug(error)
            why = f"the rules could not be loaded: {type(error).__name__}"
            return Reload(None, why, number=self._number)

    def _load_next(self) -> None:
        self._loading = True
        try:
            self._results.append(self._load())
        finally:
            self._loading = False

    def _log_bug(self, error: BaseException) -> None:
        self._log.error("rules.bug", traceback="".join(traceback.format_exception(error)))

    def _planner(self, own: CompiledSet) -> Planner:
        custom = [self._custom[name] for name in sorted(self._custom)]
        return Planner(own, self._expressions, self._renderer, custom)


def _keep(kept: Kept, most: int, rule_set: RuleSet) -> None:
    kept[rule_set.digest] = {rule.name: rule for rule in rule_set.rules}
    kept.move_to_end(rule_set.digest)
    while len(kept) > most:
        kept.popitem(last=False)


def store_reload(connection: Connection, now: int, reload: Reload) -> list[Event]:
    """Store what came of the rule files, for the next start and `/readyz`; return the events."""
    stored_rules = get_value(connection, RULES) or {}
    if reload.error or reload.planner is None:
        since = now if stored_rules.get("ok", True) else stored_rules.get("refusedAt", now)
        refused = {"ok": False, "error": reload.error, "refusedAt": since}
        put_value(connection, RULES, stored_rules | refused)
        about: dict[str, Json] = {"reason": reload.error, "inForce": stored_rules.get("digest")}
        return [Event("rules.refused", about)]
    rule_set = reload.planner.rule_set
    store_rule_set(connection, now, rule_set.digest, rule_set.files)
    warnings: list[Json] = [*map(str, rule_set.warnings[:WARNINGS])]
    stored_rules = {"digest": rule_set.digest, "rules": len(rule_set.rules), "loadedAt": now}
    stored_rules["files"] = [name for name, _ in rule_set.files]
    put_value(connection, RULES, stored_rules | {"ok": True, "error": "", "warnings": warnings})
    put_value(connection, OUTLINE, list(outline_of(rule_set)))
    names: list[Json] = [rule.name for rule in rule_set.rules]
    loaded = Event("rules.loaded", {"ruleSet": rule_set.digest[:12], "rules": names[:50]})
    return [loaded, *(Event("rules.warning", {"reason": reason}) for reason in warnings)]


def outline_of(rule_set: RuleSet) -> Iterator[RuleOutline]:
    """Yield what lists show of each rule of a set."""
    for rule, (file, line) in zip(rule_set.rules, rule_set.places, strict=True):
        handlers = dict.fromkeys(action.uses for _, _, action in sections(rule))
        yield {
            "rule": rule.name, "file": file, "line": line, "description": rule.description,
            "enabled": rule.enabled, "mode": rule.mode, "channel": list(rule.match.channel),
            "handlers": list(handlers),
        }  # fmt: skip
