"""Expressions, their scopes, and templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.errors import ExpressionError
from receiver.core.model import (
    Application,
    Change,
    ChangeVerdict,
    Destination,
    Json,
    Resource,
    Source,
    Sync,
)
from receiver.rules.expressions.cel import Bindings, Expressions, Program
from receiver.rules.expressions.facts import application_facts, resource_facts, sync_facts
from receiver.rules.expressions.scope import Earlier, Scope
from receiver.rules.expressions.template import check_tree, parse_template, parse_tree, render_tree

APPLICATION = Application(
    name="shop",
    namespace="argocd",
    project="web",
    labels={"tier": "edge"},
    destination=Destination(server="https://kubernetes.default.svc"),
)
RESOURCE = Resource(
    group="apps",
    version="v1",
    kind="Deployment",
    namespace="shop",
    name="web",
    status="Synced",
    message="deployment.apps/web configured",
    hook_type="",
    hook_phase="Succeeded",
    sync_phase="Sync",
    images=("ghcr.io/acme/shop:2.4.0",),
    change=Change(ChangeVerdict.CHANGED, "configured"),
)
SYNC = Sync(
    sender="prod",
    channel="sync",
    application=APPLICATION,
    phase="Succeeded",
    started_at=datetime(2026, 6, 10, 8, 20, 3, tzinfo=UTC),
    finished_at=None,
    retry_count=2,
    sources=(Source(repo_url="https://git.example.com/a.git"),),
    resources=(RESOURCE,),
)
SCOPE = Scope(
    ("application", "sync", "resource", "actions"),
    earlier=(Earlier("purge"), Earlier("each", one_run=False)),
    wave=1,
    later=(("tell", 1), ("last", 3)),
)


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


@pytest.fixture(scope="module")
def bindings(expressions: Expressions) -> Bindings:
    return expressions.bind(
        {
            "application": application_facts(APPLICATION),
            "sync": sync_facts(SYNC),
            "resource": resource_facts(RESOURCE),
            "actions": {"purge": {"output": {"id": "p-1"}}},
        }
    )


@pytest.fixture
def compiled(expressions: Expressions) -> Callable[[str], Program]:
    return lambda source: expressions.compile(source, SCOPE)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("application.name", "shop"),
        ("application.labels.tier", "edge"),
        ("application.labels[?'zone'].orValue('none')", "none"),
        ("has(application.labels.zone)", False),
        ("application.destination.server", "https://kubernetes.default.svc"),
        ("application.destination", application_facts(APPLICATION)["destination"]),
        ("sync['retryCount'] + 1", 3),
        ("sync.startedAt", "2026-06-10T08:20:03Z"),
        ("timestamp(sync.startedAt) + duration('57s')", "2026-06-10T08:21:00Z"),
        ("sync.finishedAt == null", True),
        ("duration('1m30s')", "90s"),
        ("duration('1500ms')", "1.5s"),
        ("b'abc'", "YWJj"),
        ("resource.images", ["ghcr.io/acme/shop:2.4.0"]),
        ("resource.imageChanged", None),
        ("resource.key", "apps/Deployment/shop/web"),
        ("sync.sources.map(s, s.repoURL).join(',')", "https://git.example.com/a.git"),
        ("actions.purge.output.id", "p-1"),
        ("{'b': 1, 'a': [timestamp(0), 1.5]}", {"a": ["1970-01-01T00:00:00Z", 1.5], "b": 1}),
        ("{2: 'x'}", {"2": "x"}),
        ("{true: 'x'}", {"true": "x"}),
    ],
)
def test_value(
    source: str, value: Json, compiled: Callable[[str], Program], bindings: Bindings
) -> None:
    """An expression sees the facts and gives JSON."""
    assert compiled(source).evaluate(bindings) == value


@pytest.mark.parametrize(
    ("source", "message", "column"),
    [
        ("sync.dryRunn", "sync has no field dryRunn (did you mean dryRun?)", 5),
        ("sync.sources.size() > sync.idd.x", "sync has no field idd.x", 31),
        ("'ä' + sync.nothing_like_it", "sync has no field nothing_like_it", 11),
        ("true &&\n sync.dryRunn", "sync has no field dryRunn (did you mean dryRun?)", 14),
        ("sync.dryRun == 'yes'", "== cannot be applied to (bool, string)", 13),
        ("-'a'", "- cannot be applied to (string)", 1),
        ("1 in 2", "in cannot be applied to (int, int)", 3),
        ("sync.dryRun ? 1 : 'a'", "?: cannot be applied to (bool, int, string)", 13),
        ("size(true)", "size cannot be applied to (bool)", 5),
        ("sync.id.map(x, x)", "a value of type string is no list or map", 5),
        ("resource.images.first", "a value of type list(string) has no fields", 16),
        ("startWith(sync.id)", "unknown function startWith (did you mean startsWith?)", 10),
        ("aplication", "unknown name aplication (did you mean application?)", 1),
        (
            "resource.labels.app.kubernetes.io/name == 'web'",
            "unknown name name (write resource.labels['app.kubernetes.io/name'])",
            35,
        ),
        (
            "application.labels.a.b/name",
            "a value of type string has no fields (write application.labels['a.b/name'])",
            21,
        ),
        ("1 +", "syntax error: unexpected end", 4),
        ("a b", "syntax error: unexpected 'b'", 3),
        ("'abc", "syntax error: cannot read 'abc", 1),
        ("  ", "the expression is empty", 1),
        ("1 + " * 40 + "1", "more than 32 operations stand in one another", 0),
        ("(" * 40 + "1" + ")" * 40, "more than 32 operations stand in one another", 0),
        ("'" + "x" * 10_000 + "'", "the expression is longer than 10000 characters", 0),
        (
            "resources.size()",
            "resources is not available here (it is in actions with target batch or application)",
            1,
        ),
        ("failure.message", "failure is not available here (it is in onFailure)", 8),
        (
            "actions.last.output",
            "action last is in wave 3, which is not before wave 1; only earlier waves have outputs",
            13,
        ),
        ("actions.purg.state", "no action purg in an earlier wave (did you mean purge?)", 13),
        ("actions.purge.outptu", "actions.purge has no field outptu (did you mean output?)", 14),
        (
            "actions.each.state",
            "action each has one run for each resource (use actions.each.runs)",
            13,
        ),
    ],
)
def test_refusal(source: str, message: str, column: int, expressions: Expressions) -> None:
    """What does not compile is told plainly, with its column and a suggestion."""
    with pytest.raises(ExpressionError) as caught:
        expressions.compile(source, SCOPE)
    assert (str(caught.value), caught.value.column) == (message, column)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("application.labels.zone", 'there is no key "zone"'),
        ("1 / (sync.retryCount - 2)", "divide by zero"),
        ("1.0 / 0.0", "the result is inf, which JSON cannot carry"),
        ("sync['id'] + 1", "+ cannot be applied to (string, int64)"),
        ("resource.images[?5]", "the result is an optional value (unwrap it with .orValue(...))"),
        ("[resource.images[?5]]", "the result is an optional value (unwrap it with .orValue(...))"),
    ],
)
def test_failure(
    source: str, message: str, compiled: Callable[[str], Program], bindings: Bindings
) -> None:
    """An expression that fails raises, though the library returns its errors as values."""
    with pytest.raises(ExpressionError) as caught:
        compiled(source).evaluate(bindings)
    assert str(caught.value) == message


def test_unbound_root(expressions: Expressions, compiled: Callable[[str], Program]) -> None:
    """A root that was declared and not bound is an error, not a value."""
    with pytest.raises(ExpressionError, match="resource is not available here"):
        compiled("resource.name").evaluate(expressions.bind({}))


def test_a_field_of_null(expressions: Expressions, compiled: Callable[[str], Program]) -> None:
    """What an output may have left out is told in other words than the library's."""
    bindings = expressions.bind({"actions": {"purge": {"output": {"json": None}}}})
    with pytest.raises(ExpressionError, match="a field is asked of null"):
        compiled("actions.purge.output.json.id").evaluate(bindings)


