"""`postsync backtest`: past syncs against edited rules."""

from __future__ import annotations

import gc
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import house_of
from house import NOON, House
from in_process import Postsync, listening
from notifications import resource
from toy_cluster import ToyCluster

from receiver.inspection.bounded_backtest import Backtester
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.store import store_plannings
from receiver.notification.application_memory import Memory
from receiver.planning.planner import read_sync

RULE = """
- name: {name}
  {more}
  match: {{{match}}}
  actions: [{{uses: log.message, with: {{text: x}}}}]
"""
AS = 'resources: [{kind: ConfigMap, name: "a*"}]'
BS = 'resources: [{kind: ConfigMap, name: "b*"}]'


def rule(match: str, name: str = "purge", more: str = "mode: run") -> str:
    return RULE.format(name=name, match=match, more=more)


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, rule(AS) + rule(BS, "other"))


@pytest.fixture
def edit(home: Path, postsync: Postsync) -> Any:
    """Writes rules into a file, and tests them on what is stored."""
    file = home / "edited.yaml"

    def tested(rules: str, *arguments: str) -> Any:
        file.write_text(f"version: 1\nrules:{rules}")
        return postsync("backtest", "--rules", str(file), *arguments)

    return tested


def told(done: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = done
    assert code == 0, err
    found = json.loads(out)
    return {row["rule"]: row for row in found["rules"]} | {"all": found}


def differences(done: tuple[int, str, str]) -> dict[str, tuple[int, int, int, int]]:
    """By rule: in addition and no longer, each by syncs and resources."""
    rows = told(done)
    return {
        name: (
            row["inAddition"]["syncs"], row["inAddition"]["resources"],
            row["noLonger"]["syncs"], row["noLonger"]["resources"],
        )
        for name, row in rows.items() if name != "all"
    }  # fmt: skip


def test_it_tells_what_would_have_run_in_addition_and_what_no_longer(
    house: House, edit: Any
) -> None:
    """By rule, in syncs and resources; with some of them named."""
    first = house.sync("a1", "b1", "b2")
    house.sync("a1", at=1)
    code, out, err = edit(rule(BS) + rule(BS, "other"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("2 syncs compared, which came from 20")
    at = lines.index("purge: ran for 2 syncs, would for 1")
    assert lines[at + 1 : at + 5] == [
        "  + in addition: 1 sync, 2 resources",
        f"      {first} argocd/shop 2026-06-10T12:00:00Z: ConfigMap/shop/b1, ConfigMap/shop/b2",
        "  - no longer: 2 syncs, 2 resources",
        *(line for line in lines if "12:00:01Z: ConfigMap/shop/a1" in line),
    ]
    assert lines[-1] == "the same as before: other (1 sync)"


def test_programs_get_the_same_as_json(house: House, edit: Any) -> None:
    """With what was compared."""
    sync = house.sync("a1", "b1")
    found = told(edit(rule(BS) + rule(BS, "other"), "--output", "json"))
    assert found["all"]["syncs"] == 1
    assert found["all"]["oldest"] == found["all"]["newest"]
    row = found["purge"]
    assert (row["mode"], row["ran"], row["wouldRun"]) == ("run", 1, 1)
    assert row["noLonger"]["examples"] == [
        {
            "sync": sync, "application": "argocd/shop", "finishedAt": "2026-06-10T12:00:00Z",
            "resources": ["ConfigMap/shop/a1"], "more": 0,
        }
    ]  # fmt: skip


def test_the_page_finds_the_same(house: House, edit: Any) -> None:
    """Within its bounds."""
    house.sync("a1", "b1", resource("c1", image="x:1"))
    house.sync("a1", resource("b2", "configmap/b2 serverside-applied"), at=1)
    house.store("a1", at=2)
    rules = rule(BS) + rule("resources: [{kind: ConfigMap, imageChanged: true}]", "images")
    found = told(edit(rules, "--output", "json"))["all"]
    page = Backtester(house.ledger).test(f"version: 1\nrules:{rules}", 0, (), whole=True)
    assert (page.work.rows, page.work.left_out) == (found["rules"], found["leftOut"])
    assert (page.work.syncs, page.oldest, page.newest, page.stopped) == (
        2, found["oldest"], found["newest"], "",
    )  # fmt: skip


def test_the_rules_of_then_make_no_difference(house: House, edit: Any) -> None:
    """Whatever became of their plans."""
    house.sync("a1", "b1")
    house.end(*house.claim(), fails="answered 404")
    assert differences(edit(rule(AS) + rule(BS, "other"), "--output", "json")) == {
        "purge": (0, 0, 0, 0), "other": (0, 0, 0, 0),
    }  # fmt: skip


def test_a_rule_that_the_files_have_not_runs_no_longer(house: House, edit: Any) -> None:
    """It is named as such; `--rule` leaves it out."""
    house.sync("a1", "b1")
    assert "other: ran for 1 sync, would not: the files have no such rule" in edit(rule(AS))[1]
    only = edit(rule(BS), "--rule", "purge", "--output", "json")
    assert differences(only) == {"purge": (1, 1, 1, 1)}
    assert differences(edit(rule(BS), "--rule", "other", "--output", "json")) == {
        "other": (0, 0, 1, 1)
    }


def test_a_rule_without_resources_acts_on_the_sync_itself(house: House, edit: Any) -> None:
    """It counts no resources."""
    sync = house.sync("x")
    out = edit(rule("application: {name: shop}"), "--rule", "purge")[1]
    assert "  + in addition: 1 sync\n" in out
    assert f"      {sync} argocd/shop 2026-06-10T12:00:00Z: the sync itself" in out


def test_a_rule_that_observes_runs_nothing(ledger: Ledger, edit: Any) -> None:
    """Neither then nor now; what it would observe is told."""
    house = house_of(ledger, rule(AS, more="mode: observe"))
    house.sync("a1")
    assert differences(edit(rule(AS), "--output", "json")) == {"purge": (1, 1, 0, 0)}
    out = edit(rule(AS, more="mode: observe"))[1]
    assert "ran for 0 syncs, would observe 1 sync, and send nothing" in out


def test_a_plan_that_collected_a_sync_and_that_of_a_replay_have_run(
    ledger: Ledger, edit: Any
) -> None:
    """For each of the syncs."""
    house = house_of(ledger, rule(AS, more="debounce: {window: 1m, maxWait: 2m}"))
    first, _ = house.sync("a1"), house.sync("a2", at=1)
    assert differences(edit(rule(AS), "--output", "json")) == {"purge": (0, 0, 0, 0)}
    house.use(rule(AS) + rule(AS, "late"))
    house.replay(first)
    assert differences(edit(rule(AS) + rule(AS, "late"), "--output", "json")) == {
        "purge": (0, 0, 0, 0), "late": (1, 1, 0, 0),
    }  # fmt: skip


def test_a_sync_that_was_not_acted_upon_would_not_be_now(house: House, edit: Any) -> None:
    """It was too old in its time, or is not planned yet."""
    old = house.store("a1")
    with house.ledger.read() as connection:
        stored = stored_sync(connection, old)
    why = "finished at 2026-06-10T12:00:00Z, more than 86400 s ago"
    ignored = house.planner.plan(read_sync(stored), stored.delivery, Memory(), refusal=why)
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        store_plannings(uow, [ignored])
        uow.finish()
    house.store("a1", at=1)
    out = edit(rule(AS))[1]
    assert out.startswith("0 syncs compared, which came from 20")
    assert f"left out: ignored, 1 sync ({old}: {why})" in out
    assert "left out: not planned yet, 1 sync (s-" in out


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        ("labels: {tier: web}", "labels"),
        ("fields: [data.a]", "fields"),
        ("health: Degraded", "health"),
        ("annotations: {note: x}", "annotations"),
    ],
)
def test_what_nobody_asked_live_objects_then_is_unknown(
    house: House, edit: Any, ask: str, what: str
) -> None:
    """It counts neither as in addition nor as no longer."""
    sync = house.sync("a1")
    edited = rule(f"resources: [{{kind: ConfigMap, {ask}}}]")
    (doubt,) = told(edit(edited, "--rule", "purge", "--output", "json"))["purge"]["unknown"]
    assert doubt == {"what": what, "syncs": 1, "sync": sync, "reason": ""}
    assert f"  ? unknown, as nobody looked then: {what}, 1 sync ({sync})" in edit(edited)[1]
    assert differences(edit(edited, "--rule", "purge", "--output", "json"))["purge"] == (0, 0, 0, 0)


def test_what_an_action_asks_of_live_objects_decides_nothing(house: House, edit: Any) -> None:
    """Only what is matched counts."""
    house.sync("a1")
    edited = rule(AS).replace("text: x", "text: \"${{ resource.labels['a'] }}\"")
    assert told(edit(edited, "--rule", "purge", "--output", "json"))["purge"]["unknown"] == []


def test_images_that_were_not_remembered_are_unknown_where_they_decide(
    house: House, edit: Any
) -> None:
    """The rules of then did not ask for them."""
    house.sync(resource("a1", kind="Deployment", images=["shop:1"]))
    house.sync(resource("b1", kind="Deployment", images=["shop:1"]), at=1)
    edited = rule('resources: [{kind: Deployment, name: "a*", imageChanged: true}]')
    (doubt,) = told(edit(edited, "--output", "json"))["purge"]["unknown"]
    assert (doubt["what"], doubt["syncs"]) == ("images of before", 1)


def test_what_live_objects_told_then_counts(
    ledger: Ledger, tmp_path: Path, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody asked them, messages decide alone, which is counted."""
    house = House.of(ledger, rule(AS), verify_for=120)
    cluster = ToyCluster()
    cluster.changed_at = {"a1": NOON - timedelta(seconds=10), "a2": NOON - timedelta(hours=1)}
    said = "configmap/{} serverside-applied"
    house.sync(*(resource(name, said.format(name)) for name in ("a1", "a2", "b1")))
    house.verification(cluster)._round()
    monkeypatch.delenv("POSTSYNC_TOKEN", raising=False)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    (tmp_path / "new.yaml").write_text(f"version: 1\nrules:{rule(AS)}{rule(BS, 'other')}")
    connection = {"argocd": {"kubernetes": {"inCluster": True}}}
    with listening(ledger, tmp_path, argocd=connection) as url:
        arguments = ("--url", url, "--rules", str(tmp_path / "new.yaml"))
        done = postsync("backtest", *arguments, "--output", "json")
        page = postsync("backtest", *arguments)[1]
    assert differences(done) == {"purge": (0, 0, 0, 0), "other": (1, 1, 0, 0)}
    rows = told(done)
    assert (rows["purge"]["byMessageAlone"], rows["other"]["byMessageAlone"]) == (0, 1)
    assert "1 sync by messages alone: live objects, which nobody asked then" in page


def test_a_condition_that_fails_is_told(house: House, edit: Any) -> None:
    """With its message and a sync."""
    sync = house.sync("a1")
    edited = rule(AS + ", condition: \"resource.images[0] == 'x'\"")
    out = edit(edited, "--rule", "purge")[1]
    assert f"  ! condition failed, 1 sync ({sync}: " in out


def test_only_some_syncs_are_asked_for(house: House, edit: Any) -> None:
    """By time and Application; what came is meant, not when it finished."""
    house.sync("a1", application="shop")
    house.sync("a1", application="blog")
    asked = "--output", "json"
    for arguments, number in (
        (["--application", "blog"], 1), (["--until", "1m"], 0), (["--since", "1m"], 2),
    ):  # fmt: skip
        assert told(edit(rule(AS), *arguments, *asked))["all"]["syncs"] == number
    assert edit(rule(AS), "--until", "1m")[1].startswith("0 syncs compared\n")
    assert edit(rule(AS), "--since", "yesterday")[0] == 1


def test_a_rule_that_is_nowhere_is_wrong_usage(house: House, edit: Any) -> None:
    """With the nearest one of the files; a mistake in the files is told as by `check`."""
    house.sync("a1")
    code, _, err = edit(rule(AS), "--rule", "purg")
    assert code == 2
    assert "have no rule purg, and no plan of these syncs is of one (did you mean purge?)" in (
        " ".join(err.split())
    )
    code, _, err = edit("\n- nam: x")
    assert (code, "edited.yaml:" in err) == (1, True)


def test_it_tells_how_far_it_is(house: House, edit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, when it takes longer; page after page."""
    for number in range(5):
        house.sync("a1", at=number)
    monkeypatch.setattr("receiver.cli.progress.EVERY", -1)
    monkeypatch.setattr("receiver.cli.progress.EVERY_LINE", -1)
    monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", 1)
    code, out, err = edit(rule(AS))
    assert (code, out.splitlines()[0].split(",")[0]) == (0, "5 syncs compared")
    shown = err.splitlines()
    assert [line.split(",")[0] for line in shown] == [
        "1 sync", "2 syncs", "3 syncs", "4 syncs", "5 syncs",
    ]  # fmt: skip
    oldest = datetime.fromisoformat(shown[-1].rpartition(" ")[2])
    assert datetime.now(UTC) - oldest < timedelta(minutes=5)


def test_what_it_keeps_does_not_grow_with_the_syncs(
    file_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postsync: Postsync
) -> None:
    """A page at a time: four times the syncs take no more room."""
    house = house_of(file_ledger, rule(BS))
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", 50_000)
    (tmp_path / "new.yaml").write_text(f"version: 1\nrules:{rule(AS)}")
    names = [f"a{number}" for number in range(200)]

    def peak(url: str) -> int:
        gc.collect()
        tracemalloc.start()
        arguments = ("--rules", str(tmp_path / "new.yaml"), "--url", url, "--output", "json")
        found = told(postsync("backtest", *arguments))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found["purge"]["inAddition"]["examples"]) == 3
        return size

    with listening(file_ledger, tmp_path) as url:
        house.plan([house.store(*names, at=number) for number in range(10)])
        peak(url)  # what is loaded and cached once
        few = peak(url)
        house.plan([house.store(*names, at=number) for number in range(10, 40)])
        assert peak(url) < 1.3 * few
