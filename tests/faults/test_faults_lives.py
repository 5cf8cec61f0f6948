"""The state machine of runs, led through by hypothesis over real ledgers."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from lives import Lives, NewLedger
from scenario import Lasting

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger


@pytest.fixture
def sqlite(tmp_path: Path) -> NewLedger:
    """New files, copies of one that is migrated."""
    blank, numbers = tmp_path / "blank.db", itertools.count()
    open_ledger(blank).close()

    @contextmanager
    def new() -> Iterator[Ledger]:
        place = tmp_path / f"{next(numbers)}.db"
        shutil.copy(blank, place)
        ledger = open_ledger(place)
        try:
            yield ledger
        finally:
            ledger.close()

    return new


@pytest.fixture
def postgresql(new_on_server: NewLedger) -> NewLedger:
    return new_on_server


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["sqlite", "postgresql"])
def test_whatever_workers_operators_and_time_do(
    request: pytest.FixtureRequest, engine_name: str, lasting: Lasting
) -> None:
    """The laws hold after each step, and in the end every plan and every run ends.

    A failure is not shrunk, which takes minutes: the blob that it prints begins again there.
    """

    class OverThisEngine(Lives):
        new_ledger = staticmethod(request.getfixturevalue(engine_name))

    examples = int(lasting(12, 0.06))
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        OverThisEngine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, database=None,
            suppress_health_check=quiet, print_blob=True, phases=[Phase.generate],
        ),
    )  # fmt: skip
