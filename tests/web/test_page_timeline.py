"""The picture of a sync's time: attempts as bars, waits as waits, and long pauses cut."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desks import live_house_of
from doors import doors
from house import NOON, House
from page import log_in, look, words

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import Reader
from receiver.web.page.timeline import CUT, CUTS, LANES, LEFT, RIGHT, Axis, Timeline, timeline
from receiver.web.page.words import ago, plain, span

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: purge, uses: log.message, with: {text: "1"}}
  - {name: tell, uses: log.message, wave: 1, target: application, with: {text: "2"}}
"""
COLLECTING = """
- name: gather
  match: {resources: [{kind: ConfigMap}]}
  debounce: {window: 1m}
  actions: [{uses: log.message, target: application, with: {text: "1"}}]
"""


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return live_house_of(file_ledger, RULES)


def drawn(house: House, sync: str, after: float = 0) -> Timeline:
    found = Reader(house.ledger).sync_excerpt(sync, runs=LANES, lines=0)
    assert found
    return timeline(found, datetime.now(UTC) + timedelta(seconds=after))


def recent(house: House, *names: str) -> str:
    """A sync that has ended two seconds ago."""
    return house.sync(*names, at=(datetime.now(UTC) - NOON).total_seconds() - 2)


def test_each_attempt_is_a_bar_and_the_time_between_two_a_wait(house: House) -> None:
    """In the lane of its run, below that of its plan."""
    sync = recent(house, "a")
    house.end(*house.claim(), fails="answered 503", temporary=True)
    house.pass_time(120)
    house.end(*house.claim())
    house.work()
    picture = drawn(house, sync, 120)
    operation, plan, purge, tell = picture.lanes
    assert (operation.label, plan.label) == ("Argo CD: Succeeded", "purge: succeeded")
    assert [bar.tone for bar in purge.bars] == ["retry", "good"]
    assert "attempt 1, temporary" in purge.bars[0].title
    assert "answered 503" in purge.bars[0].title
    wait = purge.waits[-1]
    assert wait.width > 400
    assert purge.bars[0].x <= wait.x < wait.x + wait.width <= purge.bars[1].x + 1
    assert [bar.tone for bar in tell.bars] == ["good"]
    assert [lane.group for lane in picture.lanes] == [True, True, False, False]


def test_what_has_not_begun_waits_until_now(house: House) -> None:
    """And says for what."""
    sync = recent(house, "a")
    house.turn()
    purge = drawn(house, sync, 30).lanes[2]
    assert purge.bars == []
    (wait,) = purge.waits
    assert wait.x + wait.width == pytest.approx(RIGHT - 8, abs=1)
    assert wait.title.startswith("waits ")


def test_a_long_time_without_anything_is_cut(house: House) -> None:
    """A retry on the next day would else make all of the first day one stroke."""
    sync = recent(house, "a")
    house.end(*house.claim(), fails="answered 404")
    house.work()
    house.pass_time(86400)
    house.retry(str(house.query("SELECT id FROM runs WHERE state = 'failed'")[0]))
    house.work()
    picture = drawn(house, sync, 86400)
    (cut,) = picture.cuts
    assert cut.title in ("1 d", "23 h")
    assert cut.width == CUT
    first, second = picture.lanes[2].bars
    assert second.x - first.x < 200
    assert all(bar.x >= LEFT and bar.x + bar.width <= RIGHT + 5 for bar in (first, second))


def test_what_failed_for_good_waits_for_nothing_until_it_is_retried(house: House) -> None:
    """Nor does what was skipped for it."""
    sync = recent(house, "a")
    house.end(*house.claim(), fails="answered 404")
    house.pass_time(300)
    house.retry(str(house.query("SELECT id FROM runs WHERE state = 'failed'")[0]))
    house.pass_time(10)
    purge = drawn(house, sync, 310).lanes[2]
    assert re.fullmatch(r"waits 1\d s: a dispatcher: .*", purge.waits[-1].title)
    house.work()
    purge, tell = drawn(house, sync, 310).lanes[2:]
    assert re.fullmatch(r"waits 1\d s: waited", purge.waits[-1].title)
    assert re.fullmatch(r"waits 1\d s: waited", tell.waits[-1].title)
    assert purge.waits[-1].x > purge.bars[0].x + 10