def test_bomb(compiled: Callable[[str], Program], bindings: Bindings) -> None:
    """Nested loops end at the budget instead of holding a thread."""
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    source = ten
    for name in "abcdefgh":
        source = f"{ten}.map({name}, {source})"
    with pytest.raises(ExpressionError, match="the expression takes too many steps"):
        compiled(source).evaluate(bindings)


def test_condition(expressions: Expressions, bindings: Bindings) -> None:
    """A condition is true or false; anything else is an error, at check if it can be known."""
    scope = Scope.condition(resource=True)
    assert expressions.compile_condition("resource.kind == 'Deployment'", scope).test(bindings)
    with pytest.raises(ExpressionError, match="of type string, not true or false"):
        expressions.compile_condition("sync.message", scope)
    with pytest.raises(ExpressionError, match="the whole string is an expression"):
        expressions.compile_condition("${{ sync.dryRun }}", scope)
    program = expressions.compile_condition("sync['message']", scope)
    with pytest.raises(ExpressionError, match="the result is a string, not true or false"):
        program.test(bindings)


def test_variables_of_a_handler(expressions: Expressions) -> None:
    """A handler's own variables are of any type, and nothing else is bound beside them."""
    scope = Scope(("answer",))
    program = expressions.compile("answer.status == 200 && answer.json.done", scope)
    assert program.test(expressions.bind({"answer": {"status": 200, "json": {"done": True}}}))
    with pytest.raises(ExpressionError, match=r"unknown name application\.name"):
        expressions.compile("application.name", scope)


