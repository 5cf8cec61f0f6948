"""An evaluation can be interrupted wherever it takes long, and gives what the library gives."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from receiver.core.errors import ExpressionError
from receiver.core.interruption import TooLong, cpu_limit, interruptible
from receiver.rules.expressions.bounds import SizeBudget
from receiver.rules.expressions.cel import Expressions, to_json
from receiver.rules.expressions.scope import Scope

VALUES: dict[str, Any] = {
    "text": "a-b-a", "other": "b", "rows": [1, 2, 3, 1], "names": ["x", "y"], "half": 0.5,
    "it": {"kind": "ConfigMap", "l": [{"n": "q"}, {"n": "r"}]},
}  # fmt: skip
SOURCES = [
    "rows.all(x, x > 0)", "rows.exists(x, x == 3)", "rows.exists_one(x, x == 1)",
    "rows.map(x, x * 2)", "rows.filter(x, x > 1).map(x, string(x)).join('-') + '!'",
    "rows.map(x, x > 1, x + 1)", "rows.map(x, names.map(y, y + string(x)))",
    "text.matches('^a.*a$')", "matches(text, other)", "text.matches(other + '$')",
    "names.all(n, n.matches('[xy]{1}'))", "!text.matches('c') && it.kind == 'ConfigMap'",
    "text.replace('a', other).split('-')", "text.contains(other) ? text + other : other",
    "[1, 2] + [3]", "{'a': text + text, 'c': half + 1.0, other: [text]}", "half < 1.0",
    "-5 + 3", "bytes(text) == b'a-b-a'", "it.?none.orValue('q')", "[1, ?it.?none]",
    "has(it.kind) && !has(it.none)", "it.l.map(x, x.n)", "other in names", "size(rows) + 1",
    "text.substring(2, 3) == other", "text.lowerAscii().upperAscii().trim().reverse()",
    "'%s: %d'.format([text, 3])", "duration('90s') > duration('1m')", "rows[0] <= rows[1]",
    "timestamp('2020-01-01T00:00:00Z') < timestamp('2021-01-01T00:00:00Z')", "text",
    "(text.matches('a') ? text : other).matches('b')",
    "text.startsWith(other) || text.endsWith('a')", "text.indexOf(other) + text.lastIndexOf('a')",
]  # fmt: skip
WRONG = ["rows[9] == 1", "it.none == 'x'", "half.matches('a')", "text.matches('(')", "text + 1"]


def evaluate(source: str, **values: Any) -> Any:
    expressions = Expressions()
    program = expressions.compile(source, Scope(tuple(values)))
    return program.evaluate(expressions.bind(values))


def plain(source: str) -> Any:
    """What the library makes of it by itself."""
    environment = cel.NewEnv(
        variables=dict.fromkeys(VALUES, cel.Type.DYN),
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
    )
    return environment.compile(source).eval(environment.Activation(VALUES))


@pytest.mark.parametrize("source", SOURCES)
def test_a_value_is_that_of_the_library(source: str) -> None:
    assert evaluate(source, **VALUES) == to_json(plain(source).value(), SizeBudget())


@pytest.mark.parametrize("source", WRONG)
def test_what_fails_fails_with_a_reason_that_names_nothing_of_ours(source: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(source, **VALUES)
    assert "@" not in str(error.value)


@pytest.mark.parametrize("name", ["@turn()", "@step()", "@toMatch('a', 'a')", "turn()", "step()"])
def test_no_source_names_what_is_put_in(name: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(name)


TEXT = "".join(random.Random(1).choices("ab", k=4000))  # noqa: S311 no secret
LONG = "[text].map(s, s+s+s+s+s+s+s+s+s+s).map(s, s+s+s+s+s+s+s+s+s+s)"
LONGER = f"{LONG}.map(t, t+t+t+t+t+t+t+t+t+t)"
LOOP = ".all(t, [0,1,2,3,4,5,6,7,8,9].all(a, rows.all(b, "
SLOW = {
    "looks for something": f"{LONG}{LOOP}!t.contains('aaaaaaaaaaaaaaaac'))))",
    "replaces": f"{LONG}{LOOP}t.replace('a', 'b') != '')))",
    "matches": f"{LONG}{LOOP}!t.matches('(a|b)*a(a|b){{12}}[cd]'))))",
    "compares": f"{LONGER}{LOOP}t == t + '')))",
    "takes apart": f"{LONG}{LOOP}t.split('a').size() > 0)))",
}


@pytest.mark.parametrize("source", SLOW.values(), ids=SLOW)
def test_one_evaluation_that_takes_long_is_interrupted(source: str) -> None:
    """In the middle of it, and whatever it would have given."""
    began = time.process_time()
    with pytest.raises(TooLong), interruptible(cpu_limit(0.05)):
        evaluate(source, text=TEXT, rows=list(range(100)))
    assert time.process_time() - began < 2
    assert evaluate("text + text", text="a") == "aa"


def test_a_costly_pattern_goes_over_no_long_text() -> None:
    """One match cannot be interrupted; and the pattern may be made by the expression."""
    told = "may take too long over a text of 400000 characters"
    for pattern in ("'((a?b?){30}){30}[cd]'", "'((a?b?){30}){' + string(30) + '}[cd]'"):
        with pytest.raises(ExpressionError, match=told):
            evaluate(f"{LONG}[0].matches({pattern})", text=TEXT)
        assert evaluate(f"text.matches({pattern})", text="abab") is False


def test_a_match_of_what_is_no_text_fails_in_the_words_of_the_expression() -> None:
    with pytest.raises(ExpressionError, match=r"^matches cannot be applied to \(int64, string\)$"):
        evaluate("rows[0].matches('1')", **VALUES)
    with pytest.raises(ExpressionError, match=r"^matches cannot be applied to \(string, double\)$"):
        evaluate("text.matches(half)", **VALUES)


def test_the_loops_that_make_a_matched_text_count_once() -> None:
    """As in the library: else what is allowed for half of it would fail."""
    source = "rows.filter(r, r == 5990).map(r, string(r))[0].matches('59.*')"
    assert evaluate(source, rows=list(range(6000))) is True


def test_a_match_makes_no_pattern_of_another() -> None:
    """What makes a pattern is evaluated once for its size, and once for itself."""
    with pytest.raises(ExpressionError, match="is made by another"):
        evaluate("text.matches(text.matches('a') ? text : other)", **VALUES)


DEEP = [
    "text" + " + other" * 28, "(" * 28 + "text" + " + other)" * 28,
    "other + (" * 12 + "text" + ")" * 12,
    "text" + ".replace('a', 'b')" * 28, "text" + ".trim()" * 28, "half < rows[0] ? 1 : " * 28 + "2",
    "text.matches('b') ? 1 : " * 28 + "2", "text.contains(other) && " * 28 + "true",
    "[text].map(x, " * 6 + "x" + ")" * 6,
]  # fmt: skip


@pytest.mark.parametrize("source", DEEP, ids=[source[:20] for source in DEEP])
def test_what_is_nested_as_deep_as_the_library_allows_is_evaluated(source: str) -> None:
    """What is put in makes an expression deeper, and the library reads no more than so deep."""
    assert evaluate(source, **VALUES) == to_json(plain(source).value(), SizeBudget())


def test_two_dozen_loops_in_one_another_are_refused() -> None:
    source = "[1].all(x, " * 26 + "rows[0] == rows[3]" + ")" * 26
    assert plain(source).value() is True
    with pytest.raises(ExpressionError, match="too many loops stand in one another"):
        evaluate(source, **VALUES)
