"""An operator has a run tried at once that waits for a later time."""

from __future__ import annotations

import pytest
from desks import ANN, TWO, desk, house_of, run_of

from receiver.core.errors import StateConflict, UnknownId
from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queue.pauses import Scope


def test_a_run_that_would_be_tried_again_later_is_tried_at_once(ledger: Ledger) -> None:
    """With its failures counted as before; the trail says who, and when it would have been."""
    house = house_of(ledger, TWO)
    house.sync("a")
    house.answer(Outcome(OutcomeKind.TEMPORARY, "busy", delay=600), *house.claim())
    assert house.claim() == []
    shown = desk(house).hurry_run(ANN, run_of(house, "one"))
    (claimed,) = house.claim()
    assert (claimed.id, claimed.failures, claimed.attempt) == (shown["id"], 1, 2)
    (event,) = house.events("run.hurried")
    assert (event["by"], event["reason"], event["action"]) == ("ann", "mended", "one")
    assert event["was"] > str(shown["dueAt"])


def test_a_run_that_the_other_side_works_on_is_asked_about_at_once(ledger: Ledger) -> None:
    """That is no attempt of its own."""
    house = house_of(ledger, TWO)
    house.sync("a")
    house.answer(Outcome(OutcomeKind.PENDING, state={"job": "j"}, delay=600), *house.claim())
    desk(house).hurry_run(ANN, run_of(house, "one"))
    (claimed,) = house.claim()
    assert (claimed.attempt, claimed.state) == (1, {"job": "j"})


def test_what_waits_for_no_time_is_refused_with_what_helps(ledger: Ledger) -> None:
    """What is due already, what waits for its wave, what has failed."""
    house = house_of(ledger, TWO)
    house.sync("a")
    for action in ("one", "two"):
        with pytest.raises(StateConflict, match="waits for no time") as refused:
            desk(house).hurry_run(ANN, run_of(house, action))
        assert "tells what it waits for" in refused.value.hint
    house.end(*house.claim(), fails="answered 404")
    with pytest.raises(StateConflict) as refused:
        desk(house).hurry_run(ANN, run_of(house, "one"))
    assert "/retry" in refused.value.hint
    with pytest.raises(UnknownId):
        desk(house).hurry_run(ANN, "r-nothing")


def test_a_pause_holds_it_back_all_the_same(ledger: Ledger) -> None:
    """It is due when the pause is lifted."""
    house = house_of(ledger, TWO)
    house.sync("a")
    house.answer(Outcome(OutcomeKind.TEMPORARY, "busy", delay=600), *house.claim())
    desk(house).pause(ANN, Scope.RULE, "r")
    desk(house).hurry_run(ANN, run_of(house, "one"))
    assert house.claim() == []
    desk(house).resume(ANN, Scope.RULE, "r")
    assert len(house.claim()) == 1
