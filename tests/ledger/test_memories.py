"""What is remembered of an Application from one sync to the next, in a real ledger."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from desks import put_in_force
from house import House
from notifications import resource

from receiver.inspection.explain import Explainer
from receiver.ledger.engine.ledger import Ledger
from receiver.notification.application_memory import MOST, Memory, MemoryUpdate, apply_update
from receiver.notification.recalled import Trace

RULES = """
- name: configs
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}: ${{ resource.changeReason }}"}}]
- name: images
  onUnknownChange: skip
  match: {resources: [{kind: Deployment, name: "web*", imageChanged: true}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
DRY = {"operation": {"sync": {"dryRun": True}}}
SELECTIVE = {"operation": {"sync": {"resources": [{"kind": "ConfigMap", "name": "a"}]}}}
ONLY = {"operation": {"sync": {"syncOptions": ["ApplyOutOfSyncOnly=true"]}}}


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES)


def same(name: str, **fields: Any) -> dict[str, Any]:
    return resource(name, f"configmap/{name} unchanged", **fields)


def web(image: str, message: str = "", *, name: str = "web", **fields: Any) -> dict[str, Any]:
    return resource(name, message, kind="Deployment", images=[image], **fields)


def done(house: House) -> list[str]:
    """The texts of the runs so far."""
    return [run.parameters["text"] for run in house.work()]


def planned(house: House) -> dict[str, Any]:
    """The last sync's line of the trail."""
    return house.events("sync.planned")[-1]


def memories(house: House) -> list[dict[str, Any]]:
    rows = house.query("SELECT packed_images, failed FROM memories ORDER BY sender, application")
    return [
        {"images": json.loads(zlib.decompress(row[0])), "failed": json.loads(row[1])}
        for row in rows
    ]


def test_the_next_sync_tells_what_a_failed_one_changed(house: House) -> None:
    """Its own message says `unchanged`, and without that the change would never be acted upon."""
    failed = house.sync("a", same("b"), at=0, phase="Failed")
    assert planned(house)["carryOver"] == 1
    house.sync(same("a"), same("b"), at=10)
    line = planned(house)
    assert (line["carriedOver"], line["failedSyncs"]) == (1, [failed])
    assert done(house) == [f"a: by the failed sync {failed}"]
    assert house.query("SELECT changed FROM syncs ORDER BY finished_at") == [1, 1]


def test_it_is_told_once(house: House) -> None:
    """The sync that succeeded has settled it."""
    house.sync("a", at=0, phase="Error")
    house.sync(same("a"), at=10)
    house.sync(same("a"), at=20)
    assert len(done(house)) == 1
    assert memories(house) == []


def test_several_failed_syncs_in_a_row_are_carried_over_together(house: House) -> None:
    """Each resource with the newest that changed it, and for certain rather than perhaps."""
    first = house.sync("a", "b", at=0, phase="Failed")
    second = house.sync(
        resource("a", "configmap/a serverside-applied"), "b", same("c"), at=10, phase="Failed"
    )
    house.sync(same("a"), same("b"), same("c"), at=20)
    assert done(house) == [f"a: by the failed sync {first}", f"b: by the failed sync {second}"]


def test_what_a_failed_sync_may_have_changed_is_unknown(house: House) -> None:
    """Such as a resource whose apply failed: it is not guessed, `onUnknownChange` decides."""
    failed = house.sync(resource("a", "denied", status="SyncFailed"), at=0, phase="Failed")
    house.sync(same("a"), at=10)
    assert done(house) == [f"a: unchanged, but perhaps changed by the failed sync {failed}"]


def test_a_change_of_its_own_keeps_its_own_reason(house: House) -> None:
    """Nothing is to be added to it."""
    house.sync("a", at=0, phase="Failed")
    house.sync("a", at=10)
    assert done(house) == ["a: configured"]


def test_a_dry_run_neither_tells_of_failed_syncs_nor_is_carried_over(house: House) -> None:
    """Nothing was done in it, whatever its phase."""
    house.sync("x", at=0, phase="Failed", **DRY)
    house.sync("a", at=5, phase="Failed")
    house.sync(same("a"), same("x"), at=10, **DRY)
    assert done(house) == []
    house.sync(same("a"), same("x"), at=20)
    assert [text[:2] for text in done(house)] == ["a:"]


def test_a_selective_sync_settles_only_what_it_lists(house: House) -> None:
    """The others are told of by the next sync that lists them."""
    house.sync("a", "b", at=0, phase="Failed")
    house.sync(same("a"), at=10, **SELECTIVE)
    assert [text[:2] for text in done(house)] == ["a:"]
    house.sync(same("a"), same("b"), at=20)
    assert [text[:2] for text in done(house)] == ["b:"]


def test_what_the_next_sync_does_not_list_is_named_on_the_trail(house: House) -> None:
    """With ApplyOutOfSyncOnly what a failed sync changed is in sync by then."""
    house.sync("a", "b", at=0, phase="Failed")
    house.sync(same("b"), at=10, **ONLY)
    assert planned(house)["notListed"] == ["ConfigMap/shop/a"]
    house.sync(same("a"), at=20)
    assert "notListed" not in planned(house)
    assert memories(house) == []


def test_a_sync_that_finished_before_the_failed_one_says_nothing_of_it(house: House) -> None:
    """What counts is when they finished, in whatever order they come."""
    house.sync("a", at=10, phase="Failed")
    house.sync(same("a"), at=5)
    assert done(house) == []
    house.sync(same("a"), at=20)
    assert len(done(house)) == 1


def test_a_failed_sync_that_comes_late_is_told_of_by_the_sync_after(house: House) -> None:
    """The one that followed it had been planned by then; late is better than never."""
    house.sync(same("a"), at=20)
    late = house.sync("a", at=10, phase="Failed")
    house.sync(same("a"), at=30)
    assert done(house) == [f"a: by the failed sync {late}"]


def test_each_sender_and_each_application_has_its_own(house: House) -> None:
    """The same name elsewhere is something else."""
    house.sync("a", at=0, phase="Failed")
    house.sync(same("a"), at=10, sender="east")
    house.sync(same("a"), at=10, application="blog")
    assert done(house) == []


def test_hooks_are_not_carried_over(house: House) -> None:
    """They run in each sync, and say of each what they did."""
    hook = {"hookType": "PreSync", "syncPhase": "PreSync"}
    house.sync(resource("seed", "seed created", **hook), at=0, phase="Failed")
    assert memories(house) == []


def test_replay_and_explanation_know_what_the_planning_knew(house: House) -> None:
    """It is stored with the sync: what came later makes no difference."""
    failed = house.sync("a", at=0, phase="Failed")
    mended = house.sync(same("a"), at=10)
    put_in_force(house)
    told = json.dumps(Explainer(house.ledger).explain(mended).rows)
    assert f"by the failed sync {failed}" in told
    assert house.query(f"SELECT recalled FROM syncs WHERE id = '{mended}'") != ["{}"]
    house.sync("a", at=20)
    assert json.dumps(Explainer(house.ledger).explain(mended).rows) == told


def test_a_dry_run_and_a_refused_apply_leave_the_known_images_alone(house: House) -> None:
    """Else the sync that really brings the image would find nothing new in it."""
    house.sync(web("shop:1"), at=0)
    house.sync(web("shop:2", "deployment.apps/web configured (dry run)"), at=10, **DRY)
    house.sync(web("shop:2", "denied", status="SyncFailed"), at=20, phase="Failed")
    house.sync(web("shop:2", "denied", status="SyncFailed"), at=21)
    assert done(house) == []
    house.sync(web("shop:2"), at=30)
    assert done(house) == ["web"]


def test_an_image_that_a_failed_sync_brought_is_new_to_the_next_that_succeeds(
    house: House,
) -> None:
    """No action has seen it yet."""
    house.sync(web("shop:1"), at=0)
    house.sync(web("shop:2"), at=10, phase="Failed")
    house.sync(web("shop:2", "deployment.apps/web unchanged"), at=20)
    assert done(house) == ["web"]


def test_a_new_image_makes_an_unknown_change_a_change(house: House) -> None:
    """The rule leaves out what is unknown, and server-side apply tells of nothing."""
    message = "deployment.apps/web serverside-applied"
    for at, image in enumerate(["shop:1", "shop:1", "shop:2"]):
        house.sync(web(image, message), at=at)
    assert done(house) == ["web"]
    (match,) = house.events("rule.matched")
    assert "changed (its images changed; serverside-applied" in match["targets"][0]["reason"]


def test_only_images_that_a_rule_asks_about_are_kept(house: House) -> None:
    """Whatever its status and image are now; of other Deployments nothing is kept."""
    house.sync(web("shop:1"), web("api:1", name="api"), web("x:1", name="web-2"), at=0)
    assert [set(one["images"]) for one in memories(house)] == [
        {"Deployment/shop/web", "Deployment/shop/web-2"}
    ]
    house.use(RULES.replace("web*", "none"))
    house.sync(web("shop:1"), at=10)
    assert memories(house) == []


def test_hooks_with_a_generated_name_are_never_kept(house: House) -> None:
    """Each has a name of its own, and none comes again."""
    house.use(
        "- {name: all, match: {resources: [{imageChanged: true, hookType: any}]},"
        " actions: [{uses: log.message, with: {text: x}}]}"
    )
    hook = {"hookType": "PostSync", "syncPhase": "PostSync"}
    house.sync(
        web("a:1", name="smoke-9370534-postsync-1795887792", **hook),
        web("a:1", name="migrate", **hook), at=0,
    )  # fmt: skip
    assert [set(one["images"]) for one in memories(house)] == [{"Deployment/shop/migrate@PostSync"}]


def test_images_are_written_only_when_they_change(house: House) -> None:
    """A sync with the same images costs no write."""
    house.sync(web("shop:1"), at=0)
    before = house.query("SELECT images_at FROM memories")
    house.sync(web("shop:1"), at=10)
    assert house.query("SELECT images_at FROM memories") == before
    house.sync(web("shop:2"), at=20)
    assert house.query("SELECT images_at FROM memories") != before


def test_images_of_what_a_whole_sync_does_not_list_are_forgotten(house: House) -> None:
    """It is gone from Git; a sync that lists only some leaves the others alone."""
    both = (web("shop:1"), web("shop:1", name="web-2"))
    house.sync(*both, at=0)
    house.sync(web("shop:1"), at=10, **ONLY)
    house.sync(web("shop:1"), at=11, **SELECTIVE)
    assert len(memories(house)[0]["images"]) == 2
    house.sync(web("shop:1"), at=20)
    assert list(memories(house)[0]["images"]) == ["Deployment/shop/web"]


def test_a_memory_is_bounded() -> None:
    """What was learnt first goes first, of an Application that names new things for ever."""
    memory, half = Memory(), MOST // 2
    for at in range(3):
        names = [f"{at}-{number}" for number in range(half)]
        traces = {name: Trace("s-1", at, certain=True) for name in names}
        memory = apply_update(
            memory, MemoryUpdate(at, images=dict.fromkeys(names, "a:1"), failed=traces)
        )
    assert len(memory.images) == len(memory.failed) == MOST
    assert not {"0-0", f"0-{half - 1}"} & {*memory.images, *memory.failed}
    assert {"1-0", f"2-{half - 1}"} <= {*memory.images} & {*memory.failed}


@pytest.mark.parametrize(("retries", "options"), [(2, True), (0, True), (2, False)])
def test_a_list_that_may_lack_changes_is_told(house: House, retries: int, options: bool) -> None:
    """After a retry with ApplyOutOfSyncOnly what the first attempt changed is not listed."""
    house.sync("a", at=0, retryCount=retries, **(ONLY if options else {}))
    told = planned(house).get("incomplete", "")
    assert bool(told) == (retries > 0 and options)
    assert not told or "may be missing from the list" in told


@pytest.mark.parametrize("column", ["packed_images", "failed"])
def test_a_memory_that_cannot_be_read_is_none(house: House, column: str) -> None:
    """A damaged row holds no sync up, and the next sync writes it anew."""
    house.sync(web("web:1"), at=0)
    house.sync(web("web:2"), same("b"), at=10, phase="Failed")
    with house.ledger.write() as connection:
        connection.exec_driver_sql(f"UPDATE memories SET {column} = '{{'")
    house.sync(web("web:2"), at=20)
    assert planned(house)["resources"] == 1
    house.sync(web("web:3"), at=30)
    assert done(house)[-1] == "web"
