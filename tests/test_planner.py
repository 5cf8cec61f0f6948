"""What a sync becomes: plans with their reasons, or a reason why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from notifications import resource
from planning import planner_of, sync_of

from receiver.core.model import Sync
from receiver.core.states import RunState, SyncState
from receiver.ledger.plans.records import NewPlan, Planning
from receiver.notification.application_memory import Memory, apply_update
from receiver.planning.planner import EVENT_TARGETS, memory_key

TELL = "actions: [{uses: log.message, with: {text: '${{ resource.name }}'}}]"
CONFIG = f"""
- name: config
  match: {{resources: [{{kind: ConfigMap}}]}}
  {TELL}
"""


WEB = f"""
- name: web
  match: {{resources: [{{kind: Deployment, imageChanged: true}}]}}
  {TELL}
"""


def plan(rules: str, sync: Sync) -> Planning:
    return planner_of(rules).plan(sync, "d-1", Memory())


def remembered(planning: Planning) -> Memory:
    """What is remembered after this planning, when nothing was before."""
    assert planning.memory_update
    return apply_update(Memory(), planning.memory_update)


def events(planning: Planning, name: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in planning.events if event.name == name]


def only(planning: Planning) -> NewPlan:
    assert len(planning.plans) == 1
    return planning.plans[0]


def targets(planning: Planning) -> list[dict[str, Any]]:
    found = only(planning).targets
    assert isinstance(found, list)
    return found


def test_a_rule_that_matches_is_a_plan_with_its_targets_and_reasons() -> None:
    """Both in what is stored and in what the trail says."""
    sync = sync_of(resource("a"), resource("b", "configmap/b unchanged"), resource("c"))
    planning = plan(CONFIG, sync)
    made = targets(planning)
    assert [(t["index"], t["resource"]) for t in made] == [
        (0, "ConfigMap/shop/a"),
        (2, "ConfigMap/shop/c"),
    ]
    assert [event.name for event in planning.events] == ["sync.planned", "rule.matched"]
    told = events(planning, "rule.matched")[0]
    assert told == {
        "rule": "config",
        "mode": "run",
        "targets": [{"resource": t["resource"], "reason": t["reason"]} for t in made],
        "runs": 2,
    }
    assert made[0]["reason"] == "resources[0]: ConfigMap shop/a changed (configured)"
    assert planning.events[1].plan == only(planning).id


def test_planning_tells_how_many_of_what_there_were() -> None:
    """The sync's line has the numbers, and the ledger how many resources changed."""
    sync = sync_of(resource("a"), resource("b", "configmap/b unchanged"))
    planner = planner_of(CONFIG)
    planning = planner.plan(sync, "d-1", Memory())
    assert events(planning, "sync.planned") == [
        {
            "application": "argocd/shop", "resources": 2, "rules": 1, "matched": 1,
            "ruleSet": planner.rule_set.digest[:12],
        }
    ]  # fmt: skip
    assert (planning.state, planning.changes["changed"]) == (SyncState.PLANNED, 1)
    assert {(e.delivery, e.sync) for e in planning.events} == {("d-1", "s-1")}


def test_the_first_wave_of_a_new_plan_is_released_with_it() -> None:
    """No second look at the plan is needed before its first attempt."""
    made = only(plan(CONFIG, sync_of(resource("a"))))
    change = made.first.changes[0]
    assert (change.run, change.state) == (made.runs[0].id, RunState.DUE)
    assert change.parameters == {"text": "a"}


def test_a_sync_that_is_refused_is_ignored_and_its_images_are_remembered() -> None:
    """So that the next sync can still be compared with it."""
    sync = sync_of(resource("web", kind="Deployment", images=["shop:2", "log:1"]))
    planning = planner_of(WEB).plan(sync, "d-1", Memory(), refusal="too old")
    assert (planning.state, planning.reason, planning.plans) == (SyncState.IGNORED, "too old", ())
    assert [(e.name, dict(e.data)) for e in planning.events] == [
        ("sync.ignored", {"application": "argocd/shop", "reason": "too old"})
    ]
    again = planner_of(WEB).plan(sync, "d-2", remembered(planning))
    assert again.recalled.images == {0: False}