def test_the_axis_has_its_moments_in_their_order() -> None:
    """Also those within what is left out."""
    axis = Axis([(0, 10), (1000, 1010)])
    places = [axis.at(moment) for moment in (-5, 0, 5, 10, 500, 1000, 1005, 1010, 2000)]
    assert places == sorted(places)
    assert places[0] == LEFT
    assert places[-1] == pytest.approx(RIGHT - 8)
    assert axis.at(1000) - axis.at(10) == pytest.approx(CUT)
    assert all(LEFT <= x <= RIGHT for x, _ in axis.ticks())


def test_many_cuts_leave_room_for_what_was_done() -> None:
    """As of a run that was retried each day."""
    axis = Axis([(day * 86400.0, day * 86400.0 + 1) for day in range(60)])
    places = [axis.at(day * 86400.0) for day in range(60)]
    assert places == sorted(set(places))
    assert all(LEFT <= x <= RIGHT for x in places)
    assert {cut.title for cut in axis.cuts()} == {""}


def test_of_very_many_pauses_the_longest_are_cut() -> None:
    """As of runs that were tried again for weeks: each cut is drawn, and asked for each place."""
    spans = [(number * 100.0, number * 100.0) for number in range(300_000)]
    axis = Axis([*spans, (4e7, 4e7), (5e7, 5e7)])
    assert len(axis.cuts()) == 2
    uneven = [(number**2 * 10.0, number**2 * 10.0) for number in range(1000)]
    assert len(Axis(uneven).cuts()) == CUTS


def test_one_moment_alone_is_an_axis_too() -> None:
    """As of a notification that tells no times."""
    axis = Axis([(7.0, 7.0)])
    assert axis.at(7.0) == LEFT
    assert len(axis.ticks()) == 1


def test_of_many_runs_the_first_are_drawn(house: House) -> None:
    """The tables have all, and the picture says how many it lacks."""
    picture = drawn(house, recent(house, *[f"a-{number}" for number in range(LANES + 9)]))
    assert len(picture.lanes) == 2 + LANES
    assert picture.left_out == 10


@pytest.mark.parametrize("state", ["new", "ignored", "failed"])
def test_a_sync_that_was_not_planned_has_its_page(house: House, tmp_path: Path, state: str) -> None:
    """With the reason."""
    sync = house.store("a")
    with house.ledger.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE syncs SET state = '{state}', reason = 'too old' WHERE id = '{sync}'"
        )
    with doors(house.ledger, tmp_path) as web:
        log_in(web.client)
        assert state in words(look(web, f"/syncs/{sync}"))
        assert state in words(look(web, ""))


def test_a_plan_of_several_syncs_has_its_page(house: House, tmp_path: Path) -> None:
    """From each of them, and says until when it collects."""
    house.use(COLLECTING)
    one, other = recent(house, "a"), house.sync("b", at=9e8)
    with doors(house.ledger, tmp_path) as web:
        log_in(web.client)
        for sync in (one, other):
            assert "collecting" in words(look(web, f"/syncs/{sync}"))
        plan = house.plans("id")[0]
        told = look(web, f"/plans/{plan}").text
        assert one in told
        assert other in told
        assert f"/page/plans/{plan}/approve" in told


def test_an_event_without_an_operation_has_its_page(house: House, tmp_path: Path) -> None:
    """On a channel of one's own there may be neither times nor resources."""
    sync = house.bring(
        b'{"application": {"name": "shop", "namespace": "argocd"}}', channel="health"
    )
    house.plan([sync])
    with doors(house.ledger, tmp_path) as web:
        log_in(web.client)
        assert "health" in words(look(web, f"/syncs/{sync}"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.25, "250 ms"), (9, "9 s"), (75, "1 min 15 s"), (3600, "1 h"),
     (36000, "10 h"), (90000, "1 d 1 h"), (864000, "10 d")],
)  # fmt: skip
def test_durations_are_short(seconds: float, text: str) -> None:
    """The second unit only where it says something."""
    assert span(seconds) == text


def test_times_are_told_from_now() -> None:
    """Those to come, too."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert ago("2026-01-01T11:59:00Z", now) == "1 min ago"
    assert ago("2026-01-01T12:00:30Z", now) == "in 30 s"
    assert ago(None) == ""


def test_lines_and_tabs_of_others_words_stay() -> None:
    """All else that is not printable is escaped."""
    assert plain("a\n\tb\r\x1b\u202e") == "a\n\tb\\r\\x1b\\u202e"
    assert (plain(None), plain(3)) == ("", 3)
