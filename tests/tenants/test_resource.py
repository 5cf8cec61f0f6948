"""A PostSyncRule becomes a rule set of one rule, or every problem is told with its path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from shown_rules import RESOURCES
from toy_handlers import toy_registry

from receiver.core.errors import RuleError
from receiver.core.yaml_document import read_yaml
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook, RuleSet, load_rules, rule_set_from
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.rules.tenants.document import NO_NAMESPACE
from receiver.rules.tenants.names import API_VERSION, tenant_of
from receiver.rules.tenants.resource import load_resource
from receiver.rules.tenants.text import resource_text

NO_UNIT = "is no duration; write a number with a unit, as in 30s, 5m, 1h30m or 500ms"
SPEC = {
    "match": {"resources": [{"kind": "ConfigMap", "name": "assets-*"}]},
    "actions": [{"uses": "toy.say", "with": {"text": "${{ resource.name }}"}}],
}


def resource(spec: Any, **metadata: str) -> dict[str, Any]:
    return {
        "apiVersion": "postsync.dev/v1alpha1",
        "kind": "PostSyncRule",
        "metadata": {"name": "purge", "namespace": "team-a"} | metadata,
        "spec": spec,
    }


def load(document: dict[str, Any]) -> RuleSet:
    return load_resource(document, toy_registry(), Expressions())


def refused(document: dict[str, Any]) -> list[str]:
    with pytest.raises(RuleError) as caught:
        load(document)
    return [str(problem) for problem in caught.value.problems]


def in_file(tmp_path: Path, text: str) -> RuleSet:
    (tmp_path / "team.yaml").write_text(text)
    return load_rules([tmp_path / "team.yaml"], toy_registry(), Expressions())


def refused_in_file(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(RuleError) as caught:
        in_file(tmp_path, text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_rule_has_its_namespace_before_its_name() -> None:
    """The rule is called as its namespace and its name, with the defaults of a rule merged in."""
    found = load(resource(SPEC))
    (rule,) = found.rules
    assert (rule.name, tenant_of(rule.name)) == ("team-a/purge", "team-a")
    assert rule.actions[0].name == "toy_say"
    assert found.places == (("postsyncrules/team-a/purge", 0),)


def test_rule_of_a_file_belongs_to_no_tenant() -> None:
    """A name without a slash is that of an operator's rule."""
    assert tenant_of("purge") == ""


def test_stored_text_makes_the_same_set() -> None:
    """The text that is stored is enough to have the same rule again."""
    found = load(resource(SPEC))
    assert rule_set_from(found.files) == found


def test_digest_depends_on_what_it_says_alone() -> None:
    """Labels, a status, who applied it and the order of keys are no change of the rule."""
    plain = resource(SPEC)
    told = resource(dict(reversed(SPEC.items())), uid="1", resourceVersion="77")
    assert load({**told, "status": {"conditions": []}}).digest == load(plain).digest
    other = resource(SPEC | {"mode": "observe"})
    assert load(other).digest != load(plain).digest
    assert load(resource(SPEC, namespace="team-b")).digest != load(plain).digest


def test_every_problem_with_its_path() -> None:
    """All mistakes are told at once, by their path in the resource and without a line."""
    spec = {
        "match": {"resources": [{"kidn": "ConfigMap"}], "phases": "Failing"},
        "actions": [{"uses": "toy.say", "with": {"text": "${{ sync.y }}", "times": 12}}],
        "name": "other",
        "timeout": 5,
    }
    assert refused(resource(spec)) == [
        f"postsyncrules/team-a/purge: {line}"
        for line in (
            "spec.actions[0].with.times: must be at most 9",
            "spec.match.phases: must be Succeeded, Failed or Error",
            "spec.match.resources[0].kidn: unknown key (did you mean kind?)",
            "spec.name: unknown key (metadata.name is the rule's name)",
            f"spec.timeout: {NO_UNIT}",
        )
    ]


def test_what_is_merged_is_told_where_it_stands() -> None:
    """An expression that does not compile has the path of the resource too."""
    spec = SPEC | {"onFailure": [{"uses": "toy.say", "with": {"text": "${{ x }}"}}]}
    (line,) = refused(resource(spec))
    assert line.startswith("postsyncrules/team-a/purge: spec.onFailure[0].with.text: unknown name")


