"""What is no mistake in rule files, and most likely not what was meant, is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
from planning import renderer

from receiver.core.errors import RuleError
from receiver.core.logs import configure_logs
from receiver.dispatcher.rule_sets import RulesInForce, store_reload
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import Reader
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook, load_rules

RULE = """version: 1
rules:
- name: purge
  match:
    application: {{name: {application}}}
    resources:
    - {{kind: {kind}, name: {name}}}
  actions: [{{uses: log.message, with: {{text: x}}}}]
"""
GOOD = {"application": "shop", "kind": "Deployment", "name": "assets-*"}


def warnings(folder: Path, **given: str) -> list[str]:
    """The warnings of a rule, without the folder's name."""
    (folder / "r.yaml").write_text(RULE.format(**GOOD | given))
    found = load_rules([folder], Registry.discover(), Expressions())
    return [str(warning).removeprefix(f"{folder}/") for warning in found.warnings]


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ({"application": "argocd/shop"}, "5:19", "the namespace is a key of its own"),
        ({"name": '["a", shop/b]'}, "7:38", "no name in Kubernetes has one"),
        ({"kind": "apps/Deployment"}, "7:8", "the group is a key of its own"),
        ({"kind": "Deployment, group: apps/v1"}, "7:26", "the version is a key of its own"),
        ({"name": '"^assets"'}, "7:26", "looks like a regular expression"),
        ({"name": '"assets-.+"'}, "7:26", "looks like a regular expression"),
        ({"name": "(a|b)"}, "7:26", "looks like a regular expression"),
        ({"kind": "Deploymnet"}, "7:8", "no kind of Kubernetes or Argo (did you mean Deployment?)"),
        ({"kind": "configmap"}, "7:8", "did you mean ConfigMap?"),
        ({"kind": "[Secret, Ingres]"}, "7:23", "did you mean Ingress?"),
        ({"kind": "Deploymnet, group: apps"}, "7:8", "did you mean Deployment?"),
    ],
)
def test_what_was_most_likely_not_meant_is_warned_of(
    tmp_path: Path, given: dict[str, str], place: str, words: str
) -> None:
    """With its place, as a mistake would be; the rules can be used all the same."""
    (warning,) = warnings(tmp_path, **given)
    assert warning.startswith(f"r.yaml:{place}: rules[0].match.")
    assert words in warning


@pytest.mark.parametrize(
    "given",
    [
        {}, {"kind": "[ConfigMap, Rollout]"}, {"kind": "AdminNetworkPolicy"},
        {"kind": "SealedSecret"}, {"kind": "Deploy*"},
        {"kind": "Ingresss, group: traefik.io"}, {"name": '"*.example.com"'},
        {"name": '"certificates.*"'}, {"kind": "Pod, image: ghcr.io/acme/*"},
        {"application": "shop, destination: {name: 'arn:aws:eks:eu-1:1:cluster/a'}"},
        {"name": '"[!a]*"'}, {"name": '""'},
    ],
)  # fmt: skip
def test_what_may_well_be_meant_is_not_warned_of(tmp_path: Path, given: dict[str, str]) -> None:
    """A kind of somebody's own, a glob of a domain."""
    assert warnings(tmp_path, **given) == []


FIELDS = """version: 1
rules:
- name: reload
  match:
    resources:
    - {SELECTOR}
  actions:
  - {name: x, wave: -1, uses: log.message, with: {text: x}}
  - {uses: log.message, with: {text: "TEXT"}}
"""
NGINX = """resource.fields['data[\\"nginx.conf\\"]'].changed"""


@pytest.mark.parametrize(
    ("selector", "expression", "told"),
    [
        ("kind: ConfigMap, fields: data.nginx.conf", "", 'write data["nginx.conf"]'),
        ("kind: [Secret, ConfigMap], fields: [data.a, data.b.c]", "", 'write data["b.c"]'),
        ("kind: Secret, fields: binaryData.a", "", "a Secret has no binaryData"),
        ("kind: ConfigMap, fields: spec.replicas", "", "a ConfigMap has no spec"),
        ("fields: data.a, change: unchanged", "", "selects what did not change"),
        ("fields: data.a", "resource.fields['data.b'].changed", "resource.fields has no data.b"),
        ("kind: Pod", "resource.fields['data.b'].changed", "no selector of this rule asks for it"),
        ("fields: data.a", "resource.fields.data.changed", "resource.fields['data.a'].changed"),
        ("kind: ConfigMap, fields: data.a", NGINX, 'has no data["nginx.conf"]'),
    ],
)
def test_a_field_that_nothing_has_is_warned_of(
    tmp_path: Path, selector: str, expression: str, told: str
) -> None:
    """Such a rule would never match, or its run would fail."""
    (warning,) = field_warnings(tmp_path, selector, expression)
    assert told in warning
    assert ":6:" in warning or ":9:" in warning


