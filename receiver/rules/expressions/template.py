"""Strings with ``${{ ... }}``, and trees of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from receiver.core.errors import ExpressionError
from receiver.core.model import Json
from receiver.core.validation import Path, dotted
from receiver.rules.expressions.bounds import SizeBudget
from receiver.rules.expressions.cel import Bindings, Program, kind_of

Compile: TypeAlias = Callable[[str], Program]
Quote: TypeAlias = Callable[[str], str]
"""Makes a string harmless where it will stand; of templates, only what expressions give."""

OPEN = re.compile(r"\$?\$\{\{")
TOKEN = re.compile(
    r"""(?:[rR]?[bB]?|[bB][rR])(?:'{3}.*?'{3}|"{3}.*?"{3})  # a long string
    | (?<!\w)(?:[rR][bB]?|[bB][rR])(?:'[^']*'|"[^"]*")         # a raw one
    | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"                  # a string
    | //[^\n]*                                                # a comment
    | [{}] | . """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Template:
    """A string with expressions; a single one that is the ``whole`` keeps its type."""

    parts: tuple[str | Program, ...]
    whole: bool

    def render(self, bindings: Bindings, quote: Quote = str) -> Json:
        """Return the value; ``quote`` is applied to each string that an expression gives.

        Raises:
            ExpressionError: an expression fails, or gives a list, map or null within a text; or
            the whole is too large.
        """
        first = self.parts[0]
        if self.whole and isinstance(first, Program):
            return map_strings(first.evaluate(bindings), quote)
        budget, texts = SizeBudget(), list[str]()
        for part in self.parts:
            text = part if isinstance(part, str) else _text(part.evaluate(bindings), part.source)
            budget.take(len(text))
            texts.append(text if isinstance(part, str) else quote(text))
        return "".join(texts)


def parse_template(text: str, compile_: Compile) -> str | Template:
    """Read a string; without an expression it is returned, ``$${{`` as ``${{``.

    Raises:
        ExpressionError: ``${{`` without its ``}}``, or an expression that does not compile;
            the column is the place in ``text``.
    """
    parts = [
        piece if start is None else _compile_at(piece, start, compile_)
        for piece, start in _pieces(text)
    ]
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    return Template(tuple(parts), whole=len(parts) == 1)


@dataclass(frozen=True, slots=True)
class Broken:
    """An expression or a template that does not compile, which fails whenever it is rendered.

    `check` refuses it, but a rule set that was stored by an older version may have it.
    """

    message: str
    hint: str
    column: int

    @classmethod
    def of(cls, error: ExpressionError) -> Broken:
        """Keep why it does not compile."""
        return cls(error.message, error.hint, error.column)

    def render(self, _bindings: Bindings, _quote: Quote = str) -> Json:
        """Fail.

        Raises:
            ExpressionError: always.
        """
        raise ExpressionError(self.message, hint=self.hint, column=self.column)

    def test(self, bindings: Bindings) -> bool:
        """Fail likewise."""
        return bool(self.render(bindings))


def parse_tree(tree: Any, compile_: Compile) -> Any:
    """Return the tree (dicts, lists, scalars) with its templates parsed, for `render_tree`."""
    if isinstance(tree, dict):
        return {key: parse_tree(item, compile_) for key, item in tree.items()}
    if isinstance(tree, list):
        return [parse_tree(item, compile_) for item in tree]
    if not isinstance(tree, str):
        return tree
    try:
        return parse_template(tree, compile_)
    except ExpressionError as error:
        return Broken.of(error)


def render_tree(parsed: Any, bindings: Bindings, quote: Quote = str, path: Path = ()) -> Json:
    """Return what `parse_tree` made with its templates rendered; keys are kept.

    Raises:
        ExpressionError: the first expression that fails, after the path of its string.
    """
    if isinstance(parsed, dict):
        return {key: render_tree(one, bindings, quote, (*path, key)) for key, one in parsed.items()}
    if isinstance(parsed, list):
        return [render_tree(one, bindings, quote, (*path, at)) for at, one in enumerate(parsed)]
    if not isinstance(parsed, Template | Broken):
        return parsed  # type: ignore[no-any-return] # a scalar of YAML is JSON
    try:
        return parsed.render(bindings, quote)
    except ExpressionError as error:
        message = f"{dotted(path)}: {error.message}" if path else error.message
        raise ExpressionError(message, hint=error.hint, column=error.column) from None


def map_strings(tree: Json, change: Callable[[str], str]) -> Json:
    """Return the tree with each of its strings changed; keys are none of them."""
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, list):
        return [map_strings(item, change) for item in tree]
    if isinstance(tree, dict):
        return {key: map_strings(item, change) for key, item in tree.items()}
    return tree


def check_tree(tree: Any, compile_: Compile) -> Iterator[tuple[Path, ExpressionError]]:
    """Yield every string of the tree that is no template, with its path and why."""
    for path, text in strings(tree):
        try:
            parse_template(text, compile_)
        except ExpressionError as error:
            yield path, error


def strings(tree: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every string of a tree with its path; keys are none of them."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from strings(item, (*path, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from strings(item, (*path, index))


def is_template(text: str) -> bool:
    """Whether the string has an expression in it, rightly closed or not."""
    return any(found[0] == "${{" for found in OPEN.finditer(text))


def sources(text: str) -> Iterator[str]:
    """Yield the expressions of a text; where one has no end, those before it."""
    try:
        yield from (piece for piece, at in _pieces(text) if at is not None)
    except ExpressionError:
        return


def _pieces(text: str) -> Iterator[tuple[str, int | None]]:
    """Yield literal pieces with None, and expressions with the index of their beginning."""
    at = 0
    while found := OPEN.search(text, at):
        literal = text[at : found.start()]
        if found[0] == "$${{":
            yield literal + "${{", None
            at = found.end()
            continue
        if literal:
            yield literal, None
        end = _end(text, found.end())
        if end is None:
            raise ExpressionError("${{ has no }}", column=found.start() + 1)
        yield text[found.end() : end], found.end()
        at = end + 2
    if at < len(text):
        yield text[at:], None


def _end(text: str, start: int) -> int | None:
    """Return where the ``}}`` stands that ends the expression beginning at ``start``."""
    depth = 0
    for token in TOKEN.finditer(text, start):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            if depth:
                depth -= 1
            elif text.startswith("}}", token.start()):
                return token.start()
    return None


def _compile_at(source: str, start: int, compile_: Compile) -> Program:
    try:
        return compile_(source)
    except ExpressionError as error:
        column = start + max(error.column, 1)
        raise ExpressionError(error.message, hint=error.hint, column=column) from None


def _text(value: Json, source: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    raise ExpressionError(
        f"{source.strip()} is {kind_of(value)}; within a text only strings, numbers and "
        "booleans can stand"
    )