@pytest.mark.parametrize("spec", [None, [], "text"])
def test_spec_must_be_a_mapping(spec: Any) -> None:
    """What is no mapping is refused as such."""
    (line,) = refused(resource(spec))
    assert "spec: must be a mapping" in line


def test_name_has_a_bound() -> None:
    """A name that is longer than a rule's may be is told at the metadata."""
    long = "a" * 101
    (line,) = refused(resource(SPEC, name=long))
    assert line.endswith(": metadata.name: must have at most 100 characters")


def test_what_is_nested_without_end_is_refused() -> None:
    """A tree that no parser goes down is a problem of its rule, and no crash."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    (line,) = refused(resource({**SPEC, "actions": [{"uses": "toy.say", "with": {"text": deep}}]}))
    assert "nested" in line


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), TREES))
def test_stored_text_says_the_same(spec: dict[str, Any]) -> None:
    """Whatever JSON a spec has, its text is read as the same."""
    read = read_yaml("", resource_text(resource(spec)))
    assert read.problems == []
    assert read.data["spec"] == spec


def test_files_may_have_several(tmp_path: Path) -> None:
    """Documents of a file are a rule each, and other objects beside them are left out."""
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "assets"}}
    several = [resource(SPEC), other, resource(SPEC, namespace="team-b")]
    found = in_file(tmp_path, yaml.safe_dump_all(several))
    assert [rule.name for rule in found.rules] == ["team-a/purge", "team-b/purge"]


def test_list_of_kubectl(tmp_path: Path) -> None:
    """What `kubectl get --output yaml` prints is read item by item."""
    items = [resource(SPEC), resource(SPEC, name="second")]
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    found = in_file(tmp_path, yaml.safe_dump(whole))
    assert [rule.name for rule in found.rules] == ["team-a/purge", "team-a/second"]
    items[1]["spec"] = SPEC | {"modus": "run"}
    (line,) = refused_in_file(tmp_path, yaml.safe_dump(whole))
    assert re.fullmatch(r"team\.yaml:\d+:5: items\[1\]\.spec\.modus: unknown key .*", line)


TEXT = """\
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: postsync.dev/v1alpha1
kind: PostSyncRule
metadata:
  name: purge
  namespace: team-a
spec:
  match: {}
  actions:
  - uses: toy.say
    target: application
    with: {text: hello}
