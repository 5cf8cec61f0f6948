"""`finally`: what is done after all waves, whichever way they ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import House, texts

from receiver.core.errors import RuleError
from receiver.ledger.engine.ledger import Ledger
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules, rule_set_from
from receiver.rules.schema.rule_file import Rule, Target, When

LOG = "uses: log.message, with: {text: x}"


def _rule(own: str = "", defaults: str = "", actions: str = "") -> Rule:
    body = (
        f"version: 1\ndefaults: {{{defaults}}}\nrules:\n- name: r\n"
        "  match: {resources: [{kind: ConfigMap}]}\n"
        f"  actions: [{actions or '{name: a, wave: 3, ' + LOG + '}'}]\n{own}"
    )
    return rule_set_from([("r.yaml", body)]).rules[0]


def test_it_comes_last_for_the_application_and_fails_nothing() -> None:
    """In a wave of its own, after the highest one."""
    *_, last = _rule(f"  finally: [{{{LOG}}}]\n").actions
    assert (last.name, last.wave) == ("finally_log_message", 4)
    assert (last.target, last.when) == (Target.APPLICATION, When.ALWAYS)
    assert last.continue_on_error


def test_what_it_says_itself_holds() -> None:
    """Its waves are counted from the one after the others."""
    early = f"{{name: c, wave: 1, when: failure, target: resource, {LOG}}}"
    _, b, c = _rule(f"  finally: [{{name: b, wave: 2, {LOG}}}, {early}]\n").actions
    assert [(one.name, one.wave) for one in (b, c)] == [("b", 5), ("c", 4)]
    assert (c.when, c.target) == (When.FAILURE, Target.RESOURCE)


def test_a_rule_has_that_of_its_file_unless_it_has_its_own() -> None:
    """Also none: an empty list."""
    defaults = f"finally: [{{name: all, {LOG}}}]"
    names = [[one.name for one in _rule(own, defaults).actions] for own in
             ("", "  finally: []\n", f"  finally: [{{name: own, {LOG}}}]\n")]  # fmt: skip
    assert names == [["a", "all"], ["a"], ["a", "own"]]


@pytest.mark.parametrize(
    ("defaults", "own", "told"),
    [
        ("finally: [{uses: log.mesage}]", "", "1:23: defaults.finally[0].uses: there is no"),
        ("finally: [{uses: log.message}]", "", "defaults.finally[0].with.text: is missing"),
        (f"finally: [{{name: a, {LOG}}}]", "", "defaults.finally[0].name: another action"),
        ("", "  finally: [{uses: log.message, with: {text: '${{ x }}'}}]\n",
         "rules[0].finally[0].with.text: unknown name x"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_stand(
    defaults: str, own: str, told: str, tmp_path: Path
) -> None:
    """In the rule, or in the defaults that it has them from."""
    (tmp_path / "r.yaml").write_text(
        f"defaults: {{{defaults}}}\nversion: 1\nrules:\n- name: r\n"
        f"  match: {{resources: [{{kind: ConfigMap}}]}}\n  actions: [{{name: a, {LOG}}}]\n{own}"
    )
    with pytest.raises(RuleError) as caught:
        load_rules([tmp_path], Registry.discover(), Expressions())
    assert told in str(caught.value)


RULES = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: a, uses: log.message, with: {text: "a"}}
  - {name: b, wave: 1, uses: log.message, with: {text: "b"}}
  finally:
  - uses: log.message
    with: {text: "a failed: ${{ actions.a.failed }}"}
  onFailure:
  - {name: alarm, uses: log.message, with: {text: "alarm"}}
"""


@pytest.mark.parametrize("fails", [False, True])
def test_it_runs_however_the_plan_went(file_ledger: Ledger, *, fails: bool) -> None:
    """After a failure too, before onFailure; its own failure changes nothing of the plan's end."""
    house = House.of(file_ledger, RULES)
    house.sync("x")
    (first,) = house.claim()
    house.end(first, fails="no" if fails else "")
    told: list[str] = []
    while runs := house.claim():
        told += texts(runs)
        house.end(*runs, fails="no" if texts(runs)[0].startswith("a failed") else "")
    assert told == (["a failed: true", "alarm"] if fails else ["b", "a failed: false"])
    assert house.plans() == ["failed" if fails else "succeeded"]
