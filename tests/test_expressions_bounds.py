"""Expressions that would take all memory fail alone, and the process and its neighbours go on."""

from __future__ import annotations

import resource as limits
import threading
from dataclasses import replace
from typing import Any

import pytest
from notifications import resource
from planning import planner_of, sync_of

from receiver.core.errors import ExpressionError
from receiver.core.states import RunState
from receiver.notification.application_memory import Memory
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.template import parse_template

TOO_MUCH = "takes more than 192 MiB of memory"
TOO_LARGE = "the result is larger than 8 MiB"
DOUBLED = ".map(x, x + x)"
BOMBS = [
    ("['ab']" + 28 * DOUBLED, TOO_MUCH),
    ("['ab']" + 23 * DOUBLED, TOO_LARGE),
    ("text.replace('a', text)", TOO_MUCH),
    ("rows.map(r, text).join(text)", TOO_MUCH),
    ("rows.map(r, rows)", TOO_LARGE),
    ("['a']" + 10 * ".map(x, [x, x, x, x])", TOO_LARGE),
    ("rows.all(a, rows.all(b, true))", "takes too many steps"),
    ("text.split('')", TOO_LARGE),
]


def evaluate(source: str, **values: Any) -> Any:
    expressions = Expressions()
    program = expressions.compile(source, Scope(tuple(values)))
    return program.evaluate(expressions.bind(values))


@pytest.mark.parametrize(("bomb", "why"), BOMBS, ids=[bomb[:40] for bomb, _ in BOMBS])
def test_a_bomb_fails_with_its_reason_and_takes_bounded_memory(bomb: str, why: str) -> None:
    """And the limit is lifted after it: the process may have what it had."""
    before = limits.getrlimit(limits.RLIMIT_DATA)
    with pytest.raises(ExpressionError, match=why):
        evaluate(bomb, text=20_000 * "ab" + 400_000 * "c", rows=list(range(1500)))
    assert limits.getrlimit(limits.RLIMIT_DATA) == before
    assert evaluate("rows.map(r, r + 1)", rows=[1, 2]) == [2, 3]


def test_a_regular_expression_costs_what_its_text_is_long() -> None:
    """RE2 goes over a text once; what makes others go over it for ever is false in a moment."""
    text = 100_000 * "a" + "!"
    for pattern in ("(a+)+$", "^(a|a)*$", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)x$"):
        assert evaluate(f"text.matches('{pattern}')", text=text) is False


def test_a_text_of_many_expressions_is_bounded_as_one_is() -> None:
    """Each below the limit, all together above it."""
    expressions = Expressions()
    scope = Scope(("text",))
    template = parse_template("${{ text }}" * 3, lambda source: expressions.compile(source, scope))
    assert not isinstance(template, str)
    with pytest.raises(ExpressionError, match=TOO_LARGE):
        template.render(expressions.bind({"text": "x" * (3 << 20)}))


def test_evaluations_side_by_side_do_not_lift_each_others_limit() -> None:
    """Each of several threads fails its bomb, and the limit is as it was in the end."""
    before, failed = limits.getrlimit(limits.RLIMIT_DATA), list[str]()

    def attempt() -> None:
        for _ in range(3):
            with pytest.raises(ExpressionError) as error:
                evaluate(BOMBS[0][0])
            failed.append(error.value.message)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 12
    assert all(TOO_MUCH in message for message in failed)
    assert limits.getrlimit(limits.RLIMIT_DATA) == before


RULES = f"""
- name: bomb
  match: {{resources: [{{kind: ConfigMap}}], condition: "['ab']{28 * DOUBLED}[0] == 'x'"}}
  actions: [{{uses: log.message, with: {{text: hello}}}}]
- name: well
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - {{name: bad, uses: log.message, with: {{text: "${{{{ ['ab']{28 * DOUBLED}[0] }}}}"}}}}
  - {{name: good, uses: log.message, with: {{text: hello}}}}
"""


def test_a_bomb_in_a_rule_or_a_run_leaves_the_others_alone() -> None:
    """The condition is no match and told; the run fails, and its neighbour is due."""
    planning = planner_of(RULES).plan(sync_of(resource("a")), "d-1", Memory())
    [told] = [event for event in planning.events if event.name == "rule.error"]
    assert TOO_MUCH in str(told.data["reason"])
    [plan] = planning.plans
    names = {run.id: run.action for run in plan.runs}
    states = {names[change.run]: change.state for change in plan.first.changes}
    assert states == {"bad": RunState.FAILED, "good": RunState.DUE}


def test_the_parameters_of_a_wave_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large text for each of many resources fails the runs that there is no room for."""
    monkeypatch.setattr("receiver.planning.parameters.LARGEST_WAVE", 1 << 20)
    rule = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ sync.message }}"}}]
"""
    sync = replace(sync_of(*(resource(f"r{n}") for n in range(5))), message="x" * 300_000)
    [plan] = planner_of(rule).plan(sync, "d-1", Memory()).plans
    states = [change.state for change in plan.first.changes]
    assert states[:3] == 3 * [RunState.DUE]
    assert set(states[3:]) == {RunState.FAILED}