"""


@pytest.mark.parametrize(
    ("written", "instead", "expected"),
    [
        ("uses: toy.say", "uses: toy.sya",
         "13:5: spec.actions[0].uses: there is no handler toy.sya (did you mean toy.say?)"),
        ("  namespace: team-a\n", "",
         f"7:1: metadata.namespace: is missing ({NO_NAMESPACE})"),
        ("  name: purge\n", "", "7:1: metadata.name: is missing"),
        ("name: purge", "name: Purge",
         "8:3: metadata.name: must have lower case letters, digits, dashes and dots only"),
        ("v1alpha1", "v1",
         f"5:1: apiVersion: must be {API_VERSION} (did you mean {API_VERSION}?)"),
        ("kind: PostSyncRule", "kind: PostsyncRule",
         "6:1: kind: must be PostSyncRule (did you mean PostSyncRule?)"),
        ("text: hello", "text: '${{ sync.y }}'",
         "15:27: spec.actions[0].with.text: sync has no field y"),
        ("match: {}", "match: {}\n  match: {}",
         "12:3: the key match is here twice (first in line 11)"),
        ("spec:", "spce:", "5:1: spec: is missing"),
        ("match: {}", "mode: observe", "10:1: spec.match: is missing"),
    ],
)  # fmt: skip
def test_mistake_in_a_file(written: str, instead: str, expected: str, tmp_path: Path) -> None:
    """A mistake in a file is told with its line and column."""
    assert f"team.yaml:{expected}" in refused_in_file(tmp_path, TEXT.replace(written, instead))


def test_mistake_is_told_once(tmp_path: Path) -> None:
    """What is missing around the spec leads to no other message."""
    assert len(refused_in_file(tmp_path, TEXT.replace("  name: purge\n", ""))) == 1
    lines = refused_in_file(tmp_path, TEXT[: TEXT.index("spec:")])
    assert lines == ["team.yaml:5:1: spec: is missing"]


def test_same_rule_twice(tmp_path: Path) -> None:
    """Two of one name in one namespace are a mistake, in two namespaces they are not."""
    twice = f"{TEXT}---\n{TEXT}"
    (line,) = refused_in_file(tmp_path, twice)
    assert "metadata.name: another rule has the name team-a/purge" in line
    assert in_file(tmp_path, f"{TEXT}---\n" + TEXT.replace("team-a", "team-b")).rules


def test_warning_has_the_path_of_the_resource(tmp_path: Path) -> None:
    """What is valid and most likely not meant is told as in a rule file."""
    text = TEXT.replace("match: {}", "match: {resources: [{kind: Deploymnet}]}")
    (warning,) = in_file(tmp_path, text).warnings
    assert str(warning).endswith(
        "team.yaml:11:24: spec.match.resources[0].kind: Deploymnet is no kind of Kubernetes or "
        "Argo (did you mean Deployment?)"
    )


def test_rule_files_in_force_have_no_resources(tmp_path: Path) -> None:
    """Among the rule files of a server it is refused, with the way that it is to go."""
    (tmp_path / "team.yaml").write_text(TEXT[TEXT.index("---") :])
    book = Rulebook([tmp_path / "team.yaml"], toy_registry(), Expressions())
    with pytest.raises(RuleError) as caught:
        book.reload()
    (problem,) = caught.value.problems
    assert str(problem) == (
        f"{tmp_path}/team.yaml:2:1: is a PostSyncRule of Kubernetes, and no rule file "
        "(a PostSyncRule comes into force in its cluster: kubectl apply -f FILE; "
        "`postsync convert` makes a rule file of it)"
    )


def test_examples_of_the_pages_pass_check(tmp_path: Path) -> None:
    """Each PostSyncRule that a page shows can be used as it stands."""
    (tmp_path / "shown.yaml").write_text("---\n".join(RESOURCES))
    found = load_rules([tmp_path / "shown.yaml"], Registry.discover(), Expressions())
    assert len(found.rules) == len(RESOURCES) > 0
    assert found.warnings == ()


BOUNDS = TenantBounds(namespaces=("team-a",), handlers=("toy.post",), max_rule_size=1024)
TENANTS = Tenants((BOUNDS,), frozenset({"in-cluster"}))


def overstepping(document: dict[str, Any]) -> list[str]:
    with pytest.raises(RuleError) as caught:
        load_resource(document, toy_registry(), Expressions(), tenants=TENANTS)
    return [str(problem) for problem in caught.value.problems]


def test_what_oversteps_the_bounds_is_a_problem_among_others() -> None:
    """All is told at once, with the path and what to ask for."""
    spec = SPEC | {"timeout": "5"}
    (line,) = overstepping(resource(SPEC))
    assert line == (
        "postsyncrules/team-a/purge: spec.actions[0].uses: handler toy.say is not among those of "
        "namespace team-a (tenants.bounds[0].handlers) (ask who runs Postsync to add it)"
    )
    assert len(overstepping(resource(spec))) == 1  # what has no shape is not judged further
    (line,) = overstepping(resource(SPEC, namespace="team-b"))
    assert "namespace team-b may have no rules: no entry of tenants.bounds names it" in line


def test_what_is_too_large_is_not_read() -> None:
    """Its size is the only problem that is told."""
    (line,) = overstepping(resource(SPEC | {"description": "x" * 2000, "modus": "run"}))
    assert re.match(
        r"postsyncrules/team-a/purge: spec: the rule has 2\d\d\d bytes; one of namespace team-a "
        r"may have at most 1024 \(tenants\.bounds\[0\]\.maxRuleSize\)",
        line,
    )


def test_rule_within_the_bounds_is_taken() -> None:
    """With the same digest as without: bounds change nothing of it."""
    bounds = TenantBounds(namespaces=("team-a",), handlers=("log.message",))
    tenants, registry = Tenants((bounds,), frozenset({"in-cluster"})), Registry.discover()
    spec = SPEC | {"actions": [{"uses": "log.message", "with": {"text": "x"}}]}
    found = load_resource(resource(spec), registry, Expressions(), tenants=tenants)
    assert found == load_resource(resource(spec), registry, Expressions())
