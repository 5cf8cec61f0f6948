"""Stories that one page has."""

from __future__ import annotations

from receiver.ledger.queries.fields import WHOLE
from receiver.ledger.queries.reader import Part, Reader
from receiver.ledger.queries.rows import PlanStory, RunStory, SyncDetails

ONE_PAGE = Part(WHOLE, 500)


def story_of(reader: Reader, sync: str) -> SyncDetails | None:
    """The story of a sync, None of none."""
    page = reader.sync_page(sync, ONE_PAGE)
    assert page is None or page[1] is None
    return None if page is None else page[0]


def plan_of(reader: Reader, plan: str) -> PlanStory | None:
    """The story of a plan, None of none."""
    page = reader.plan_page(plan, ONE_PAGE)
    assert page is None or page[1] is None
    return None if page is None else page[0]


def run_of(reader: Reader, run: str) -> RunStory | None:
    """The story of a run, None of none."""
    page = reader.run_page(run, ONE_PAGE)
    assert page is None or page[1] is None
    return None if page is None else page[0]