def test_a_sync_that_nothing_matches_is_planned() -> None:
    """That nothing happens is a decision too."""
    planning = plan(CONFIG, sync_of(resource("a", "configmap/a unchanged")))
    assert (planning.state, planning.plans) == (SyncState.PLANNED, ())
    assert events(planning, "sync.planned")[0]["matched"] == 0


def test_a_line_of_the_trail_names_some_of_many_targets() -> None:
    """The plan has all of them; the line says how many more there are."""
    sync = sync_of(*(resource(f"c{i}") for i in range(EVENT_TARGETS + 7)))
    planning = plan(CONFIG, sync)
    told = events(planning, "rule.matched")[0]
    assert (len(told["targets"]), told["moreTargets"]) == (EVENT_TARGETS, 7)
    assert len(targets(planning)) == told["runs"] == EVENT_TARGETS + 7


def test_exactly_as_many_targets_as_a_line_names_are_no_more() -> None:
    """The bound itself is within."""
    planning = plan(CONFIG, sync_of(*(resource(f"c{i}") for i in range(EVENT_TARGETS))))
    assert "moreTargets" not in events(planning, "rule.matched")[0]


def test_a_condition_that_fails_is_no_match_and_is_told() -> None:
    """One resource on which it fails costs the others nothing."""
    rules = f"""
- name: odd
  match:
    resources: [{{kind: ConfigMap}}]
    condition: int(resource.name) > 0
  {TELL}
"""
    planning = plan(rules, sync_of(resource("1"), resource("x")))
    assert [t["resource"] for t in targets(planning)] == ["ConfigMap/shop/1"]
    (error,) = events(planning, "rule.error")
    assert (error["rule"], error["resources"]) == ("odd", ["ConfigMap/shop/x"])
    nothing = plan(rules, sync_of(resource("x")))
    assert nothing.plans == ()
    assert [event.name for event in nothing.events] == ["sync.planned", "rule.error"]


def test_a_condition_that_fails_on_many_is_told_once_with_its_place() -> None:
    """How often, which expression, where in the file; and the sync itself says so."""
    rules = f"""
- name: fine
  match: {{}}
  {TELL}
- name: odd
  match:
    resources: [{{kind: ConfigMap}}]
    condition: >-
      int(resource.name)
      > 0
  {TELL}
"""
    planning = plan(rules, sync_of(*(resource(f"x{number}") for number in range(300))))
    (error,) = events(planning, "rule.error")
    assert (error["times"], error["expression"]) == (300, "int(resource.name) > 0")
    assert error["place"].startswith("r.yaml:")
    line = int(error["place"].split(":")[1])
    assert "condition:" in f"version: 1\nrules:\n{rules}".splitlines()[line - 1]
    assert len(error["resources"]) == 3
    assert planning.reason == f"rule odd: condition failed, 300 times: {error['reason']}"


def test_a_set_without_rules_is_told_of_the_sync() -> None:
    """It is not the same as rules of which none matched."""
    assert "there are no rules" in plan("  []", sync_of(resource("a"))).reason


def test_images_are_compared_with_those_remembered() -> None:
    """Whatever their order; unknown where nothing is remembered or nothing is listed."""
    before = sync_of(
        resource("same", images=["b:1", "a:1"]),
        resource("other", images=["a:1"]),
        resource("none", images=["a:1"]),
    )
    now = sync_of(
        resource("same", images=["a:1", "b:1"]),
        resource("other", images=["a:2"]),
        resource("new", images=["a:1"]),
        resource("none"),
    )
    planner = planner_of(CONFIG + WEB)
    memory = remembered(planner.plan(before, "d-1", Memory()))
    assert planner.plan(now, "d-2", memory).recalled.images == {0: False, 1: True}


