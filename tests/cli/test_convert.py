"""postsync convert."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from shown_rules import FILES, RULES

from receiver.cli.convert import convert
from receiver.core.errors import RuleError
from receiver.core.yaml_document import read_yaml
from receiver.rules.loading.load import readings, rule_set_from
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.conversion import resources_of, rule_file_of

PLAIN = next(one for one in RULES if "POSTSYNC_SECRET" not in str(one))
"""Secrets of the operator are none of a namespace's."""
SHOWN = yaml.safe_dump({"version": 1, "rules": [PLAIN]})
DEFAULTS = """\
version: 1
defaults:
  timeout: 10s
  mode: observe
  verify: auto
  retry: {for: 6h, factor: 3}
  concurrency: {key: all}
  onFailure:
  - {uses: log.message, with: {text: failed}}
rules:
- name: plain   # without a word
  match: {}
  actions: [{uses: log.message, with: {text: x}}]
- name: with-its-own
  match: {}
  timeout: 20s
  mode: run
  retry: {for: 2h}
  deadline: 3h
  onFailure: []
  actions: [{uses: log.message, with: {text: "1e3"}, retry: {maxDelay: 1m}}]
"""


def ran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(convert, [str(argument) for argument in arguments])


def merged(text: str) -> list[Rule]:
    """The rules of a text with all defaults, each by its own name."""
    rules = rule_set_from([("x.yaml", text)]).rules
    return [rule.model_copy(update={"name": rule.name.rpartition("/")[2]}) for rule in rules]


@pytest.mark.parametrize("text", [*(file.read_text() for file in FILES), DEFAULTS],
                         ids=[*(file.stem for file in FILES), "defaults"])  # fmt: skip
def test_a_rule_means_the_same_there_and_back(text: str) -> None:
    """Nothing of a rule is lost, added or changed: not on the way, and not on the way back."""
    (reading,) = readings(rule_set_from([("x.yaml", text)]))
    there = yaml.safe_dump_all(resources_of(reading, "shop"))
    assert merged(there) == merged(text)
    back = rule_file_of(readings(rule_set_from([("y.yaml", there)])))
    assert merged(yaml.safe_dump(back)) == merged(text)


def test_rule_file_becomes_resources(tmp_path: Path) -> None:
    """Defaults are in each rule that has no word of its own; the built-in ones are left out."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS)
    answer = ran(tmp_path / "rules.yaml", "--namespace", "shop")
    assert answer.exit_code == 0, answer.output
    plain, own = yaml.safe_load_all(answer.stdout)
    assert plain["metadata"] == {"name": "plain", "namespace": "shop"}
    assert plain["spec"] == {
        "match": {},
        "actions": [{"uses": "log.message", "with": {"text": "x"}}],
        "timeout": "10s",
        "mode": "observe",
        "concurrency": {"key": "all"},
        "onFailure": [{"uses": "log.message", "with": {"text": "failed"}}],
        "retry": {"for": "6h", "factor": 3},
    }
    assert own["spec"]["retry"] == {"for": "2h", "factor": 3}
    assert (own["spec"]["timeout"], own["spec"]["onFailure"]) == ("20s", [])
    assert "comments are not taken along" in answer.stderr
    assert "namespace shop alone" in answer.stderr


def test_texts_stay_texts_for_every_parser(tmp_path: Path) -> None:
    """What kubectl would take for a number is in quotes, and several lines stay lines."""
    text = DEFAULTS.replace("text: x", r'text: "one\ntwo"')
    (tmp_path / "rules.yaml").write_text(text)
    told = ran(tmp_path / "rules.yaml", "--namespace", "shop").stdout
    assert "text: '1e3'\n" in told
    assert "text: |-\n        one\n        two\n" in told


def test_resources_become_a_rule_file(tmp_path: Path) -> None:
    """What was converted is converted back, and a note says what is wider there."""
    (tmp_path / "rules.yaml").write_text(SHOWN)
    (tmp_path / "shop.yaml").write_text(ran(tmp_path / "rules.yaml", "--namespace", "shop").stdout)
    answer = ran(tmp_path / "shop.yaml")
    assert yaml.safe_load(answer.stdout) == yaml.safe_load(SHOWN)
    assert "see the syncs of all Applications" in answer.stderr


def test_what_is_broken_is_not_converted(tmp_path: Path) -> None:
    """It is told as `check` tells it."""
    (tmp_path / "rules.yaml").write_text(SHOWN.replace("match:", "mtach:"))
    answer = ran(tmp_path / "rules.yaml", "--namespace", "shop")
    assert isinstance(answer.exception, RuleError)
    assert "mtach: unknown key" in str(answer.exception)
    assert answer.stdout == ""


def test_secrets_of_the_operator_are_refused(tmp_path: Path) -> None:
    """With the place in the rule file, and the way out."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("""\
