"""Finds in a text what a name beside it calls a credential, and masks it.

The text may be a file, a manifest, an address, or JSON that is broken or cut, so no parser reads
it; where it is not clear how far a value goes, it goes further. Each pattern gives nothing back of
what it has taken, and what was found is not searched again: a text of any form is read once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from receiver.core.credential_names import HEADERS, names_a_credential

MASK = "[secret]"
DATA = frozenset({"data", "stringData"})
"""What a Secret's manifest has its values under."""

Span = tuple[int, int]
Names = Callable[[str], bool]

_LONGEST = 200
"""Characters of a name, from its end, that are asked about and remembered: it may have megabytes,
and what calls it a credential is its end."""

_SUSPECT = re.compile(r"[=:{\[]")
"""A text without any of these has nothing to find: most are, and are not searched further."""

_ADDRESS = re.compile(r"://[^\s\"'<>]++")
_LINE = re.compile(
    r"^([ \t\"'-]*+(?:export )?)([\w.][\w.-]*+)([\"']?[ \t]*+[:=][ \t]*+)(.*+)", re.MULTILINE
)
"""``name: value`` or ``name=value``, as files have it: Helm values, variables."""
_LATER_LINE = re.compile(r"\n([ \t]*+)(.*+)")

_QUOTED = re.compile(r"[\"']([\w.][\w. /-]*+)[\\ ]*+[\"']\s*+[:=]\s*+")
_IN_FLOW = re.compile(r"[{\[,\"']\s*+([\w.][\w.-]*+)\s*+:\s*+")
_EQUAL = re.compile(r"(?<![\w.-])-*+([\w.][\w.-]*+)=")
_BESIDE = re.compile(
    r"(?<![\w.-])name[\"'\\ ]*+[:=]\s*+[\"'\\]*+([\w.][\w.-]*+)"
    r"[\"'\\ ]*+\s*+,?\s*+[\"'\\]*+value[\"'\\ ]*+[:=][ \t]*+"
)
"""``name: x`` and its value behind it, as Helm's parameters and variables of containers are."""
_SECRET = re.compile(r"(?<![\w.-])kind[\"'\\ ]*+:\s*+[\"'\\]*+Secret(?![\w.-])")

_STRING = r"""(\\++)"(?:(?!\1").)*+(?:\1")?|"(?:[^"\\]|\\.)*+"?|'[^']*+'?"""
_VALUE = re.compile(
    rf"""(?:""(?![\s,}}\]"]|\Z)(?:(?!"")[^\n])*+(?:"")?|{_STRING}|)[^,}}\]\r\n]*+""", re.DOTALL
)
"""A value behind a colon: one that toJson wrote into quotes, a text, or a word; what may still
stand behind it belongs to it."""
_PARAMETER = re.compile(rf"{_STRING}|[^&;#\s\"'<>]*+", re.DOTALL)
_OPENING = re.compile(r'"(?=[{\[]++")|(?=[{\[])')
_BRACKET = re.compile(r"""["](?:[^"\\]|\\.)*+"?|'[^'\n]*+'|[{}\[\]]""", re.DOTALL)

_ESCAPE = re.compile(r'\\([nrt"])')

_asked = lru_cache(maxsize=4096)(names_a_credential)


def is_credential(name: str) -> bool:
    """Whether a name says of its value that it is a credential: a key, or a header's name."""
    end = name[-_LONGEST:]
    return _asked(end) or end.strip().lower() in HEADERS


def credential_spans(text: str) -> list[Span]:
    """Return where credentials stand, in order.

    A text inside broken JSON has its line breaks and quotes escaped: it is read like this, too.
    """
    if not _SUSPECT.search(text):
        return []
    texts = [text, _ESCAPE.sub(_as_long, text)] if "\\" in text else [text]
    return _joined([span for one in texts for span in _trimmed(one, _spans(one))])


def without_credentials(text: str, spans: Iterable[Span], start: int = 0, end: int = -1) -> str:
    """Return a text, or a part of it, with a mask for each of these spans."""
    end = len(text) if end < 0 else end
    written, at = [], start
    for first, last in spans:
        if last > at and first < end:
            written += [text[at : max(at, first)], MASK]
            at = last
    return "".join([*written, text[at:end]])


def _as_long(found: re.Match[str]) -> str:
    return " " + {"n": "\n", "r": "\r", "t": "\t", '"': '"'}[found[1]]


def _trimmed(text: str, spans: Iterator[Span]) -> Iterator[Span]:
    """Yield those that are not empty, without the white space at their ends."""
    for start, end in spans:
        size = len(text[start:end].rstrip())
        begin = end - len(text[start:end].lstrip())
        if size > 0:
            yield begin, start + size


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _spans(text: str) -> Iterator[Span]:
    secret = _SECRET.search(text) is not None

    def hides(name: str) -> bool:
        return is_credential(name) or (secret and name.strip() in DATA)

    for found in _ADDRESS.finditer(text):
        start = found.start() + len("://")
        yield start, max(start, text.rfind("@", start, found.end()))
    beside = {one.end() for one in _BESIDE.finditer(text) if is_credential(one[1])}
    yield from _behind(_BESIDE, text, is_credential, _value_end)
    yield from _behind(_QUOTED, text, hides, _value_end)
    yield from _behind(_IN_FLOW, text, hides, _value_end)
    yield from _behind(_EQUAL, text, hides, _parameter_end)
    yield from _in_lines(text, hides, beside)


def _behind(
    head: re.Pattern[str], text: str, hides: Names, end_of: Callable[[str, int], int]
) -> Iterator[Span]:
    """Yield what stands behind the heads that have a credential's name."""
    at = 0
    while found := head.search(text, at):
        at = found.end()
        if hides(found[1]):
            start, at = at, end_of(text, at)
            yield start, at


def _value_end(text: str, at: int) -> int:
    if opening := _OPENING.match(text, at):
        return _closing(text, opening.end())
    return _end(_VALUE, text, at)


def _parameter_end(text: str, at: int) -> int:
    return _end(_PARAMETER, text, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _closing(text: str, at: int) -> int:
    """Return where the bracket that opens there is closed: behind it, or the end of the text."""
    depth = 0
    for found in _BRACKET.finditer(text, at):
        depth += (found[0] in "{[") - (found[0] in "}]")
        if not depth:
            return found.end()
    return len(text)


def _in_lines(text: str, hides: Names, beside: set[int]) -> Iterator[Span]:
    """Yield what stands behind a credential's name in its line, with the deeper lines below it."""
    at = 0
    while found := _LINE.search(text, at):
        at, start = found.end(), found.end(3)
        if hides(found[2]) or start in beside:
            dashes = found[1].rstrip("\"'").removesuffix("export ")
            at = _block_end(text, at, len(dashes), listed=not found[4].strip())
            yield start, at


def _block_end(text: str, at: int, column: int, *, listed: bool) -> int:
    """Return the end of the lines that are deeper than a column; a list may begin right there."""
    end = at
    while line := _LATER_LINE.match(text, at):
        at = line.end()
        if not line[2].strip():
            continue
        deep = len(line[1])
        if deep <= column and not (listed and deep == column and line[2].startswith("-")):
            break
        end = at
    return end