@pytest.mark.parametrize(
    ("selector", "expression"),
    [
        ("kind: ConfigMap, fields: 'data[\"nginx.conf\"]'", NGINX),
        ("kind: ConfigMap, fields: metadata.labels.a", ""),
        ("kind: [ConfigMap, Pod], fields: spec.a", ""),
        ("kind: ConfigMap, group: example.com, fields: data.a.b", ""),
        ("fields: data.a, change: [unchanged, changed]", ""),
        ("fields: data.a", "actions.x.output.fields['y']"),
    ],
)
def test_a_field_that_may_be_there_is_not_warned_of(
    tmp_path: Path, selector: str, expression: str
) -> None:
    """A kind of somebody's own, what is no field of a resource."""
    assert field_warnings(tmp_path, selector, expression) == []


def field_warnings(folder: Path, selector: str, expression: str) -> list[str]:
    text = f"${{{{ {expression} }}}}" if expression else "x"
    (folder / "r.yaml").write_text(FIELDS.replace("SELECTOR", selector).replace("TEXT", text))
    found = load_rules([folder], Registry.discover(), Expressions())
    return [str(warning) for warning in found.warnings]


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("labels: {app/kubernetes/io: a}", "'app/kubernetes/io' is no name of a label"),
        ("labels: {'tier*': a}", "only the values are globs"),
        ("annotations: {tier x: a}", "'tier x' is no name of an annotation"),
        ("labels: {tier: edge value!}", "'edge value!' is no value of a label"),
        ("labels: {tier: [edge, a/*]}", "'a/*' is no value of a label"),
    ],
)
def test_a_label_that_no_object_can_have_is_warned_of(
    tmp_path: Path, selector: str, told: str
) -> None:
    """By the syntax of Kubernetes, which objects are held to."""
    (warning,) = field_warnings(tmp_path, selector, "")
    assert told in warning
    assert ":6:" in warning


@pytest.mark.parametrize(
    "selector",
    [
        "labels: {app.kubernetes.io/name: 'shop-*'}", "labels: {tier: ['', edge_1.a, '[!a]*']}",
        "annotations: {example.com/cdn: 'https://a b!'}",
    ],
)  # fmt: skip
def test_a_label_that_an_object_may_have_is_not_warned_of(tmp_path: Path, selector: str) -> None:
    """The value of an annotation may be any text."""
    assert field_warnings(tmp_path, selector, "") == []


@pytest.mark.parametrize("key", ["labels", "annotations"])
def test_labels_that_name_none_are_refused(tmp_path: Path, key: str) -> None:
    """They would match everything."""
    with pytest.raises(RuleError, match=rf"match.resources\[0\].{key}: names none"):
        field_warnings(tmp_path, f"{key}: {{}}", "")


@pytest.mark.parametrize("text", ["", "# nothing\n", "version: 1\nrules: []\n"])
def test_a_file_without_rules_is_warned_of(tmp_path: Path, text: str) -> None:
    """Its rules may have been lost when it was written."""
    (tmp_path / "r.yaml").write_text(text)
    found = load_rules([tmp_path], Registry.discover(), Expressions())
    assert [str(warning) for warning in found.warnings] == [f"{tmp_path}/r.yaml: has no rules"]


def test_an_emptied_folder_is_warned_of_on_the_trail_and_at_readyz(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing is refused: no rules are rules too, and mostly a mount that went wrong."""
    file = tmp_path / "r.yaml"
    file.write_text(RULE.format(**GOOD))
    expressions = Expressions()
    book = Rulebook([tmp_path], Registry.discover(), expressions)
    rules = RulesInForce(
        book, ledger, expressions, renderer(), lambda: None, configure_logs("json")
    )
    told = []
    for _ in range(2):
        with ledger.write() as connection:
            told.append(store_reload(connection, ledger.now(connection), rules._load()))
        file.unlink(missing_ok=True)
    assert [[event.name for event in events] for events in told] == [
        ["rules.loaded"], ["rules.loaded", "rules.warning"]
    ]  # fmt: skip
    shown = Reader(ledger).readiness().rules
    assert shown
    assert shown["ok"]
    assert shown["warnings"] == [told[1][1].data["reason"]]
    assert f"{tmp_path}: there is no rule file" in shown["warnings"][0]


OWN = """version: 1
rules:
- name: tell
  match: {{channel: {channel}{more}}}
  actions: [{{uses: log.message, target: application, with: {{text: x}}}}]
"""


@pytest.mark.parametrize(
    ("channel", "more", "said"),
    [
        ("postsync", "", []),
        ("[sync, postsync]", ", condition: sync.held.count > 3", []),
        ("sync", ", phases: [Failed], resources: [{kind: Secret}]", []),
        ("postsync", ", phases: [Succeeded]", ["r.yaml:4:30: rules[0].match.phases: nothing on"]),
        ("[sync, postsync]", ", resources: [{kind: Secret}]", ["r.yaml:4:38: rules[0].match.reso"]),
    ],
)
def test_what_nothing_on_our_own_channel_has_is_warned_of(
    tmp_path: Path, channel: str, more: str, said: list[str]
) -> None:
    """Neither a phase nor resources: the rule would be silent there for ever."""
    (tmp_path / "r.yaml").write_text(OWN.format(channel=channel, more=more))
    found = load_rules([tmp_path], Registry.discover(), Expressions())
    warned = [str(warning).removeprefix(f"{tmp_path}/") for warning in found.warnings]
    assert [one[: len(words)] for one, words in zip(warned, said, strict=True)] == said
