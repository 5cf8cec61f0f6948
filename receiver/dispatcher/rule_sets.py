"""The rules in force: loads them, watches their files, stores their sets and caches older ones."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue

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
from receiver.rules.schema.rule_file import Rule

POLL_EVERY = 2.0
"""Seconds between two polls of the files' stats; a ConfigMap's update takes a minute anyway."""
WARNINGS = 20
"""So many of a set's warnings are on the trail and at `/readyz`; `check` has all."""
PROBLEMS = 20
"""Problems of a refused set that are reported; `postsync check` has all of them."""
OLDER_SETS = 16
"""Older rule sets whose plans may still be under way, kept ready to use."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of loading the rules: a planner, or the reason why there is none."""

    planner: Planner | None
    error: str = ""


class RulesInForce:
    """Loads rules in a thread of its own; the loop takes the result at its next turn."""

    def __init__(
        self, rulebook: Rulebook, ledger: Ledger, expressions: Expressions, renderer: Renderer,
        notify: Callable[[], None], log: Log,
    ) -> None:  # fmt: skip
        self._rulebook = rulebook
        self._ledger = ledger
        self._expressions = expressions
        self._renderer = renderer
        self._notify = notify
        self._log = log
        self._wanted = threading.Event()
        self._results: SimpleQueue[Reload] = SimpleQueue()
        self._older: OrderedDict[str, Mapping[str, Rule]] = OrderedDict()
        self._loading = False

    def start(self) -> None:
        """Load the rules now, then whenever their files change."""
        self._results.put(self._load())
        SupervisedThread("rules", self._watch).start()

    def request_reload(self) -> None:
        """Load the rules again, changed or not."""
        self._wanted.set()

    def take_result(self) -> Reload | None:
        """Return the newest result since the last call, None if there is none."""
        newest = None
        while not self._results.empty():  # nobody else takes them
            newest = self._results.get()
        return newest

    def is_behind(self) -> bool:
        """Whether files have changed whose rules are not taken yet.

        The loader notices by itself, and wakes the loop when it has loaded them.
        """
        # In the order of the loader's steps, so that none is missed.
        return self._rulebook.changed() or self._loading or not self._results.empty()

    def last_good(self) -> Planner | None:
        """Return the rules that were in force when the ledger was last used."""
        with self._ledger.read() as connection:
            stored_rules = get_value(connection, RULES) or {}
            files = get_rule_set(connection, stored_rules.get("digest") or "")
        if files is None:
            return None
        try:
            return self._planner(rule_set_from(files))
        except Exception as error:  # noqa: BLE001 whatever it is, the files of today may be good
            self._log_bug(error)
            return None

    def rule(self, digest: str, name: str) -> Rule:
        """Return a rule as it was in the set of that digest."""
        if digest not in self._older:
            with self._ledger.read() as connection:
                files = get_rule_set(connection, digest) or ()
            self.keep(rule_set_from(files))
        return self._older[digest][name]

    def keep(self, rule_set: RuleSet) -> None:
        """Cache a set's rules for the plans that refer to it."""
        self._older[rule_set.digest] = {rule.name: rule for rule in rule_set.rules}
        self._older.move_to_end(rule_set.digest)
        while len(self._older) > OLDER_SETS:
            self._older.popitem(last=False)

    def _watch(self) -> None:
        while True:
            asked = self._wanted.wait(POLL_EVERY)
            self._wanted.clear()
            if asked or self._rulebook.changed():
                self._load_next()
                self._notify()

    def _load(self) -> Reload:
        """Load the rules; if that fails, the last good ones stay, and the reason is returned."""
        try:
            return Reload(self._planner(self._rulebook.reload()))
        except RuleError as error:
            if error.__cause__ is not None:
                self._log_bug(error.__cause__)
            return Reload(None, error.first_problems(PROBLEMS))
        except Exception as error:  # noqa: BLE001 a bug of ours, or no memory: the files are refused
            self._log_bug(error)
            return Reload(None, f"the rules could not be loaded: {type(error).__name__}")

    def _load_next(self) -> None:
        self._loading = True
        try:
            self._results.put(self._load())
        finally:
            self._loading = False

    def _log_bug(self, error: BaseException) -> None:
        self._log.error("rules.bug", traceback="".join(traceback.format_exception(error)))

    def _planner(self, rule_set: RuleSet) -> Planner:
        return Planner(rule_set, self._expressions, self._renderer)


def store_reload(connection: Connection, now: int, reload: Reload) -> list[Event]:
    """Store what came of loading the rules, for the next start and `/readyz`; return the events."""
    stored_rules = get_value(connection, RULES) or {}
    if reload.planner is None:
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
    put_value(connection, OUTLINE, list(_outline(rule_set)))
    names: list[Json] = [rule.name for rule in rule_set.rules]
    loaded = Event("rules.loaded", {"ruleSet": rule_set.digest[:12], "rules": names[:50]})
    return [loaded, *(Event("rules.warning", {"reason": reason}) for reason in warnings)]


def _outline(rule_set: RuleSet) -> Iterator[RuleOutline]:
    for rule, (file, line) in zip(rule_set.rules, rule_set.places, strict=True):
        handlers = dict.fromkeys(action.uses for _, _, action in sections(rule))
        yield {
            "rule": rule.name, "file": file, "line": line, "description": rule.description,
            "enabled": rule.enabled, "mode": rule.mode, "channel": list(rule.match.channel),
            "handlers": list(handlers),
        }  # fmt: skip
