"""What a run is given: its parameters, rendered when its wave is released."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from notifications import resource
from planning import made_run, renderer, rules_of, sync_of

from receiver.core.model import Json, Sync
from receiver.core.states import RunState
from receiver.ledger.plans.records import RunChange
from receiver.ledger.plans.run import Run
from receiver.planning.parameters import Scene
from receiver.planning.plan_view import ON_FAILURE, Failure
from receiver.rules.schema.rule_file import Rule

SYNC = sync_of(resource("a"), resource("b"))
KEYS = [item.key for item in SYNC.resources]


def rule(actions: str, on_failure: str = "", *, first: str = "resource") -> Rule:
    """A rule of these actions, as a list's items, after one that is named first."""
    return rules_of(
        "- name: r\n  match: {resources: [{kind: ConfigMap}]}\n  actions:\n"
        f"  - {{name: first, wave: -1, target: {first}, uses: log.message, with: {{text: x}}}}\n"
        f"{actions}" + (f"  onFailure:\n{on_failure}" if on_failure else "")
    )[0]


def run_of(action: str, index: int | None = None, **fields: Any) -> Run:
    target = "batch" if index is None else KEYS[index]
    return made_run(
        id=f"{action}-{index}", action=action, target=target, target_index=index, **fields
    )


def ended(action: str, index: int | None, output: Json) -> Run:
    return run_of(action, index, state=RunState.SUCCEEDED, output=json.dumps(output))


def release(
    of: Rule, *runs: Run, earlier: Sequence[Run] = (), failure: Failure | None = None,
    sync: Sync = SYNC,
) -> list[RunChange]:  # fmt: skip
    """Release runs of a rule, each of the action that has its name."""
    actions = {action.name: action for action in (*of.actions, *of.on_failure)}
    scene = Scene.of(of, [sync], [(sync.id, index) for index in range(len(sync.resources))])
    wave = [(run, actions[run.action]) for run in runs]
    return renderer().release(scene, wave, earlier, failure)


def say(text: str, **action: str) -> str:
    """An action that says this text."""
    more = "".join(f", {name}: {value}" for name, value in action.items())
    return f"  - {{name: say, uses: log.message, with: {{text: {json.dumps(text)}}}{more}}}\n"


def text_of(change: RunChange) -> str:
    assert change.state is RunState.DUE, change.reason
    assert isinstance(change.parameters, dict)
    return str(change.parameters["text"])


def test_each_run_sees_its_own_resource() -> None:
    """And one for the batch sees all of them."""
    each = release(rule(say("${{ resource.name }}")), run_of("say", 0), run_of("say", 1))
    assert [text_of(change) for change in each] == ["a", "b"]
    whole = release(
        rule(say("${{ resources.map(r, r.name).join(' ') }}", target="batch")), run_of("say")
    )
    assert text_of(whole[0]) == "a b"


def test_a_run_sees_what_an_earlier_action_gave_for_the_same_target() -> None:
    """Not what it gave for its neighbour."""
    earlier = [ended("first", 0, {"id": "A"}), ended("first", 1, {"id": "B"})]
    changes = release(
        rule(say("${{ actions.first.output.id }}")),
        run_of("say", 1), run_of("say", 0), earlier=earlier,
    )  # fmt: skip
    assert [text_of(change) for change in changes] == ["B", "A"]


def test_a_run_for_all_sees_an_earlier_action_s_runs_together() -> None:
    """In the order of the resources, with state and target of each."""
    text = (
        "${{ actions.first.runs.map(r, r.target + '=' + r.output.id).join(' ') }}"
        " ${{ actions.first.succeeded }} ${{ actions.first.failed }}"
    )
    earlier = [
        ended("first", 0, {"id": "A"}),
        run_of("first", 1, state=RunState.SUCCEEDED, output=json.dumps({"id": "B"})),
    ]
    (change,) = release(rule(say(text, target="batch")), run_of("say"), earlier=earlier)
    assert text_of(change) == f"{KEYS[0]}=A {KEYS[1]}=B true false"


def test_an_action_for_all_is_seen_by_each_target() -> None:
    """Its single output stands for every resource."""
    (change,) = release(
        rule(say("${{ actions.first.output.id }}"), first="batch"),
        run_of("say", 1), earlier=[ended("first", None, {"id": "W"})],
    )  # fmt: skip
    assert text_of(change) == "W"


def test_an_action_with_a_dash_is_named_in_brackets() -> None:
    """CEL would take the dash for a minus."""
    ask = "  - {name: ask-first, wave: -1, uses: log.message, with: {text: x}}\n"
    of = rule(ask + say("${{ actions['ask-first'].output.id }}"))
    (change,) = release(of, run_of("say", 0), earlier=[ended("ask-first", 0, {"id": "A"})])
    assert text_of(change) == "A"


def test_a_false_if_skips_and_says_so() -> None:
    """For each target by itself; the reason is the condition as it was written."""
    of = rule(say("x", **{"if": "resource.name == 'a'"}))
    first, second = release(of, run_of("say", 0), run_of("say", 1))
    assert first.state is RunState.DUE
    assert (second.state, second.reason) == (
        RunState.SKIPPED,
        "if is false: resource.name == 'a'",
    )


def test_an_if_that_cannot_be_evaluated_fails_and_is_named() -> None:
    """Neither true nor false: to do nothing quietly would hide it."""
    of = rule(say("x", **{"if": "actions.first.output.id == 'A'"}))
    (change,) = release(of, run_of("say", 0), earlier=[ended("first", 0, {})])
    assert change.state is RunState.FAILED
    assert change.reason.startswith("not rendered: if: ")


