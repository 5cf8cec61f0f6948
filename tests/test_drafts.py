"""What a turn works out beforehand, when the ledger fails meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from desks import TWO
from house import House
from planning import planner_of, renderer
from sqlalchemy import text

from receiver.dispatcher.drafts import Drafts
from receiver.dispatcher.rules import RulesInForce
from receiver.errors import LedgerUnavailable
from receiver.expressions import Expressions
from receiver.ledger.ledger import Ledger
from receiver.logs import configure_logs
from receiver.registry import Registry
from receiver.rulebook import Rulebook


@pytest.fixture
def drafts(ledger: Ledger, tmp_path: Path) -> Drafts:
    expressions = Expressions()
    rulebook = Rulebook([tmp_path], Registry.discover(), expressions)
    rules = RulesInForce(
        rulebook, ledger, expressions, renderer(), lambda: None, configure_logs("json")
    )
    made = Drafts(rules, renderer(), configure_logs("json"), max_age=1e9)
    made.use(planner_of(TWO))
    return made


def test_a_ledger_that_fails_while_a_sync_is_planned_is_no_fault_of_the_sync(
    ledger: Ledger, drafts: Drafts
) -> None:
    """The turn is taken again; a sync that failed because of it would never be acted upon."""
    House.of(ledger, TWO).store("a")
    with ledger.write() as connection:
        connection.execute(text("ALTER TABLE memories RENAME TO elsewhere"))
    with pytest.raises(LedgerUnavailable, match="memories"), ledger.read() as connection:
        drafts.plannings(connection, 10)
    with ledger.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO memories"))
    with ledger.read() as connection:
        (planning,) = drafts.plannings(connection, 10)
    assert [plan.rule for plan in planning.plans] == ["r"]
