"""What of an action is kept from one run to the next."""

from __future__ import annotations

from planning import handlers, rules_of

from receiver.core.index_key import LONGEST
from receiver.planning.prepared_action import KEPT, PreparedActions
from receiver.rules.expressions.cel import Expressions
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.names import tenant_of_lane


def actions() -> PreparedActions:
    return PreparedActions(Expressions(), handlers())


def rule() -> Rule:
    (made,) = rules_of("""
- name: one
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
""")
    return made


def test_an_action_is_prepared_once() -> None:
    """Its templates are parsed for the first run, whichever plan that is of."""
    kept, one = actions(), rule()
    assert kept.get(one, one.actions[0]) is kept.get(one, one.actions[0])


def test_an_edited_rule_is_prepared_anew() -> None:
    """What its expressions may name follows from the whole rule, not from the action alone."""
    kept, one = actions(), rule()
    edited = one.model_copy(update={"mode": "observe"})
    assert edited.actions[0] is one.actions[0]
    assert kept.get(one, one.actions[0]).rule.mode == "run"
    assert kept.get(edited, edited.actions[0]).rule.mode == "observe"


def test_so_many_actions_are_kept() -> None:
    """Those that were prepared last."""
    kept, rules = actions(), [rule() for _ in range(KEPT + 1)]
    first, *_, last = [kept.get(one, one.actions[0]) for one in rules]
    assert kept.get(rules[-1], rules[-1].actions[0]) is last
    assert kept.get(rules[0], rules[0].actions[0]) is not first


def test_the_lane_of_a_long_address_is_short_and_its_own() -> None:
    """And its tenant is found in it, for the rate that the tenant has."""
    (made,) = rules_of("""
- name: one
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: http.request, with: {url: "https://${{ resource.name }}"}}]
""")
    owned = made.model_copy(update={"name": "team-a/one"})
    action = actions().get(owned, owned.actions[0])
    lanes = {action.lane({"url": f"https://{'a' * 20_000}.{end}"}) for end in ("com", "org")}
    assert len(lanes) == 2
    assert {tenant_of_lane(lane) for lane in lanes} == {"team-a"}
    assert all(len(lane.encode()) < LONGEST for lane in lanes)
