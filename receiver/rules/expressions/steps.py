"""Puts checkpoints into a compiled expression, where the library would go on without any.

The library bounds the turns of all loops together, and its memory; but each turn may go over a text
as long as that. Nothing interrupts the library, so what it evaluates asks by itself whether it may
go on: before each turn of a loop, and before what goes over a whole text. That is put into the
checked expression (cel.expr.CheckedExpr, a protobuf), as functions that no source can name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from receiver.core.errors import ExpressionError

TURN = "@turn"
"""Whether another turn may begin, or what takes little."""
STEP = "@step"
"""Whether what may take long may begin."""
MATCH = "@toMatch"
"""A text that is to be matched by a pattern."""

LONG = frozenset({
    "contains", "indexOf", "lastIndexOf", "replace", "split", "join", "lowerAscii", "upperAscii",
    "trim", "reverse", "substring", "format", "charAt", "quote", "bytes",
})  # fmt: skip
"""Functions that look at each character of a text."""
SHORT = frozenset({
    "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith", "_+_", "size", "string",
})  # fmt: skip
"""Functions that compare or copy a text as a whole, a thousand times as fast."""
AT_ONCE = SHORT - {"_+_"}
"""Those that take no time where an argument is a constant; `_+_` does where it adds to a list."""

# The numbers of fields, of cel.expr.Expr and of what is in it.
ID, CONST, SELECT, CALL, LIST, STRUCT, COMPREHENSION = 2, 3, 5, 6, 7, 8, 9
FUNCTION, ARGUMENT, LOOP_CONDITION = 2, 3, 5
ARGUMENTS = {1, ARGUMENT}
"""Of a call; the first is what it is a member of."""
INNER = {SELECT: {1}, CALL: {1, 3}, LIST: {1}, STRUCT: {2}, COMPREHENSION: {2, 4, 5, 6, 7}}
"""By the kind of an expression, the fields of it that are expressions, or the entries of a map."""
OF_ENTRY = {3, 4}
VALUE_OF_ANY, REFERENCES, EXPRESSION = 2, 2, 4

VARINT, FIXED64, BYTES = 0, 1, 2

Parts: TypeAlias = Sequence[tuple[int, "int | bytes"]]
"""The fields of a message: their numbers and values."""

FIRST_ID = 1 << 20
"""More than the library gives to the parts of an expression of its longest size."""


def with_steps(serialized: bytes) -> bytes | None:
    """Return an expression, as the library serializes it, with its checkpoints; None: it has none.

    Raises:
        ExpressionError: one `matches` makes the text of another.
    """
    added = _Added()
    made = [
        _write(number, _checked(value, added) if number == VALUE_OF_ANY else value)
        for number, value in _fields(serialized)
    ]
    return b"".join(made) if added.overloads else None


@dataclass(slots=True)
class _Added:
    """What was added: by their ids, which overloads are called."""

    overloads: dict[int, str] = field(default_factory=dict)

    def call(self, function: str, overload: str, *arguments: bytes) -> bytes:
        """Return an expression that calls a function."""
        number = FIRST_ID + len(self.overloads)
        self.overloads[number] = overload
        call = _write(FUNCTION, function.encode())
        call += b"".join(_write(ARGUMENT, one) for one in arguments)
        return _write(ID, number) + _write(CALL, call)

    def unless(self, asked: bytes, expression: int | bytes) -> bytes:
        """Return the expression, which is not evaluated if the answer is no."""
        assert isinstance(expression, bytes)  # noqa: S101 it is one
        return self.call("_?_:_", "conditional", asked, expression, NULL)


NULL = b"\x10\x01\x1a\x02\x08\x00"
"""A constant, in place of what is not evaluated any more."""


def _checked(value: int | bytes, added: _Added) -> bytes:
    """Return a CheckedExpr with its checkpoints."""
    made = list[bytes]()
    for number, one in _fields(value):
        made.append(_write(number, _rewritten(one, added) if number == EXPRESSION else one))
    for number, overload in added.overloads.items():
        reference = _write(3, overload.encode())
        made.append(_write(REFERENCES, _write(1, number) + _write(2, reference)))
    return b"".join(made)


def _rewritten(expression: int | bytes, added: _Added) -> bytes:
    """Return an expression with its checkpoints, and with those of all that is in it."""
    parts = [
        (kind, _inside(kind, value, added) if kind in INNER else value)
        for kind, value in _fields(expression)
    ]
    call = next((value for kind, value in parts if kind == CALL), None)
    return _written(parts) if call is None else _asking(parts, [*_fields(call)], added)


def _asking(parts: Parts, call: Parts, added: _Added) -> bytes:
    """Return a call that asks before, if it may take long."""
    name, whole = _name(call), _written(parts)
    arguments = [value for number, value in call if number in ARGUMENTS]
    if name == "matches":
        return _matching(parts, call, added)
    function = _asked_before(name, arguments)
    if not function:
        return whole
    asked = added.call(function, function)
    if len(arguments) == 1:
        return added.unless(asked, whole)
    # The library reads a hundred levels: what asks is put where there are the fewest.
    sizes = [len(value) for value in arguments if isinstance(value, bytes)]
    short = arguments[sizes.index(min(sizes))]
    call = [(n, added.unless(asked, one) if one is short else one) for n, one in call]
    return _written([(kind, _written(call) if kind == CALL else one) for kind, one in parts])


def _name(call: Parts) -> str:
    """Return the name of the function that is called, "" if it is no call."""
    named = next((value for kind, value in call if kind == FUNCTION), b"")
    return named.decode() if isinstance(named, bytes) else ""


def _asked_before(name: str, arguments: Sequence[int | bytes]) -> str:
    """Return what is asked before a function is called, "" if it takes hardly any time."""
    kinds = {kind for one in arguments for kind, _ in _fields(one)}
    if (CONST in kinds and name in AT_ONCE) or (LIST in kinds and name == "_+_"):
        return ""
    if len(arguments) == 1 and _is_asked(arguments[0]):  # of a chain, only the first
        return ""
    return STEP if name in LONG else TURN if name in SHORT else ""


def _is_asked(expression: int | bytes) -> bool:
    if isinstance(expression, bytes) and expression.endswith(NULL):
        return True
    calls = (value for kind, value in _fields(expression) if kind == CALL)
    return any(_name([*_fields(call)]) in LONG | SHORT for call in calls)


def _matching(parts: Parts, call: Parts, added: _Added) -> bytes:
    """Return a `matches` whose text asks whether it may be matched: by sizes, for it may be large.

    The text is evaluated once, or its loops would count twice. So would a pattern's, if it is made.
    """
    # A text that is an argument comes before the pattern, as one whose member it is.
    text, pattern = (value for number, value in call if number in ARGUMENTS)
    assert isinstance(text, bytes)  # noqa: S101 both are expressions
    assert isinstance(pattern, bytes)  # noqa: S101
    if MATCH.encode() in pattern:  # it would be evaluated twice for each one around it
        raise ExpressionError("a pattern of `matches` is made by another `matches`")
    asking = added.call(MATCH, MATCH, text, pattern)
    call = [(number, asking if value is text else value) for number, value in call]
    return _written([(kind, _written(call) if kind == CALL else value) for kind, value in parts])


def _inside(kind: int, value: int | bytes, added: _Added) -> bytes:
    made = list[bytes]()
    for number, inner in _fields(value):
        one = inner
        if number in INNER[kind]:
            one = _entry(inner, added) if kind == STRUCT else _rewritten(inner, added)
            if kind == COMPREHENSION and number == LOOP_CONDITION:
                one = added.call("_&&_", "logical_and", added.call(TURN, TURN), one)
        made.append(_write(number, one))
    return b"".join(made)


def _entry(value: int | bytes, added: _Added) -> bytes:
    return b"".join(
        _write(number, _rewritten(one, added) if number in OF_ENTRY else one)
        for number, one in _fields(value)
    )


class _Fixed(bytes):
    """A value of eight bytes, which a number with a fraction is."""

    __slots__ = ()


def _fields(message: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a protobuf message."""
    assert isinstance(message, bytes)  # noqa: S101 the numbers above are of messages
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == VARINT:
            number, at = _varint(message, at)
            yield tag >> 3, number
        elif tag & 7 == FIXED64:
            yield tag >> 3, _Fixed(message[at : at + 8])
            at += 8
        else:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size


def _written(parts: Parts) -> bytes:
    return b"".join(_write(number, value) for number, value in parts)


def _write(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _number(number << 3 | VARINT) + _number(value)
    if isinstance(value, _Fixed):
        return _number(number << 3 | FIXED64) + value
    return _number(number << 3 | BYTES) + _number(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:  # noqa: PLR2004 the last has no high bit
            return number, at


def _number(value: int) -> bytes:
    made = bytearray()
    while value > 127:  # noqa: PLR2004 see above
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)