def test_text_that_is_no_unicode(
    expressions: Expressions, compiled: Callable[[str], Program]
) -> None:
    """A lone surrogate is an error of ours, not of the library."""
    bindings = expressions.bind({"application": {"name": "\ud800"}})
    with pytest.raises(ExpressionError, match="a text in the values is not valid Unicode"):
        compiled("application.name").evaluate(bindings)


def test_facts_match_the_declared_fields() -> None:
    """Every field that the checker declares is there, and none is missing there."""
    facts: dict[str, Any] = {
        "application": application_facts(APPLICATION),
        "sync": sync_facts(SYNC),
        "resource": resource_facts(RESOURCE),
    }
    names = {name for name, _ in Scope(("application", "sync", "resource")).names}
    found = set()
    for root, fields in facts.items():
        for field, value in fields.items():
            below = value if field in {"destination", "held"} else {"": None}
            found |= {f"{root}.{field}.{part}".removesuffix(".") for part in below}
    assert found == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${{ sync.retryCount }}", 2),
        ("${{sync.dryRun}}", False),
        ("${{ application.labels }}", {"tier": "edge"}),
        ("${{ resource.imageChanged }}", None),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("${{ '}}' + \"}}\" }}", "}}}}"),
        ("${{ 'it\\'s }}' }}", "it's }}"),
        ("${{ r'\\d' + '}}' }}", "\\d}}"),
        ("${{ '''a'}}b''' }}", "a'}}b"),
        ("${{ 1 // }}\n }}", 1),
        (
            "${{ application.name }}: ${{ sync.retryCount }}, ${{ 1.0 }}, ${{ true }}",
            "shop: 2, 1, true",
        ),
        (" ${{ application.name }}\n", " shop\n"),
        ("$${{ application.name }}", "${{ application.name }}"),
        ("$${{ a }} is ${{ sync.retryCount }}", "${{ a }} is 2"),
        ("$ { {{ }} $}", "$ { {{ }} $}"),
    ],
)
def test_template(
    text: str, value: Json, compiled: Callable[[str], Program], bindings: Bindings
) -> None:
    """A string that is one expression keeps its type; a mixed one becomes a text."""
    template = parse_template(text, compiled)
    rendered = template if isinstance(template, str) else template.render(bindings)
    assert (rendered, type(rendered)) == (value, type(value))