version: 1
rules:
- name: purge
  match: {}
  actions:
  - uses: http.request
    with: {url: "http://x/", headers: {Authorization: {env: POSTSYNC_SECRET_CDN}}}
""")
    answer = ran(rules, "--namespace", "shop")
    assert str(answer.exception) == (
        f"{rules}:7:56: rules[0].actions[0].with.headers.Authorization.env: is a secret of the "
        "operator's, and none for a rule in a namespace (name a Secret of the rule's namespace: "
        "{secret: {name: NAME, key: KEY}})"
    )
    assert answer.stdout == ""


def test_secrets_of_a_namespace_are_refused_in_a_rule_file(tmp_path: Path) -> None:
    """With the place in the resource, and the way out."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS)
    made = ran(tmp_path / "rules.yaml", "--namespace", "shop").stdout.partition("---\n")[0]
    secret = "{secret: {name: cdn, key: token}}"
    (tmp_path / "shop.yaml").write_text(made.replace("text: x", f"text: {secret}"))
    answer = ran(tmp_path / "shop.yaml")
    assert "spec.actions[0].with.text.secret: a Secret of a namespace is for a rule in that" in str(
        answer.exception
    )


def test_name_that_no_object_has(tmp_path: Path) -> None:
    """A rule's name may have what Kubernetes does not take."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS.replace("plain", "a..b"))
    answer = ran(tmp_path / "rules.yaml", "--namespace", "shop")
    assert "rules[0].name: is no name of an object in Kubernetes" in str(answer.exception)


@pytest.mark.parametrize("namespace", [(), ("--namespace", "Shop")])
def test_namespace_is_needed(namespace: tuple[str, ...], tmp_path: Path) -> None:
    """A PostSyncRule belongs to one, and nobody guesses which."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS)
    answer = ran(tmp_path / "rules.yaml", *namespace)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "a rule file needs --namespace NAME" in answer.stderr


def test_one_kind_at_a_time(tmp_path: Path) -> None:
    """Of rule files and PostSyncRules together nobody knows which way is meant."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS)
    made = ran(tmp_path / "rules.yaml", "--namespace", "shop").stdout
    (tmp_path / "shop.yaml").write_text(made)
    assert "convert one kind at a time" in ran(tmp_path).stderr
    answer = ran(tmp_path / "shop.yaml", "--namespace", "shop")
    assert "PostSyncRules name theirs" in answer.stderr
    (tmp_path / "other.yaml").write_text(made.replace("namespace: shop", "namespace: other"))
    answer = ran(tmp_path / "shop.yaml", tmp_path / "other.yaml")
    assert "two of these are called plain" in str(answer.exception)


def test_files_without_rules(tmp_path: Path) -> None:
    """A file of other objects has nothing to convert."""
    (tmp_path / "other.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n")
    assert "there are no rules" in str(ran(tmp_path / "other.yaml").exception)


def test_text_that_is_printed_is_read_as_it_was(tmp_path: Path) -> None:
    """By our own parser as by others."""
    (tmp_path / "rules.yaml").write_text(DEFAULTS)
    told = ran(tmp_path / "rules.yaml", "--namespace", "shop").stdout
    first, second = told.split("---\n")
    for text in (first, second):
        assert read_yaml("", text).data == yaml.safe_load(text)