def test_what_cannot_be_rendered_names_the_parameter() -> None:
    """And costs the other targets nothing."""
    actions = """  - name: say
    uses: http.request
    with:
      url: http://127.0.0.1/
      json: {list: [1, "${{ actions.first.output.id }}"]}
"""
    earlier = [ended("first", 0, {}), ended("first", 1, {"id": "B"})]
    failed, due = release(rule(actions), run_of("say", 0), run_of("say", 1), earlier=earlier)
    assert failed.state is RunState.FAILED
    assert failed.reason.startswith("not rendered: json.list[1]: ")
    assert due.state is RunState.DUE


def test_parameters_that_do_not_fit_after_rendering_name_the_parameter() -> None:
    """Nothing is sent, and what was rendered is kept for whoever looks."""
    actions = """  - name: say
    uses: http.request
    with: {url: "${{ resource.name }}", method: "${{ resource.kind }}"}
"""
    (change,) = release(rule(actions), run_of("say", 0))
    assert change.state is RunState.FAILED
    assert change.reason.startswith("not rendered: ")
    assert "url" in change.reason
    assert change.parameters == {"url": "a", "method": "ConfigMap"}


def test_a_handler_that_is_gone_fails_its_runs_only() -> None:
    """A plan from before a package was removed."""
    actions = "  - {name: old, uses: old.thing}\n"
    gone, here = release(rule(actions + say("x")), run_of("old", 0), run_of("say", 0))
    assert (gone.state, here.state) == (RunState.FAILED, RunState.DUE)
    assert "there is no handler old.thing" in gone.reason


def test_secrets_are_kept_as_references_beside_the_parameters() -> None:
    """The ledger never has their values, nor does any expression see them."""
    actions = """  - name: say
    uses: http.request
    with:
      url: http://127.0.0.1/
      headers:
        Authorization: {env: POSTSYNC_SECRET_CDN, format: "Bearer {}"}
        X/Y: {file: cdn/key}
"""
    (change,) = release(rule(actions), run_of("say", 0))
    assert change.state is RunState.DUE, change.reason
    assert isinstance(change.parameters, dict)
    assert change.parameters["headers"] == {"Authorization": None, "X/Y": None}
    assert change.secrets == {
        "/headers/Authorization": {
            "kind": "env", "name": "POSTSYNC_SECRET_CDN", "format": "Bearer {}",
        },
        "/headers/X~1Y": {"kind": "file", "name": "cdn/key", "format": "{}"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "{'env': 'POSTSYNC_SECRET_CDN'}",
        "{'a': [{'file': resource.name}]}",
        "actions.first.output",
    ],
)
def test_an_expression_cannot_make_a_reference_to_a_secret(expression: str) -> None:
    """What it gives is data, whatever its shape and wherever it came from."""
    actions = f"""  - name: say
    uses: http.request
    with: {{url: http://127.0.0.1/, json: {{x: "${{{{ {expression} }}}}"}}}}
"""
    earlier = [ended("first", 0, {"env": "POSTSYNC_SECRET_CDN"})]
    (change,) = release(rule(actions), run_of("say", 0), earlier=earlier)
    assert change.state is RunState.DUE, change.reason
    assert change.secrets == {}
    assert isinstance(change.parameters, dict)
    assert change.parameters["json"] is not None


@pytest.mark.parametrize(
    "name", ["{env: POSTSYNC_SECRET_CDN}", "${{ application.name }}", "{{ resource.name }}"]
)
def test_a_name_that_looks_like_one_of_ours_stays_text(name: str) -> None:
    """Neither a reference nor an expression: what comes with a sync is never read as a rule."""
    sync = sync_of(resource(name))
    (change,) = release(rule(say("${{ resource.name }}!")), run_of("say", 0), sync=sync)
    assert text_of(change) == f"{name}!"
    assert change.secrets == {}


def test_on_failure_sees_what_failed() -> None:
    """With the rule, the action and the resource that it was for."""
    text = (
        "${{ failure.rule }} ${{ failure.action }} ${{ failure.resource }}: ${{ failure.message }}"
    )
    of = rule(say("x"), say(text).replace("name: say", "name: tell"))
    failed = run_of("say", 1, state=RunState.FAILED, reason="answered 404")
    tell = run_of("tell", section=ON_FAILURE)
    (change,) = release(of, tell, earlier=[failed], failure=Failure.of(failed))
    assert text_of(change) == f"r say {KEYS[1]}: answered 404"


def test_the_lane_is_the_host_that_a_request_keeps_busy() -> None:
    """Known only once the address is rendered; other handlers have a lane of their own."""
    actions = """  - name: ask
    uses: http.request
    with: {url: "http://${{ resource.name }}.example.com/x"}
  - {name: say, uses: log.message, with: {text: x}}
"""
    runs = (run_of("ask", 0), run_of("ask", 1), run_of("say", 0))
    first, second, third = (change.lane for change in release(rule(actions), *runs))
    assert "a.example.com" in first
    assert "b.example.com" in second
    assert third == "log.message"


def test_a_field_that_nobody_could_read_is_null() -> None:
    """As on a server without a connection: the expression sees it, and its run does not fail."""
    actions = say("changed: ${{ resource.fields['data.a'].changed == true }}")
    one = rules_of(
        "- name: r\n  match: {resources: [{kind: ConfigMap, fields: data.a}]}\n"
        f"  actions:\n{actions}"
    )[0]
    (change, _) = release(one, run_of("say", 0), run_of("say", 1))
    assert text_of(change) == "changed: false"