@given(st.text(alphabet="${}'\"\\ab"))
def test_escaped_text(text: str) -> None:
    """Any text comes out as it was when each ${{ in it is escaped."""

    def never(source: str) -> Program:
        raise AssertionError(source)

    assert parse_template(text.replace("${{", "$${{"), never) == text


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("a ${{ sync.id", "${{ has no }}", 3),
        ("a ${{ 'x }}", "syntax error: cannot read 'x ", 7),
        ("${{ {'a': 1 }}", "${{ has no }}", 1),
        ("a ${{ }}", "the expression is empty", 6),
        ("ab ${{ sync.idd }}", "sync has no field idd (did you mean id?)", 12),
    ],
)
def test_broken_template(
    text: str, message: str, column: int, compiled: Callable[[str], Program]
) -> None:
    """The column of a mistake is its place in the whole string."""
    with pytest.raises(ExpressionError) as caught:
        parse_template(text, compiled)
    assert (str(caught.value), caught.value.column) == (message, column)


def test_list_within_a_text(compiled: Callable[[str], Program], bindings: Bindings) -> None:
    """A list, a map or null cannot stand within a text."""
    tree = parse_tree({"a": ["x", "Images: ${{ resource.images }}"]}, compiled)
    with pytest.raises(ExpressionError, match=r"^a\[1\]: resource.images is a list; within"):
        render_tree(tree, bindings)


def test_tree(compiled: Callable[[str], Program], bindings: Bindings) -> None:
    """Every string of a tree is rendered, keys and other values stay."""
    tree = {
        "${{ key }}": 1,
        "text": "To ${{ application.name }}",
        "list": [None, True, "${{ resource.images }}"],
    }
    assert render_tree(parse_tree(tree, compiled), bindings) == {
        "${{ key }}": 1,
        "text": "To shop",
        "list": [None, True, ["ghcr.io/acme/shop:2.4.0"]],
    }


def test_what_does_not_compile_fails_where_it_is_rendered(
    compiled: Callable[[str], Program], bindings: Bindings
) -> None:
    """After what stands before it, and with its path: parsing refuses nothing."""
    first = parse_tree({"a": "${{ sync.idd }}", "b": ["${{ 1 / 0 }}"]}, compiled)
    with pytest.raises(ExpressionError, match=r"^a: sync has no field idd \(did you mean id\?\)$"):
        render_tree(first, bindings)
    second = parse_tree({"a": ["${{ 1 / 0 }}"], "b": "${{ sync.idd }}"}, compiled)
    with pytest.raises(ExpressionError, match=r"^a\[0\]: divide by zero"):
        render_tree(second, bindings)


def test_all_mistakes_of_a_tree(compiled: Callable[[str], Program]) -> None:
    """Checking a tree finds every broken string, with its path."""
    tree = {"a": ["${{ x }}", "fine"], "b": {"c": "${{ sync.idd }}"}}
    assert [path for path, _ in check_tree(tree, compiled)] == [("a", 0), ("b", "c")]


def test_what_expressions_give_is_quoted_and_what_the_rule_says_is_not(
    compiled: Callable[[str], Program], bindings: Bindings
) -> None:
    """A resource's name cannot write markup into a message, at any depth; its rule can."""
    tree = {
        "text": "<!here> ${{ '<!channel>' }}",
        "whole": "${{ '<a>' }}",
        "tree": "${{ [{'text': '<a>', 'n': 1}] }}",
    }
    parsed = parse_tree(tree, compiled)
    rendered = render_tree(parsed, bindings, lambda text: text.replace("<", "&lt;"))
    assert rendered == {
        "text": "<!here> &lt;!channel>",
        "whole": "&lt;a>",
        "tree": [{"text": "&lt;a>", "n": 1}],
    }