def test_where_no_rule_asks_images_tell_of_what_messages_leave_open() -> None:
    """They are remembered all the same, and of all resources where objects are to be read."""
    planner = planner_of(CONFIG)
    before = sync_of(resource("a", images=["a:1"]), resource("b", images=["a:1"]))
    now = sync_of(
        resource("a", images=["a:2"]),
        resource("b", "configmap/b serverside-applied", images=["a:2"]),
    )
    memory = remembered(planner.plan(before, "d-1", Memory()))
    planned = planner.plan(now, "d-2", memory)
    assert planned.recalled.images == {1: True}
    assert planned.changes["changed"] == 2
    assert set(remembered(planned).images.values()) == {"a:2"}
    until = 1_900_000_000_000
    verifying = planner.plan(now, "d-2", memory, verify_until=until)
    assert verifying.verify_until == until
    assert verifying.recalled.images == {0: True, 1: True}


def test_expressions_see_the_verdict_on_images() -> None:
    """True, false, or null where nobody can tell."""
    rules = """
- name: images
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ string(resource.imageChanged == true) }}"}}]
"""
    planner = planner_of(rules)
    memory = remembered(planner.plan(sync_of(resource("a", images=["a:1"])), "d-1", Memory()))
    now = sync_of(resource("a", images=["a:2"]), resource("b"))
    changes = only(planner.plan(now, "d-2", memory)).first.changes
    assert [change.parameters for change in changes] == [{"text": "true"}, {"text": "false"}]


def test_what_is_remembered_of_two_clusters_is_apart() -> None:
    """The same Application of another sender is another one, and so it is on another channel."""
    sync = sync_of(resource("a"))
    others = (sync, replace(sync, sender="east"), replace(sync, channel="deployed"))
    assert len({memory_key(one) for one in others}) == 3


@pytest.mark.parametrize(
    ("concurrency", "expected"),
    [
        ("", (None, None)),
        ("concurrency: {limit: 3}", ("rule config", 3)),
        ("concurrency: {key: deploy}", ("deploy", 1)),
        ('concurrency: {key: "${{ application.project }}-${{ sync.phase }}"}',
         ("web-Succeeded", 1)),
        ('concurrency: {key: "${{ application.labels.team }}"}', ("rule config", 1)),
        ("concurrency: {key: \"${{ '' }}\"}", ("rule config", 1)),
    ],
)  # fmt: skip
def test_the_concurrency_key_is_rendered_or_the_rule_s_own(
    concurrency: str, expected: tuple[str | None, int | None]
) -> None:
    """A key that cannot be rendered must not let everything run at once."""
    made = only(plan(f"{CONFIG}  {concurrency}\n", sync_of(resource("a"))))
    assert (made.key, made.limit) == expected


def test_a_rule_that_observes_shows_what_it_would_have_sent() -> None:
    """Rendered, and skipped: no run of it ever becomes due."""
    rules = f"""
- name: watch
  mode: observe
  match: {{resources: [{{kind: ConfigMap}}]}}
  {TELL}
"""
    planning = plan(rules, sync_of(resource("a"), resource("b")))
    made = only(planning)
    assert made.mode == "observe"
    assert [(c.state, c.parameters) for c in made.first.changes] == [
        (RunState.SKIPPED, {"text": "a"}),
        (RunState.SKIPPED, {"text": "b"}),
    ]
    assert {c.reason for c in made.first.changes} == {"observed only, nothing was sent"}
    assert made.first.end == "succeeded"
    assert events(planning, "rule.matched")[0]["mode"] == "observe"


def test_a_rule_that_is_off_matches_nothing() -> None:
    """It stays in the file, counts as a rule, and does nothing."""
    planning = plan(f"{CONFIG}  enabled: false\n", sync_of(resource("a")))
    assert planning.plans == ()
    assert events(planning, "sync.planned")[0]["matched"] == 0


def test_a_rule_without_resources_is_one_plan_on_the_sync() -> None:
    """Its actions act on the application."""
    rules = """
- name: whole
  match: {phases: Failed}
  actions: [{uses: log.message, with: {text: '${{ sync.phase }}'}}]
"""
    made = only(plan(rules, sync_of(phase="Failed")))
    assert (made.targets, [run.target for run in made.runs]) == ([], ["application"])
    assert made.first.changes[0].parameters == {"text": "Failed"}
