"""What one process knows of PostSyncRules, over a ledger, without an API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planning import handlers, renderer

from receiver.core.logs import configure_logs
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.dispatcher.tenants.custom_rules import CustomRules
from receiver.dispatcher.tenants.inbox import News
from receiver.dispatcher.tenants.judge import Judge
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rules import CustomRule, read_custom_rules
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import Rulebook
from receiver.rules.tenants.bounds import TenantBounds, Tenants


class Known:
    """What one process knows; ``rules`` are those in force, by what they say."""

    def __init__(
        self, ledger: Ledger, folder: Path, *, handler: str = "log.message",
        namespace: str = "shop", max_rules: int = 50,
    ) -> None:  # fmt: skip
        expressions, registry, log = Expressions(), handlers(), configure_logs("json")
        (folder / "rules.yaml").write_text("version: 1\nrules: []\n")
        book = Rulebook([folder / "rules.yaml"], registry, expressions)
        bounds = {"namespaces": [namespace], "handlers": [handler], "maxRules": max_rules}
        tenants = Tenants((TenantBounds.model_validate(bounds),))
        self._rules = RulesInForce(
            book, ledger, expressions, renderer(), lambda: None, log, tenants=tenants
        )
        judge = Judge(tenants, registry, expressions, log, connected=False)
        self.custom = CustomRules(judge, self._rules, ledger, lambda: None, log)
        self._rules.restore = self.custom.restore
        self._rules.last_good()
        self._ledger = ledger

    def tell(self, *news: News) -> None:
        self.custom.note(news)
        self.settle()

    def settle(self) -> None:
        while self.custom._round() == 0.0:
            pass

    @property
    def said(self) -> dict[str, Any]:
        """What the rules in force say, by their names."""
        found = {name: one.rule_set.rules[0] for name, one in self._rules._custom.items()}
        return {name: rule.actions[0].with_["text"] for name, rule in found.items()}

    @property
    def rows(self) -> dict[str, CustomRule]:
        with self._ledger.read() as connection:
            return {one.name: one for one in read_custom_rules(connection)}
